// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The command: options, and the table at the end. See stream.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "liburing_notif.h"
#include "stream.h"

static const char * const mode_names[NR_MODES] = {
	[MODE_COPY] = "copy",
	[MODE_SEND_ZC] = "send_zc",
	[MODE_SLOT] = "slot",
	[MODE_MERGE] = "merge",
};

static const char * const proto_names[] = { "tcp", "udp" };

static const char usage_text[] =
"usage: stream recv [--bind ADDR] [--port PORT]\n"
"       stream send --to ADDR --file FILE [options]\n"
"\n"
"Send a file once in each mode over each protocol, and compare SHA-256 at the\n"
"far end. recv serves one transfer after the other until it is killed.\n"
"\n"
"  --to ADDR           where 'stream recv' runs\n"
"  --bind ADDR         where recv listens (any address)\n"
"  --port PORT         of the control connection (" DEFAULT_PORT ")\n"
"  --file FILE         what to send\n"
"  --mode MODE         copy: IORING_OP_SEND; send_zc: mainline's\n"
"                      IORING_OP_SEND_ZC; slot: notification slots; merge:\n"
"                      the same, one CQE a request; all (all)\n"
"  --proto PROTO       tcp, udp, or both (both)\n"
"  --bytes N           bytes in a request, and in a datagram (8192)\n"
"  --batch N           requests in a submission (16)\n"
"  --per-notif N       slot mode: requests that share a notification (32)\n"
"  --buffers KIND      registered or plain (registered); copy sends\n"
"                      plain ones always\n";

static int bad_usage(const char *what)
{
	fprintf(stderr, "stream: %s; see stream --help\n", what);
	return 2;
}

/* Mark the entry of @names that is @arg, or each of them if @arg is @all. */
static bool choose(const char *arg, const char *all, bool *chosen,
		   const char * const *names, unsigned int nr)
{
	bool found = false;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		chosen[i] = !strcmp(arg, all) || !strcmp(arg, names[i]);
		found |= chosen[i];
	}
	return found;
}

static bool parse_count(const char *arg, unsigned int max, unsigned int *n)
{
	char *end;
	unsigned long val = strtoul(arg, &end, 0);

	*n = val;
	return *arg && !*end && val > 0 && val <= max;
}

static bool parse_option(struct options *opt, int name, const char *arg)
{
	switch (name) {
	case 'a':
		opt->addr = arg;
		return true;
	case 'p':
		opt->port = arg;
		return true;
	case 'f':
		opt->file = arg;
		return true;
	case 'm':
		return choose(arg, "all", opt->modes, mode_names, NR_MODES);
	case 'P':
		return choose(arg, "both", opt->protos, proto_names, 2);
	case 'n':
		return parse_count(arg, 16 << 20, &opt->bytes);
	case 'b':
		return parse_count(arg, 4096, &opt->batch);
	case 'N':
		return parse_count(arg, 16384, &opt->per_notif);
	case 'B':
		opt->plain = !strcmp(arg, "plain");
		return opt->plain || !strcmp(arg, "registered");
	}
	return false;
}

/* What became of the data on the way, in a word or two. */
static void print_copied(const struct outcome *out, enum mode mode)
{
	char text[32];

	if (mode == MODE_COPY)
		snprintf(text, sizeof(text), "no");
	else if (!out->copied)
		snprintf(text, sizeof(text), "yes");
	else if (out->copied == out->notifications)
		snprintf(text, sizeof(text), "no, copied");
	else
		snprintf(text, sizeof(text), "%u of %u",
			 (unsigned int)(out->notifications - out->copied),
			 (unsigned int)out->notifications);
	printf("%-14s", text);
}

static void print_head(void)
{
	printf("%-5s %-8s %12s  %-9s %-14s%9s %9s %9s %9s %9s\n", "", "", "",
	       "SHA-256", "zero-copied", "requests", "notif.", "CQEs per",
	       "us per", "CPU us");
	printf("%-5s %-8s %12s  %-9s %-14s%9s %9s %9s %9s %9s\n", "proto",
	       "mode", "bytes", "far end", "", "", "CQEs", "request",
	       "request", "per req.");
}

