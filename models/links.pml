// SPDX-License-Identifier: GPL-2.0
/*
 * Notifiers that meet in an skb: each completes once, as soon as its requests are over and no skb
 * has its pages, and waits for nothing else: any skb here may stay for ever. All members of a link
 * get to know that their bytes were copied before they complete; nobody looks at the members of a
 * link while another one is added.
 *
 * It stands for
 *   rust/sys/link.rs	link_skb(), unlink_skb(), link(), complete_link()
 *   rust/sys/members.rs	Unshared; that a lane may let go of the members later is one interleaving
 *   rust/sys/ubuf.rs	Reference, complete()
 *   skbuff.c, skbuff.h	skb_clone(), pskb_expand_head(), skb_release_data(), skb_split() of the kernel
 *
 * The sender has the socket's lock. It adds pages of its notifiers to the last skb of the write
 * queue, in any order, or fails to, and has that split, or cloned for a transmission that fails: the
 * clone is freed, or gets data of its own. Notifiers are numbers below LINK, links those from there on.
 *
 * run appended and split, links of 3: -DNOTIFIERS=3 -DOPS=4 -DSPLIT -DFAIL -DMAX_MEMBERS=3
 * run appended and split, links of 2: -DNOTIFIERS=3 -DOPS=3 -DSPLIT -DFAIL -DMAX_MEMBERS=2
 * run appended and cloned, links of 3: -DNOTIFIERS=3 -DOPS=4 -DCLONE -DMAX_MEMBERS=3
 *
 * bug NO_MEMBER_REFERENCE: a link takes over the notifiers of another one without references
 * bug KEPT_REFERENCE: the skb gets a link, and what it carried before loses no reference
 * bug TAKEN_TWICE: a link takes over the skb's reference to a notifier, which is dropped too
 * bug ALWAYS_IN_PLACE: a notifier is added to a link that two skbs carry
 * bug LATE_COPIED: members get to know that they were copied after the reference is dropped
 * bug NEVER_UNLINKED: the skb keeps a notifier that it has no pages of, as adding them failed
 * bug ALWAYS_UNLINKED: it loses one that it had pages of before
 * bug NO_CLONE_CHECK of run 3: the skb gets a link though it has a clone
 * bug LOADS_SWAPPED of run 3: the references to a link are counted before the clones of the skb
 */
#define LINK	8
#define NONE	255
#define LINKS	OPS
#define DATAS	(OPS + 2)
#define BIT(nr)	(1 << (nr))
#define COUNT(set)	((set & 1) + (set >> 1 & 1) + (set >> 2 & 1))

/* Notifiers */
byte refcnt[NOTIFIERS] = 1;	/* one of the handles */
bool over[NOTIFIERS];		/* there are no handles any more */
bool copied[NOTIFIERS];
byte pages[NOTIFIERS];		/* which data has pages: a bit for each */
bool was_copied[NOTIFIERS];	/* what the notification has to say */
bool completed[NOTIFIERS];

/* Links */
byte link_refcnt[LINKS];
byte members[LINKS];		/* which notifiers: a bit for each */
byte looking[LINKS];		/* how many look at the members */
bool gone[LINKS];
byte links;

/* Data of skbs, which clones share */
byte carried[DATAS] = NONE;	/* skb_shinfo()->destructor_arg */
byte dataref[DATAS] = 1;
byte datas = 1;

#define NOTIFIER(n)	assert(!completed[n])
#define ALIVE(l)	assert(!gone[l])

/* Drop a reference to notifier @n. Part of a step, as most of what follows. */
inline put(n)
{
	NOTIFIER(n);
	assert(refcnt[n]);
	refcnt[n]--;
	if
	:: !refcnt[n] ->
		assert(over[n] && !pages[n] && copied[n] == was_copied[n]);
		completed[n] = true
	:: else
	fi
}

/* With each notifier @i of @set */
#define FOR_EACH(set, action) \
	i = 0; \
	do \
	:: i < NOTIFIERS -> \
		if \
		:: (set) & BIT(i) -> action \
		:: else \
		fi; \
		i++ \
	:: else -> break \
	od; \
	i = 0

