# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034
#
# The programs that run.sh runs, in two halves that take about as long in a debug
# kernel.

PROGS_1="register errors badflush send flush chains options copy formats skip
	usage buffers table memlock limit async attach linked reuse overflow race again
	waits locked order vector waiter
	security filters leak bounds memcg
	merge mergefail mergewait mergeskip mergecopy lockmore segmem
	getlimit getrings getgive getinject getinwq
	vsockopt vsocklay vsockseq vsockzc vsockmem vsockvma vsockvhost"
PROGS_2="net matrix sockets link gso
	lifetime ends stopped share inherit reload outside mainline
	meet segments probe mixing cycle batch inject
	mergelife mergeover fallback many manyfail manyfull shortseg segstream
	everykind injectmore late getbuf getbufend getfile getlife getpeer getnet
	getproto getzc
	vsockend vsockcred vsocklife vsockfail vsockmix"

# Those that want a vsock device in the VM, see scripts/vsockdev.py
PROGS_DEVICE="vsockdev"

# Programs of 32 bits, see the Makefile; their names end in 32
PROGS_ABI32="register options send many"
