# SPDX-License-Identifier: GPL-2.0
# A person's view of the project. The kernel's view is Kbuild; the work is done by scripts/.

# What may be given on the command line, passed on as it was typed: make expands no $ in it
VARIABLES := FLAVOUR CPUS MEM ACCEL KSRC FILE TESTS TIMEOUT ARGS CMD QUICK BASE ROW MINUTES SEED OPS PLANT \
	ARCH PAGES GDB CHECK CONFIG
unexport $(VARIABLES)
$(foreach name,$(VARIABLES),$(eval export NOTIF_$(name) := $$(value $(name))))
# Where the person stands, also with `make -C`
export NOTIF_PWD := $(PWD)
export PYTHONDONTWRITEBYTECODE := 1

TARGETS := run test bench profile samples stress fuzz soak paths regress plants vm kernel headers graft ungraft series \
	liburing-series deb \
	check configs docs rustdoc compile-commands clean

.PHONY: help $(TARGETS)
.DEFAULT_GOAL := help

help:
	@echo "io_uring notification slots: zero-copy send, a Rust module in a patched Linux 7.3"
	@echo
	@echo "  make run       send a file through slots in a VM, verified, beside copying and SEND_ZC; and through a relay"
	@echo "                 (FILE= your own file, ARGS= options of the program, ARGS=--help lists them)"
	@echo "  make test      all tests, in a debug kernel (TESTS= only those whose name has this in it;"
	@echo "                 ARCH=arm64, with PAGES=64k as well: on another processor, emulated)"
	@echo "  make bench     instructions per request of every way of sending, counted under icount: a table, a chart"
	@echo "                 and bench.json (QUICK=1 few rows, BASE=bench.json of an earlier run: what changed,"
	@echo "                 FLAVOUR=mitigated with mitigations for the vulnerabilities of processors,"
	@echo "                 ACCEL=kvm requests per second on this machine's hardware)"
	@echo "  make profile   where the instructions of one row of the benchmark go, by function (ROW='slot registered"
	@echo "                 batch 0 udp4 4000 128 plain', in the order of bench.json, or 'vsock fixed 64 4096';"
	@echo "                 ROW='...; ...' compares two)"
	@echo "  make samples   lib/, samples/ and the Rust crate, run in the VM: what a program starts from"
	@echo "  make stress    everything at random and at once, with an oracle (MINUTES=5, SEED= draws the same again)"
	@echo "  make fuzz      whatever the interface takes or refuses, guided by coverage (OPS=1000000, SEED=)"
	@echo "  make soak      stress for long, and what must not grow by it (MINUTES=60)"
	@echo "  make paths     the contract over kTLS, sockmap, MPTCP, IPsec, tunnels, bridges, netfilter (TESTS=)"
	@echo "  make regress   liburing's tests and the kernel's own, beside a kernel without the patches (TESTS=)"
	@echo "  make plants    put bugs into the module, and show which tool finds each"
	@echo "  make vm        a shell in a VM with the module loaded (CMD='...' runs a command instead,"
	@echo "                 GDB=1 lets gdb attach)"
	@echo "  make headers   install the patched UAPI headers, print their folder"
	@echo "  make kernel    only build the kernel"
	@echo "  make graft     put the project into a kernel tree of yours (KSRC=dir); ungraft takes it out"
	@echo "  make series    write the patch series for a kernel tree, into series/ (CHECK=1 git am of each patch onto the"
	@echo "                 pristine kernel, checkpatch, get_maintainer; built with the option n, m, y, and booted)"
	@echo "  make liburing-series   the functions of lib/ as patches for liburing, into liburing-series/; applied to its newest"
	@echo "                 release, built, and its whole suite run in the VM"
	@echo "  make deb       Debian packages of a kernel with the project in it, and what to measure it with, into deb/; tried"
	@echo "                 in a fresh Debian (CONFIG=/boot/config-... of a kernel that knows your hardware)"
	@echo "  make check     format, lint and static checks of everything, no VM"
	@echo "  make docs      Documentation/ as HTML, into html/ (BASE=bench.json: with the figures of that run)"
	@echo "  make rustdoc   the module's documentation as HTML, into html/rust/"
	@echo "  make compile-commands   compile_commands.json and rust-project.json, for editors"
	@echo "  make configs   build the kernel configurations that the graft must compile and link in, no VM"
	@echo "  make clean     remove what this checkout made, say what the cache holds"
	@echo
	@echo "  FLAVOUR=release|mitigated|debug|kcsan|net|plain  CPUS=2  MEM=2G  ACCEL=auto|kvm|tcg|icount  TIMEOUT=seconds"
	@echo "  KSRC=dir: a Linux 7.3 tree of yours instead of Debian's; it is left as it is"
	@echo "  NOTIF_CACHE=dir: where kernels are kept (now $${NOTIF_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/io_uring-notif})"

$(TARGETS):
	@scripts/setup.sh for $@
	@/usr/bin/python3 scripts/notif.py $@