/* Of @i, does @d have pages of it? */
#define HAVE_PAGES(d)	((pages[i] >> (d) & 1) << i)

inline set_copied(set)
{
	FOR_EACH(set, NOTIFIER(i); copied[i] = true)
}

/* Steps: all members of a link were copied. */
inline tell_members(l)
{
	d_step { ALIVE(l); looking[l]++ };
	d_step { ALIVE(l); set_copied(members[l]) };
	d_step { ALIVE(l); looking[l]-- }
}

/* Steps: complete_link() */
inline put_link(l, copy)
{
#ifndef LATE_COPIED
	if
	:: copy -> tell_members(l)
	:: else
	fi;
#endif
	d_step { ALIVE(l); assert(link_refcnt[l]); link_refcnt[l]--; last = !link_refcnt[l] };
	if
	:: last -> d_step { assert(!looking[l]); gone[l] = true; FOR_EACH(members[l], put(i)) }
	:: else
#ifdef LATE_COPIED
		-> if
		:: copy -> tell_members(l)
		:: else
		fi
#endif
	fi
}

/* Steps: skb_release_data(), of data that was copied meanwhile, or not */
inline release(d, copy)
{
	d_step {
		dataref[d]--;
		last = !dataref[d];
		if
		:: last -> FOR_EACH(HAVE_PAGES(d), was_copied[i] = was_copied[i] || copy; pages[i] = pages[i] & ~BIT(d))
		:: else
		fi
	};
	if
	:: last && carried[d] == NONE
	:: last && carried[d] < LINK ->
		if
		:: copy -> d_step { set_copied(BIT(carried[d])) }
		:: else
		fi;
		d_step { put(carried[d]) }
	:: last && carried[d] >= LINK && carried[d] != NONE -> put_link(carried[d] - LINK, copy)
	:: else
	fi
}

/* More data with the pages of @d: skb_zcopy_set() */
inline share(d)
{
	d_step {
		new = datas;
		datas++;
		carried[new] = carried[d];
		if
		:: carried[d] == NONE
		:: carried[d] < LINK -> NOTIFIER(carried[d]); refcnt[carried[d]]++
		:: else -> ALIVE(carried[d] - LINK); link_refcnt[carried[d] - LINK]++
		fi;
		FOR_EACH(HAVE_PAGES(d), pages[i] = pages[i] | BIT(new))
	}
}

/* An skb that was sent: it stays for ever, or is copied or not, and freed. */
proctype sent(byte d)
{
	byte i;
	bool last;

	if
	:: release(d, false)
	:: release(d, true)
	:: skip
	fi
}

/* A clone: it stays for ever, is freed, or gets data of its own, pskb_expand_head(). */
proctype clone(byte d)
{
	byte i, new;
	bool last;

	if
	:: release(d, false)
	:: 	share(d);
		release(d, false);
		run sent(new)
	:: skip
	fi
}

/* Steps: link(), as @d carries another notifier than @n, or a link */
inline link(d, n)
{
	old = carried[d];
	if
	:: old < LINK ->
		d_step {
			NOTIFIER(n);
			NOTIFIER(old);
			new = links;
			links++;
			members[new] = BIT(old) | BIT(n);
			link_refcnt[new] = 1;
			refcnt[n]++;
#ifndef TAKEN_TWICE
			refcnt[old]++;
#endif
		};
		carried[d] = LINK + new;
#ifndef KEPT_REFERENCE
		d_step { put(old) }
#endif
	:: else ->
		d_step { old = old - LINK; ALIVE(old) };
		if
		:: members[old] & BIT(n) -> linked = false
		:: !(members[old] & BIT(n)) && COUNT(members[old]) == MAX_MEMBERS -> fresh = true
		:: else ->
#ifndef LOADS_SWAPPED
			d_step { ALIVE(old); alone = link_refcnt[old] == 1 };
#endif
#ifdef ALWAYS_IN_PLACE
			alone = true;
#endif
			if
			:: alone ->
				/* the members may move in memory as another one is added */
				d_step {
					ALIVE(old);
					assert(!looking[old]);
					members[old] = members[old] | BIT(n);
					refcnt[n]++
				}
			:: else ->
				d_step {
					ALIVE(old);
					new = links;
					links++;
					members[new] = members[old] | BIT(n);
					link_refcnt[new] = 1;
					refcnt[n]++;
#ifndef NO_MEMBER_REFERENCE
					FOR_EACH(members[old], NOTIFIER(i); refcnt[i]++)
#endif
				};
				carried[d] = LINK + new;
				put_link(old, false)
			fi
		fi
	fi
}

