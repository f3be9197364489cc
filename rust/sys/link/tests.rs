// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of links: notifiers that meet in an skb.

use super::*;

#[kunit_tests(io_uring_notif_link)]
mod link {
    use super::*;
    use crate::{
        notifier::State,
        sys::{
            members::end_link,
            testing::{
                with_test_ring,
                Skb, //
            },
            Handle,
            Idle,
            Ids,
            Lane,
            Locked,
            Terms, //
        }, //
    };

    fn by<'ring>(
        lane: &Lane<'ring>,
        ids: &mut Ids<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result<Handle<'ring>> {
        Ok(Idle::new(lock)?.share(ids.next(), Terms::default(), lane, State::default()))
    }

    fn shared<'ring>(ids: &mut Ids<'ring>, lock: &mut Locked<'ring>) -> Result<Handle<'ring>> {
        by(&Lane::new(lock)?, ids, lock)
    }

    fn refs(handle: &Handle<'_>) -> i32 {
        // SAFETY: The handle keeps the notifier.
        let reference = ManuallyDrop::new(unsafe { Reference::from_raw(handle.head().cast()) });
        reference.notifier().refcnt().read()
    }

    fn end<'ring>(handle: Handle<'ring>, lock: &mut Locked<'ring>) -> Result {
        let _idle = handle.put(lock).ok_or(EINVAL)?.settle(lock);
        Ok(())
    }

    #[test]
    fn one_notifier_makes_no_link() -> Result {
        with_test_ring(|lock, mut ids| {
            let (skb, a) = (Skb::new()?, shared(&mut ids, lock)?);
            assert_eq!((skb.link(&a), skb.link(&a)), (1, 0));
            assert_eq!(skb.carried(), a.head().cast());
            assert_eq!(refs(&a), 2);
            drop(skb);
            assert_eq!(refs(&a), 1);
            end(a, lock)
        })
    }

    #[test]
    fn a_link_holds_each_once() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            for (handle, is_new) in [(&a, 1), (&b, 1), (&a, 0), (&b, 0)] {
                assert_eq!(skb.link(handle), is_new);
            }
            assert_eq!((refs(&a), refs(&b)), (2, 2));
            drop(skb);
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            end(a, lock)?;
            end(b, lock)
        })
    }

    #[test]
    fn what_is_added_after_a_split_is_not_the_other_parts() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let c = shared(&mut ids, lock)?;
            let skb = Skb::new()?;
            assert_eq!((skb.link(&a), skb.link(&b)), (1, 1));
            let split = skb.carried();
            // SAFETY: The skb carries a link. This is the other part's reference.
            unsafe { refcnt(split) }.inc();
            assert_eq!(skb.link(&c), 1);
            assert_eq!((refs(&a), refs(&b), refs(&c)), (3, 3, 2));
            drop(skb);
            assert_eq!((refs(&a), refs(&b), refs(&c)), (2, 2, 1));
            // SAFETY: The reference taken above.
            unsafe { complete_link(split, false) };
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            let mut copied = [false; 3];
            for (handle, copied) in [a, b, c].into_iter().zip(&mut copied) {
                let completed = handle.put(lock).ok_or(EINVAL)?;
                *copied = completed.was_copied();
                let _idle = completed.settle(lock);
            }
            assert_eq!(copied, [true, true, false]);
            Ok(())
        })
    }

    #[test]
    fn a_link_that_comes_by_a_lane_completes_its_notifiers() -> Result {
        with_test_ring(|lock, mut ids| {
            let lane = Lane::new(lock)?;
            let (a, b) = (by(&lane, &mut ids, lock)?, by(&lane, &mut ids, lock)?);
            let skb = Skb::new()?;
            // What comes by a lane is counted, and had been counted before.
            (0..2).for_each(|_| Total::Created.count());
            assert_eq!((skb.link(&a), skb.link(&b)), (1, 1));
            let link = skb.carried();
            // SAFETY: The skb carries a link. This is as the reference of a lane.
            unsafe { refcnt(link) }.inc();
            drop(skb);
            let in_order = a.id() < b.id();
            assert!(in_order && a.put(lock).is_none() && b.put(lock).is_none());
            // SAFETY: Nobody else has the link, and all is of the test's ring.
            let mut completed = unsafe { end_link(link.cast(), lock) };
            let ids = [(); 2].map(|()| completed.pop_front().map(|c| (c.id(), c.settle(lock))));
            assert!(matches!(&ids, [Some((a, _)), Some((b, _))] if a < b));
            assert!(completed.is_empty());
            Ok(())
        })
    }

    #[test]
    fn nothing_stays_of_what_is_taken_back() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            assert_eq!(skb.link(&a), 1);
            // SAFETY: This was just linked.
            unsafe { skb.unlink(&a) };
            assert!(skb.carried().is_null());
            assert_eq!((skb.link(&a), skb.link(&b)), (1, 1));
            // SAFETY: As above.
            unsafe { skb.unlink(&b) };
            assert_eq!((refs(&a), refs(&b)), (2, 1));
            assert_eq!((skb.link(&a), skb.link(&b)), (0, 1));
            drop(skb);
            assert_eq!((refs(&a), refs(&b)), (1, 1));
            end(a, lock)?;
            end(b, lock)
        })
    }

    /// TCP has marked the skb before, or whoever has put pages into it.
    #[test]
    fn taken_back_leaves_the_skb_as_it_was() -> Result {
        with_test_ring(|lock, mut ids| {
            let (skb, a) = (Skb::new()?, shared(&mut ids, lock)?);
            for (before, nr_frags) in [
                (0, 0),
                (bindings::SKBFL_PURE_ZEROCOPY, 0),
                (bindings::SKBFL_SHARED_FRAG, 1),
            ] {
                skb.set_shared_info(before as u8, nr_frags);
                assert_eq!(skb.link(&a), 1);
                // SAFETY: This was just linked.
                unsafe { skb.unlink(&a) };
                assert!(skb.carried().is_null());
                assert_eq!(skb.flags(), before as u8);
            }
            skb.set_shared_info(0, 0);
            drop(skb);
            assert_eq!(refs(&a), 1);
            end(a, lock)
        })
    }

    #[test]
    fn a_full_link_asks_for_a_fresh_skb() -> Result {
        with_test_ring(|lock, mut ids| {
            let skb = Skb::new()?;
            let mut all = KVec::new();
            for _ in 0..=MAX_MEMBERS {
                all.push(shared(&mut ids, lock)?, GFP_KERNEL)?;
            }
            for handle in &all[..MAX_MEMBERS] {
                assert_eq!(skb.link(handle), 1);
            }
            assert_eq!(skb.link(&all[MAX_MEMBERS]), EEXIST.to_errno());
            drop(skb);
            while let Some(handle) = all.pop() {
                end(handle, lock)?;
            }
            Ok(())
        })
    }

    #[test]
    fn others_and_clones_ask_for_a_fresh_skb() -> Result {
        with_test_ring(|lock, mut ids| {
            let (a, b) = (shared(&mut ids, lock)?, shared(&mut ids, lock)?);
            let skb = Skb::new()?;
            assert_eq!(skb.link(&a), 1);
            let clone = skb.try_clone()?;
            assert_eq!(skb.link(&b), EEXIST.to_errno());
            assert_eq!((refs(&a), refs(&b)), (2, 1));
            drop(clone);
            assert_eq!(skb.link(&b), 1);
            drop(skb);
            end(a, lock)?;
            end(b, lock)
        })
    }
}
