// SPDX-License-Identifier: GPL-2.0
/*
 * The references to one notifier: it completes once, not before its slot is flushed, its requests
 * are over and no skb has its pages, and then at once. Nobody touches it later, and whoever posts
 * it knows whether bytes were copied.
 *
 * It stands for
 *   rust/sys/handle.rs	Handle::put()
 *   rust/sys/ubuf.rs	Reference, complete()
 *   rust/sys/link.rs	link_skb(), for an skb that carries nothing
 *
 * What an order of memory forbids is a bug here that does things in the other order.
 *
 * run 2 requests, 2 skbs each: -DREQUESTS=2
 *
 * bug NO_SKB_REFERENCE: an skb gets no reference of its own
 * bug NO_PART_REFERENCE: an skb is split, and the other part gets no reference
 * bug TORN_DEC: a reference is dropped in two steps
 * bug UNTESTED_DEC: the last handle drops its reference, and doesn't look whether it was the last
 * bug STALE_ONE: "the only reference" is what the count was before the lock was taken
 * bug ANY_HANDLE: "the only reference" is asked for though there are other handles
 * bug UNLOCKED: handles are counted without the lock
 * bug RELAXED_DEC: a reference is dropped before what was done with it is seen (release)
 * bug RELAXED_ONE: "the only reference" is seen before what others did with theirs (acquire)
 */
bool locked;			/* ctx->uring_lock */
byte handles = REQUESTS + 1;	/* one of the slot, one of each request */
byte refcnt = 1;		/* one of all handles */
bool copied;			/* io_notif_head.copied */

byte skbs;			/* which have pages */
bool was_copied;		/* what the notification has to say */
bool completed;

#define NOTIFIER()	assert(!completed)

/* Whoever dropped the last reference; @seen is what it knows of copied bytes. */
inline complete(seen)
{
	d_step {
		assert(!completed && !skbs && !handles && !refcnt);
		completed = true;
		assert(seen == was_copied)
	}
}

/* refcount_dec_and_test(): @last */
inline dec_and_test(last)
{
#ifdef TORN_DEC
	last = refcnt;
	d_step { NOTIFIER(); refcnt = last - 1; last = !refcnt }
#else
	d_step { NOTIFIER(); assert(refcnt); refcnt--; last = !refcnt }
#endif
}

/* Somebody frees the skb, or copies what it has, or splits it in two. */
proctype skb(bool parts)
{
	bool copy;
	byte last;

	if
	:: parts ->
		/* skb_zcopy_set() for the other part */
		d_step { NOTIFIER(); skbs++
#ifndef NO_PART_REFERENCE
			; refcnt++
#endif
		};
		run skb(false)
	:: true
	fi;
	if
	:: copy = true
	:: true
	fi;
	/* complete(), and the pages are no longer used */
	atomic {
		skbs--;
		was_copied = was_copied || copy
	};
#ifndef RELAXED_DEC
	if
	:: copy -> d_step { NOTIFIER(); copied = true }
	:: else
	fi;
#endif
	dec_and_test(last);
#ifdef RELAXED_DEC
	if
	:: copy -> copied = true
	:: else
	fi;
#endif
	if
	/* Notifier::queue(): it goes by its lane */
	:: last -> complete(copied)
	:: else
	fi
}

/* Handle::put() */
inline put()
{
#ifdef STALE_ONE
	one = refcnt == 1;
#endif
#ifndef UNLOCKED
	atomic { !locked -> locked = true };
#endif
#ifdef ANY_HANDLE
	one = refcnt == 1;
#endif
	NOTIFIER();
#ifdef UNLOCKED
	left = handles;
	handles = left - 1;
	left = handles;
#else
	d_step { handles--; left = handles };
#endif
#ifdef RELAXED_ONE
	seen = copied;
#endif
	if
#ifdef ANY_HANDLE
	:: left && !one -> skip
#else
	:: left
#endif
	:: else ->
#if !defined(STALE_ONE) && !defined(ANY_HANDLE)
		d_step { NOTIFIER(); one = refcnt == 1 };
#endif
#ifndef RELAXED_ONE
		seen = copied;
#endif
		if
		:: one -> d_step { NOTIFIER(); refcnt = 0 }; complete(seen)
		:: else ->
			dec_and_test(last);
			if
#ifndef UNTESTED_DEC
			:: last -> complete(copied)
#endif
			:: else
			fi
		fi
	fi;
	locked = false
}

proctype request(byte nr)
{
	bool one, seen;
	byte last, left;

	/* it sends nothing, or one skb, or two parts of one */
	if
	:: true ->
		d_step { NOTIFIER(); skbs++
#ifndef NO_SKB_REFERENCE
			; refcnt++
#endif
		};
		run skb(true)
	:: true
	fi;
	put()
}

active proctype flush()
{
	bool one, seen;
	byte last, left;

	put()
}

init {
	byte i;

	atomic {
		for (i : 1 .. REQUESTS) {
			run request(i)
		}
	};
	/* nothing else happens any more */
	timeout;
	assert(completed)
}
