/* SPDX-License-Identifier: GPL-2.0 */
/* BPF without a library: maps of sockets, and the programs of a few instructions. */
#ifndef NOTIF_TEST_SOCKMAP_H
#define NOTIF_TEST_SOCKMAP_H

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INSN(_code, _dst, _src, _off, _imm)				\
	((struct bpf_insn){ .code = (_code), .dst_reg = (_dst),		\
			    .src_reg = (_src), .off = (_off), .imm = (_imm) })
#define SET(_dst, _imm)	 INSN(BPF_ALU64 | BPF_MOV | BPF_K, _dst, 0, 0, _imm)
#define COPY(_dst, _src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, _dst, _src, 0, 0)
#define ADD(_dst, _imm)	 INSN(BPF_ALU64 | BPF_ADD | BPF_K, _dst, 0, 0, _imm)
#define CALL(_func)	 INSN(BPF_JMP | BPF_CALL, 0, 0, 0, _func)
#define EXIT()		 INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* an instruction of two, the other one is empty */
#define SET_MAP(_dst, _fd)						\
	INSN(BPF_LD | BPF_DW | BPF_IMM, _dst, BPF_PSEUDO_MAP_FD, 0, _fd)
#define SET_MAP_REST()	 INSN(0, 0, 0, 0, 0)

static inline int bpf(int cmd, union bpf_attr *attr)
{
	int ret = syscall(__NR_bpf, cmd, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

/* A map of @nr sockets; -EOPNOTSUPP if the kernel has no BPF. */
static inline int sockmap_create(unsigned int nr)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = sizeof(__u32),
		/* so that it can be asked what is in it: a cookie */
		.value_size = sizeof(__u64),
		.max_entries = nr,
	};

	if (access("/proc/sys/kernel/unprivileged_bpf_disabled", F_OK))
		return -EOPNOTSUPP;
	return bpf(BPF_MAP_CREATE, &attr);
}

static inline int sockmap_put(int map, __u32 key, __u64 fd)
{
	union bpf_attr attr = {
		.map_fd = map,
		.key = (unsigned long)&key,
		.value = (unsigned long)&fd,
	};

	return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

/* 0 if there is a socket at @key. */
static inline int sockmap_get(int map, __u32 key)
{
	__u64 cookie;
	union bpf_attr attr = {
		.map_fd = map,
		.key = (unsigned long)&key,
		.value = (unsigned long)&cookie,
	};

	return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

/* Load a program and attach it to a map or a cgroup. */
static inline int prog_attach(int target, unsigned int type, unsigned int where,
			      const struct bpf_insn *insns, unsigned int nr)
{
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = where,
		.insns = (unsigned long)insns,
		.insn_cnt = nr,
		.license = (unsigned long)"GPL",
	};
	int ret, prog = bpf(BPF_PROG_LOAD, &attr);

	if (prog < 0)
		return prog;
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = target;
	attr.attach_bpf_fd = prog;
	attr.attach_type = where;
	ret = bpf(BPF_PROG_ATTACH, &attr);
	close(prog);
	return ret;
}

static inline int prog_detach(int target, unsigned int where)
{
	union bpf_attr attr = { .target_fd = target, .attach_type = where };

	return bpf(BPF_PROG_DETACH, &attr);
}

#endif