static void print_row(const char *proto, enum mode mode,
		      const struct outcome *out)
{
	printf("%-5s %-8s %12llu  %-9s ", proto, mode_names[mode],
	       (unsigned long long)out->bytes,
	       out->verified ? "verified" : "DIFFERS");
	print_copied(out, mode);
	printf("%9llu %9llu %9.2f %9.1f %9.1f\n",
	       (unsigned long long)out->requests,
	       (unsigned long long)out->notifications,
	       (double)out->cqes / out->requests,
	       out->wall_us / out->requests, out->cpu_us / out->requests);
}

static void print_legend(const struct options *opt)
{
	printf("\n"
	       "%u bytes a request, %u requests a submission, %s buffers, in slot mode %u requests a\n"
	       "notification. copy: IORING_OP_SEND. send_zc: mainline's IORING_OP_SEND_ZC, two CQEs a request.\n"
	       "slot: SEND_ZC through a notification slot, one CQE says that all buffers of the notifier are free.\n"
	       "merge: the same, but a request's own CQE comes as its buffer is free, and there is no other.\n"
	       "zero-copied is what the notifications report (IORING_SEND_ZC_REPORT_USAGE); mainline's SEND_ZC\n"
	       "calls a request copied also when it shares a packet buffer with the one before it (on TCP).\n"
	       "Times are the sender's, without reading the file; in an emulated machine they are no benchmark.\n",
	       opt->bytes, opt->batch, opt->plain ? "plain" : "registered",
	       opt->per_notif);
}

static const char *explain(int err, enum mode mode)
{
	if (mode >= MODE_SLOT && err == -EOPNOTSUPP)
		return io_uring_notif_advice(err);
	if (err == -ENOMEM)
		return "no memory, or RLIMIT_MEMLOCK reached: see ulimit -l";
	return strerror(-err);
}

/* Every transfer that was asked for; the exit status. */
static int send_file(const struct options *opt)
{
	unsigned char digest[SHA256_LEN * 2];
	unsigned int proto, mode;
	struct outcome out;
	__u64 total;
	int ret, status = 0;

	ret = sha256_file(opt->file, digest, &total);
	if (ret || !total) {
		fprintf(stderr, "stream: %s: %s\n", opt->file,
			ret ? strerror(-ret) : "empty");
		return 1;
	}
	print_head();
	for (proto = 0; proto < 2; proto++) {
		for (mode = 0; mode < NR_MODES; mode++) {
			if (!opt->protos[proto] || !opt->modes[mode])
				continue;
			ret = transfer(opt, proto ? SOCK_DGRAM : SOCK_STREAM,
				       mode, digest, total, &out);
			if (ret)
				printf("%-5s %-8s FAILED: %s\n",
				       proto_names[proto], mode_names[mode],
				       explain(ret, mode));
			else
				print_row(proto_names[proto], mode, &out);
			fflush(stdout);
			if (ret || !out.verified)
				status = 1;
		}
	}
	print_legend(opt);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "to", 1, NULL, 'a' }, { "bind", 1, NULL, 'a' },
		{ "port", 1, NULL, 'p' }, { "file", 1, NULL, 'f' },
		{ "mode", 1, NULL, 'm' }, { "proto", 1, NULL, 'P' },
		{ "bytes", 1, NULL, 'n' }, { "batch", 1, NULL, 'b' },
		{ "per-notif", 1, NULL, 'N' }, { "buffers", 1, NULL, 'B' },
		{ "help", 0, NULL, 'h' }, { }
	};
	struct options opt = {
		.port = DEFAULT_PORT, .bytes = 8192, .batch = 16,
		.per_notif = 32, .protos = { true, true },
		.modes = { true, true, true, true },
	};
	int name, ret;

	while ((name = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		if (name == 'h') {
			fputs(usage_text, stdout);
			return 0;
		}
		if (name == '?' || !parse_option(&opt, name, optarg))
			return bad_usage("an option is wrong");
	}
	if (optind != argc - 1)
		return bad_usage("recv or send?");
	if (!strcmp(argv[optind], "recv")) {
		ret = serve(&opt);
		fprintf(stderr, "stream recv: %s\n", strerror(-ret));
		return 1;
	}
	if (strcmp(argv[optind], "send"))
		return bad_usage("recv or send?");
	if (!opt.addr || !opt.file)
		return bad_usage("send needs --to and --file");
	if (opt.protos[1] && opt.bytes > MAX_DATAGRAM)
		return bad_usage("a datagram has no room for so many bytes");
	return send_file(&opt);
}
