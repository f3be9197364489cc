// SPDX-License-Identifier: GPL-2.0

//! Notification slots for io_uring zero-copy send.
//!
//! Any number of zero-copy sends attach to the notifier in a slot. Flushing the slot makes the
//! ring post one CQE when the kernel has let go of the memory of all of them.
//!
//! Policy, without `unsafe`: [`slot`] (the table that a program registers), [`notifier`] (the
//! states of a notifier), [`inflight`] (notifiers between their first request and their CQE),
//! [`ring`] (all that a ring has of them), [`kbuf`] (what kernel-owned buffers may hold). It stands
//! on [`sys`], the abstractions over io_uring's and the network stack's C; [`ops`] is what io_uring
//! calls.
//!
//! Locks, references and contexts are described in `Documentation/networking/iou-notif.rst`.
//!
//! C header: [`io_uring/notif/shim/slot.h`](srctree/io_uring/notif/shim/slot.h)

use kernel::prelude::*;

mod inflight;
mod kbuf;
mod notifier;
mod ops;
mod ring;
mod slot;
mod sys;

module! {
    type: NotifModule,
    name: "io_uring_notif",
    authors: ["The io_uring notification slots developers"],
    description: "io_uring notification slots for zero-copy send",
    license: "GPL",
}

/// The module: io_uring knows of it as long as it exists.
struct NotifModule {
    _registered: ops::Registered,
}

impl kernel::Module for NotifModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registered: ops::Registered::new(module)?,
        })
    }
}