/* Steps: unlink_skb(), as no page of notifier @n was added to @d, which had none of it */
inline unlink(d, n)
{
	if
	:: carried[d] == n -> d_step { carried[d] = NONE; put(n) }
	:: else ->
		d_step {
			old = carried[d] - LINK;
			ALIVE(old);
			assert(link_refcnt[old] == 1 && !looking[old] && (members[old] & BIT(n)));
			members[old] = members[old] & ~BIT(n);
			put(n)
		}
	fi
}

/*
 * Steps: skb_zerocopy_iter_stream() and link_skb(), pages of notifier @n are added to the last skb,
 * whose data is @d
 */
inline append(d, n)
{
	fresh = false;
	linked = true;
#ifdef LOADS_SWAPPED
	if
	:: carried[d] >= LINK && carried[d] != NONE -> alone = link_refcnt[carried[d] - LINK] == 1
	:: else
	fi;
#endif
	if
	:: carried[d] == n -> linked = false
	:: carried[d] == NONE -> d_step { NOTIFIER(n); carried[d] = n; refcnt[n]++ }
	:: else ->
		if
#ifndef NO_CLONE_CHECK
		:: dataref[d] != 1 -> fresh = true
#endif
		:: else -> link(d, n)
		fi
	fi;
	if
	:: fresh ->
		run sent(d);
		d_step {
			NOTIFIER(n);
			d = datas;
			datas++;
			carried[d] = n;
			refcnt[n]++
		}
	:: else
	fi;
#ifdef ALWAYS_UNLINKED
	linked = true;
#endif
	if
	:: d_step { NOTIFIER(n); pages[n] = pages[n] | BIT(d) }
#ifdef FAIL
	/* a bad address */
	:: linked ->
#ifdef NEVER_UNLINKED
		skip
#else
		unlink(d, n)
#endif
#endif
	fi
}

/* The requests of notifier @n are over, and it is flushed: its handles go. */
#define END(n)	d_step { over[n] = true; put(n) }

/* Requests of all notifiers send on one socket. */
active proctype sender()
{
	byte d, n, used, ops, i, old, new;
	bool fresh, linked, alone, last;

	do
	:: ops < OPS ->
		ops++;
		if
		/* it makes no difference which of the notifiers comes first */
		:: select (n : 0 .. NOTIFIERS - 1);
			if
			:: n <= used && !over[n] ->
				append(d, n);
				if
				:: n == used -> used++
				:: else
				fi;
				if
				:: END(n)
				:: skip
				fi
			:: else
			fi
#ifdef SPLIT
		/* tcp_fragment(): the first part is sent */
		:: 	share(d);
			run sent(new)
#endif
#ifdef CLONE
		:: carried[d] != NONE && datas == 1 && dataref[d] == 1 ->
			dataref[d]++;
			run clone(d)
#endif
		fi
	:: else -> break
	od;
	run sent(d);
	for (n : 0 .. NOTIFIERS - 1) {
		if
		:: !over[n] -> END(n)
		:: else
		fi
	}
}

init {
	byte n;

	/* nothing else happens any more */
	timeout;
	for (n : 0 .. NOTIFIERS - 1) {
		assert(completed[n] == !pages[n])
	}
}
