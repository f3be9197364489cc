// SPDX-License-Identifier: GPL-2.0
/* What is outstanding, for those who read why it failed. */
#include <dirent.h>

#include "worker.h"

/* Lines of a file with @what in them, or all of them, as comments. */
static void tell_file(const char *path, const char *what)
{
	FILE *file = fopen(path, "r");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (!what || strstr(line, what))
			printf("#     %s", line);
	if (file)
		fclose(file);
}

static void tell_each(pid_t pid, const char *folder, const char *file,
		      const char *what)
{
	char path[128];
	struct dirent *entry;
	DIR *all;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, folder);
	all = opendir(path);
	while (all && (entry = readdir(all))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/%s/%.16s%s", pid, folder,
			 entry->d_name, file);
		if (!what)
			printf("#   task %s\n", entry->d_name);
		tell_file(path, what);
	}
	if (all)
		closedir(all);
}

void tell_process(pid_t pid)
{
	tell_each(pid, "task", "/stack", NULL);
	tell_each(pid, "fdinfo", "", "in_flight:");
	fflush(stdout);
}

static const char *kind_name(enum kind kind)
{
	static const char * const names[] = {
		[KIND_SEND] = "send", [KIND_REFUSED] = "send to be refused",
		[KIND_UPDATE] = "update", [KIND_CANCEL] = "cancel",
		[KIND_NOP] = "nop",
	};

	return names[kind];
}

static void tell_request(const struct request *req)
{
	printf("#   %s %#llx: slot %u, %u bytes%s%s%s%s%s%s%s%s%s\n",
	       kind_name(req->kind), (unsigned long long)req->id, req->slot,
	       req->len, req->nr_many ? " in many" : "",
	       request_bears(req) ? ", a bearer" : "",
	       req->over ? ", over" : "",
	       req->skip ? ", skips its CQE" : "",
	       req->linked ? ", linked" : "", req->fixed ? ", registered" : "",
	       req->waitall ? ", waitall" : "",
	       req->cancelled ? ", cancelled" : "",
	       req->over || !req->stream ? "" : stream_name(req->stream));
}

static void tell_notifier(const struct notifier *n)
{
	printf("#   notification%s: slot %u, tag %#llx, number %u%s, %u of %u requests over\n",
	       n->bearer ? " by a bearer" : "", n->slot,
	       (unsigned long long)n->tag, n->seq,
	       n->flushed ? "" : n->update ? " perhaps, its update waits" :
	       " unknown, not flushed", n->ended, n->attached);
}

static void tell_ring(const struct ring *r)
{
	unsigned int i;

	printf("# outstanding: %u requests, %u notifications of a %s ring%s (file %d)\n",
	       r->in_flight, r->unnotified, r->name, r->raw ? ", raw" : "",
	       r->ring.ring_fd);
	for (i = 0; i < MAX_REQUESTS; i++)
		if (r->requests[i].id)
			tell_request(&r->requests[i]);
	for (i = 0; i < MAX_REQUESTS; i++)
		if (r->notifiers[i].used)
			tell_notifier(&r->notifiers[i]);
}

bool worker_is_quiet(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < NR_RINGS; i++)
		if (w->rings[i].open &&
		    (w->rings[i].in_flight || w->rings[i].unnotified))
			return false;
	for (i = 0; i < NR_STREAMS; i++)
		if (!stream_complete(&w->streams[i]))
			return false;
	return true;
}

void tell_worker(const struct worker *w)
{
	unsigned int i;

	for (i = 0; i < NR_RINGS; i++)
		if (w->rings[i].open &&
		    (w->rings[i].in_flight || w->rings[i].unnotified))
			tell_ring(&w->rings[i]);
	for (i = 0; i < NR_STREAMS; i++)
		if (!stream_complete(&w->streams[i]))
			stream_tell(&w->streams[i]);
	tell_process(getpid());
}
