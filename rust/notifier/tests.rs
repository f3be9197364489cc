// SPDX-License-Identifier: GPL-2.0

//! KUnit tests of a notifier's life.

use super::*;

#[kunit_tests(io_uring_notif_notifier)]
mod notifier {
    use super::*;
    use crate::sys::{
        testing::with_test_ring,
        Ids, //
    };

    fn share<'ring>(report: bool) -> Share<'ring> {
        Share {
            report,
            pages: LockedPages::none(),
        }
    }

    /// The notifier of slot 3 with one request attached, which it takes `idle` for.
    fn first<'ring>(
        idle: Idle<'ring>,
        tag: u64,
        ids: &mut Ids<'ring>,
        lock: &mut Locked<'ring>,
    ) -> Result<Attached<'ring>> {
        let from = Origin {
            slot: 3,
            tag,
            raw_seq: true,
        };
        Ok(idle.attach(
            ids.next(),
            &Lane::new(lock)?,
            from,
            Terms::default(),
            share(false),
        ))
    }

    #[test]
    fn flush_waits_for_requests() -> Result {
        with_test_ring(|lock, mut ids| {
            let one = first(Idle::new(lock)?, 42, &mut ids, lock)?;
            let notifier = one.activate(lock);
            assert_eq!(notifier.attached(lock), 1);
            let second = notifier.attach(share(false), lock);
            assert_eq!(notifier.attached(lock), 2);

            assert!(one.detach(lock).is_none());
            assert!(notifier.flush(7, lock).is_none());
            let mut completed = second.detach(lock).ok_or(EINVAL)?;
            let notification = completed.notification();
            assert_eq!(notification.user_data, 42);
            assert_eq!(notification.slot, 3);
            assert_eq!(notification.flags, 7);
            assert_eq!(notification.res, 0);
            let _idle = completed.settle(lock);
            Ok(())
        })
    }

    #[test]
    fn requests_wait_for_flush() -> Result {
        with_test_ring(|lock, mut ids| {
            let request = first(Idle::new(lock)?, 42, &mut ids, lock)?;
            let notifier = request.activate(lock);
            assert!(request.detach(lock).is_none());
            let completed = notifier.flush(0, lock).ok_or(EINVAL)?;
            let _idle = completed.settle(lock);
            Ok(())
        })
    }

    #[test]
    fn last_one_takes_the_share_of_the_slot() -> Result {
        with_test_ring(|lock, mut ids| {
            let request = first(Idle::new(lock)?, 42, &mut ids, lock)?;
            let notifier = request.activate(lock);
            let last = notifier.attach_last(share(false), 5, lock);
            assert!(last.detach(lock).is_none());
            let mut completed = request.detach(lock).ok_or(EINVAL)?;
            assert_eq!(completed.notification().flags, 5);
            let _idle = completed.settle(lock);
            Ok(())
        })
    }

    #[test]
    fn reuse_forgets() -> Result {
        with_test_ring(|lock, mut ids| {
            let request = first(Idle::new(lock)?, 42, &mut ids, lock)?;
            let notifier = request.activate(lock);
            let reporting = notifier.attach(share(true), lock);
            assert!(request.detach(lock).is_none());
            assert!(reporting.detach(lock).is_none());
            let completed = notifier.flush(9, lock).ok_or(EINVAL)?;

            let request = first(completed.settle(lock), 43, &mut ids, lock)?;
            request.flush(1, lock);
            let mut completed = request.detach(lock).ok_or(EINVAL)?;
            let notification = completed.notification();
            assert_eq!(notification.user_data, 43);
            assert_eq!(notification.flags, 1);
            let _idle = completed.settle(lock);
            Ok(())
        })
    }

    #[test]
    fn bearer_is_the_notification() -> Result {
        for mute in [false, true] {
            with_test_ring(|lock, mut ids| {
                let request = first(Idle::new(lock)?, 42, &mut ids, lock)?;
                let notifier = request.activate(lock);
                let bearer = notifier.attach_last(share(false), 5, lock);
                bearer.bear(lock);
                let end = End {
                    user_data: 77,
                    res: -14,
                    mute,
                };
                assert!(bearer.detach_bearer(end, lock).is_none());
                let mut completed = request.detach(lock).ok_or(EINVAL)?;
                let notification = completed.notification();
                assert_eq!(notification.user_data, 77);
                assert_eq!(notification.res, -14);
                assert_eq!(notification.flags, 0);
                assert_eq!(notification.mute, mute);
                let _idle = completed.settle(lock);
                Ok(())
            })?;
        }
        Ok(())
    }

    #[test]
    fn flags() {
        assert_eq!(cqe_flags(0x1_8002, true), 0x1_8002);
        assert_eq!(
            cqe_flags(0x1_8002, false),
            bindings::IORING_CQE_F_NOTIF | 0x8002 << 16
        );
    }
}
