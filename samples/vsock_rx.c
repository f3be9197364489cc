// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The tool of RFC v1 of zero-copy receive on vsock: a server sends, a client receives by
 * read() or by mapping what has arrived, and both say what the data's checksum is.
 *
 *	vsock_rx --mode server [--mb MEGABYTES] [--tx PAGES] [--port PORT]
 *	vsock_rx --mode client [--zerocopy] [--rx PAGES] [--cid CID] [--port PORT]
 *
 * --tx and --rx are how much one call sends and receives. The default peer is this
 * machine itself; a guest's host is --cid 2. Without options: 64 MB, 64 pages, port 1234.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <vsock_map_rx.h>

/* Pages of the mapping: a window of --rx pages moves through it. */
#define MAP_PAGES	1024UL
#define MAX_RX		511UL
#define BUFFER		(4ULL << 20)

struct options {
	bool server, zerocopy;
	unsigned long mb, tx, rx;
	unsigned int cid, port;
};

/* What the server sends first, and what a client checks. */
struct offer {
	__u64 bytes;
	__u64 sum;
};

struct client {
	int fd;
	__u64 left, sum;
	__u64 copied, mapped, calls;
	__u64 ns;		/* in the calls that receive */
};

static unsigned long page;

/* FNV-1a, by bytes: pieces may have any length. */
static __u64 add_to_sum(__u64 sum, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	while (len--)
		sum = (sum ^ *bytes++) * 0x100000001b3ULL;
	return sum;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int vsock_socket(void)
{
	const __u64 bytes = BUFFER;
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0)
		errx(1, "no vsock here (%s); build the kernel with CONFIG_VSOCKETS and a transport",
		     strerror(errno));
	if (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &bytes, sizeof(bytes)) ||
	    setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &bytes, sizeof(bytes)))
		errx(1, "a buffer of %llu bytes is refused: %s", BUFFER, strerror(errno));
	return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			errx(1, "the client has gone (%s); start it again", strerror(errno));
		from += n;
		len -= n;
	}
}

/* A buffer that is different from page to page, again and again. */
static void run_server(const struct options *options)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY,
		.svm_port = options->port,
	};
	struct offer offer = { .bytes = (__u64)options->mb << 20, .sum = 0xcbf29ce484222325ULL };
	size_t len = options->tx * page, i;
	unsigned char *data = malloc(len);
	int fd, listener = vsock_socket();
	__u64 left, start;

	if (!data)
		errx(1, "no memory for --tx %lu; take less", options->tx);
	for (i = 0; i < len; i++)
		data[i] = i * 31 + i / page * 7;
	for (left = offer.bytes; left; left -= left < len ? left : len)
		offer.sum = add_to_sum(offer.sum, data, left < len ? left : len);
	if (bind(listener, (void *)&addr, sizeof(addr)) || listen(listener, 1))
		errx(1, "port %u: %s; take another --port", options->port, strerror(errno));
	fprintf(stderr, "vsock_rx: waiting for a client at port %u\n", options->port);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		errx(1, "accept: %s", strerror(errno));
	send_all(fd, &offer, sizeof(offer));
	start = now_ns();
	for (left = offer.bytes; left; left -= left < len ? left : len)
		send_all(fd, data, left < len ? left : len);
	printf("server: %lu MB in writes of %lu pages, %.3f s, checksum %016llx\n",
	       options->mb, options->tx, (now_ns() - start) / 1e9, offer.sum);
	shutdown(fd, SHUT_WR);
	/* until the client has it all */
	while (recv(fd, data, len, 0) > 0)
		;
	close(fd);
	close(listener);
	free(data);
}

static void receive_copied(struct client *client, size_t len)
{
	char *data = malloc(len);

	if (!data)
		errx(1, "no memory for %zu bytes; take less with --rx", len);
	while (client->left) {
		__u64 start = now_ns();
		ssize_t n = read(client->fd, data, len < client->left ? len : client->left);

		client->ns += now_ns() - start;
		if (n <= 0)
			break;
		client->sum = add_to_sum(client->sum, data, n);
		client->left -= n;
		client->copied += n;
		client->calls++;
	}
	free(data);
}

/* The headers say how long each piece is; each starts on a page of its own. */
static void add_mapped(struct client *client, const char *at, const struct vsock_map_rx *arg)
{
	const struct vsock_rx_hdr *hdr = (const void *)at;
	const char *data = at + page;

	for (; hdr->length; hdr++) {
		client->sum = add_to_sum(client->sum, data, hdr->length);
		data += (hdr->length + page - 1) / page * page;
	}
	client->left -= arg->length;
	client->copied += arg->copied;
	client->mapped += arg->length - arg->copied;
	client->calls++;
}

/*
 * A window moves through the mapping: no call has to drop pages, which costs a TLB flush,
 * as one madvise() at the end of the mapping drops all of them.
 */
