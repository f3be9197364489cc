// SPDX-License-Identifier: GPL-2.0
#include <linux/export.h>

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"

#ifdef CONFIG_TRACEPOINTS
EXPORT_TRACEPOINT_SYMBOL_GPL(io_uring_notif_attach);
EXPORT_SYMBOL_GPL(rust_do_trace_io_uring_notif_attach);
EXPORT_TRACEPOINT_SYMBOL_GPL(io_uring_notif_flush);
EXPORT_SYMBOL_GPL(rust_do_trace_io_uring_notif_flush);
EXPORT_TRACEPOINT_SYMBOL_GPL(io_uring_notif_complete);
EXPORT_SYMBOL_GPL(rust_do_trace_io_uring_notif_complete);
#endif
