// SPDX-License-Identifier: GPL-2.0
/*
 * The corpus: sequences that were written by hand, and programs that reached
 * something new. A program follows from the seed, from its id and from what was
 * in the corpus when it was drawn; so the ids of what has joined repeat it.
 */
#include <sched.h>
#include <string.h>

#include "fuzz.h"

void corpus_init(void)
{
	unsigned int i;

	for (i = 0; i < nr_sequences(); i++)
		sequence(i, &common->corpus[i].program);
	common->nr_corpus = nr_sequences();
}

/* The newest ones more often. */
static const struct program *pick(struct rnd *rnd, unsigned int known)
{
	unsigned int newest = known - nr_sequences();
	unsigned int i = rnd_below(rnd, known);

	if (newest && rnd_one_in(rnd, 2))
		i = nr_sequences() + rnd_below(rnd, newest);
	if (newest > 32 && rnd_one_in(rnd, 3))
		i = known - 1 - rnd_below(rnd, 32);
	return &common->corpus[i].program;
}

void corpus_draw(struct program *p, const struct program_id *id)
{
	struct rnd rnd;

	rnd_seed(&rnd, common->seed, id->worker, id->nr);
	/* as they are, once each */
	if (id->nr < nr_sequences()) {
		*p = common->corpus[id->nr].program;
		return;
	}
	if (rnd_one_in(&rnd, 3)) {
		gen_program(&rnd, p);
		return;
	}
	*p = *pick(&rnd, id->known);
	mutate(&rnd, p, pick(&rnd, id->known));
}

void corpus_join(const struct program *p, const struct program_id *id,
		 unsigned int new_pcs)
{
	struct entry *entry;

	while (__atomic_exchange_n(&common->corpus_lock, 1, __ATOMIC_ACQUIRE))
		sched_yield();
	if (common->nr_corpus < MAX_CORPUS) {
		entry = &common->corpus[common->nr_corpus];
		entry->id = *id;
		entry->program = *p;
		/* in the order in which they join: corpus_read() relies on it */
		fprintf(out, "# joined %u %u:%u:%u, %u new\n", common->nr_corpus,
			id->worker, id->nr, id->known, new_pcs);
		fflush(out);
		__atomic_store_n(&common->nr_corpus, common->nr_corpus + 1,
				 __ATOMIC_RELEASE);
	}
	__atomic_store_n(&common->corpus_lock, 0, __ATOMIC_RELEASE);
}

/* What had joined in a run with the same seed, from what that has printed. */
bool corpus_read(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		unsigned int nr;
		struct entry *entry;
		struct program_id id;

		if (sscanf(line, "# joined %u %u:%u:%u", &nr, &id.worker, &id.nr,
			   &id.known) != 4 || nr != common->nr_corpus ||
		    nr == MAX_CORPUS || id.known > nr)
			continue;
		entry = &common->corpus[nr];
		entry->id = id;
		corpus_draw(&entry->program, &id);
		common->nr_corpus++;
	}
	fclose(file);
	return true;
}