static void receive_mapped(struct client *client, unsigned long pages)
{
	struct pollfd pfd = { .fd = client->fd, .events = POLLIN };
	unsigned long at = 0, window = (1 + pages) * page;
	char *map = mmap(NULL, MAP_PAGES * page, PROT_READ, MAP_SHARED, client->fd, 0);

	if (map == MAP_FAILED && errno == ENOMEM)
		errx(1, "%lu pages are more than may be locked; raise it: ulimit -l %lu", MAP_PAGES,
		     MAP_PAGES * page / 1024);
	if (map == MAP_FAILED)
		errx(1, "the socket can't be mapped: %s", strerror(errno));
	while (client->left) {
		struct vsock_map_rx arg = { .flags = VSOCK_MAP_RX_CLEAN, .length = window };
		socklen_t size = sizeof(arg);
		__u64 start;

		if (poll(&pfd, 1, -1) < 0)
			continue;
		arg.address = (unsigned long)map + at;
		start = now_ns();
		if (getsockopt(client->fd, AF_VSOCK, SO_VM_SOCKETS_MAP_RX, &arg, &size))
			errx(1, "SO_VM_SOCKETS_MAP_RX: %s", strerror(errno));
		client->ns += now_ns() - start;
		if (arg.flags & VSOCK_MAP_RX_EOF)
			break;
		if (!arg.length)
			continue;
		add_mapped(client, map + at, &arg);
		at += (1 + arg.pages) * page;
		if (at + window <= MAP_PAGES * page)
			continue;
		start = now_ns();
		madvise(map, at, MADV_DONTNEED);
		client->ns += now_ns() - start;
		at = 0;
	}
	munmap(map, MAP_PAGES * page);
}

static void run_client(const struct options *options)
{
	struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK, .svm_cid = options->cid,
		.svm_port = options->port,
	};
	struct client client = { .fd = vsock_socket(), .sum = 0xcbf29ce484222325ULL };
	const __u64 one = 1;
	struct offer offer;
	__u64 start;

	if (options->zerocopy &&
	    setsockopt(client.fd, AF_VSOCK, SO_VM_SOCKETS_ZEROCOPY, &one, sizeof(one)))
		errx(1, "%s: this needs CONFIG_VSOCK_MAP_RX, or leave out --zerocopy",
		     strerror(errno));
	if (connect(client.fd, (void *)&addr, sizeof(addr)))
		errx(1, "port %u of CID %u: %s; start the server there: vsock_rx --mode server",
		     options->port, options->cid, strerror(errno));
	if (recv(client.fd, &offer, sizeof(offer), MSG_WAITALL) != sizeof(offer))
		errx(1, "the peer is no server of this program; give its --cid and --port");
	client.left = offer.bytes;
	start = now_ns();
	if (options->zerocopy)
		receive_mapped(&client, options->rx);
	else
		receive_copied(&client, options->rx * page);
	if (client.left)
		errx(1, "the server has gone, %llu bytes before the end; start both again",
		     client.left);
	if (client.sum != offer.sum)
		errx(1, "checksum %016llx, and the server sent %016llx", client.sum,
		     offer.sum);
	printf("client: %llu MB, %s of %lu pages, %.3f s, %.3f s of it in %llu calls, ",
	       offer.bytes >> 20, options->zerocopy ? "windows" : "reads", options->rx,
	       (now_ns() - start) / 1e9, client.ns / 1e9, client.calls);
	printf("%llu bytes mapped, %llu copied, checksum %016llx verified\n", client.mapped,
	       client.copied, client.sum);
	close(client.fd);
}

static unsigned long parse_number(const char *name, const char *text, unsigned long most)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*end || !value || value > most)
		errx(1, "--%s wants a number from 1 to %lu, not %s", name, most, text);
	return value;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "mode", required_argument, NULL, 'm' }, { "zerocopy", no_argument, NULL, 'z' },
		{ "mb", required_argument, NULL, 'b' }, { "tx", required_argument, NULL, 't' },
		{ "rx", required_argument, NULL, 'r' }, { "cid", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'p' }, { },
	};
	struct options options = {
		.mb = 64, .tx = 64, .rx = 64, .cid = VMADDR_CID_LOCAL, .port = 1234,
	};
	const char *mode = "";
	int option;

	page = sysconf(_SC_PAGESIZE);
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'm':
			mode = optarg;
			break;
		case 'z':
			options.zerocopy = true;
			break;
		case 'b':
			options.mb = parse_number("mb", optarg, 1UL << 20);
			break;
		case 't':
			options.tx = parse_number("tx", optarg, 1UL << 16);
			break;
		case 'r':
			options.rx = parse_number("rx", optarg, MAX_RX);
			break;
		case 'c':
			options.cid = parse_number("cid", optarg, ~0U - 1);
			break;
		case 'p':
			options.port = parse_number("port", optarg, ~0U - 1);
			break;
		default:
			errx(1, "the options are in the first lines of vsock_rx.c");
		}
	}
	if (optind < argc)
		errx(1, "%s is no option; see the first lines of vsock_rx.c", argv[optind]);
	if (strcmp(mode, "client") && strcmp(mode, "server"))
		errx(1, "--mode client or --mode server?");
	if (!strcmp(mode, "server"))
		run_server(&options);
	else
		run_client(&options);
	return 0;
}
