// SPDX-License-Identifier: GPL-2.0

//! Kernel-owned buffers, which IORING_OP_GET_BUF fills: what they may hold.
//!
//! A buffer is [`Filling`] until it is [`Sealed`]. What it holds counts against RLIMIT_MEMLOCK all the
//! time, as whole compound pages: a segment of one byte may keep 32 KiB. Neighbours in one of them
//! count once.

use crate::sys::{
    Charge,
    PageId,
    Quota,
    Sealed, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What is in the entry of the buffer table that a buffer is to go to.
pub(crate) enum Place {
    Empty,
    /// A buffer of IORING_OP_GET_BUF.
    Taken,
    /// One of the program's own, or a driver's.
    Other,
}

impl Place {
    /// Fails with `EBUSY` unless a buffer may go there. `replace`: the program gives up what it took.
    pub(crate) fn admit(self, replace: bool) -> Result {
        match self {
            Self::Empty => Ok(()),
            Self::Taken if replace => Ok(()),
            Self::Taken | Self::Other => Err(EBUSY),
        }
    }
}

/// What a buffer holds that is being filled. Nothing counts any more when it is dropped.
pub(crate) struct Filling {
    charge: Charge,
    last: Option<PageId>,
}

impl Filling {
    pub(crate) fn new(quota: Arc<Quota>) -> Self {
        Self {
            charge: Charge::none(quota),
            last: None,
        }
    }

    /// The buffer is to hold a part of 2^`order` pages that begin with `head`.
    ///
    /// Fails with `ENOMEM` when they are too many.
    #[inline]
    pub(crate) fn admit(&mut self, head: PageId, order: u32) -> Result {
        if self.last == Some(head) {
            return Ok(());
        }
        self.charge.add(1 << order)?;
        self.last = Some(head);
        Ok(())
    }

    /// The buffer is full, or there is no more. `None`: it holds nothing.
    pub(crate) fn seal(self) -> Option<Sealed> {
        self.charge.seal()
    }
}

#[kunit_tests(io_uring_notif_kbuf)]
mod tests {
    use super::*;
    use crate::sys::{
        put_quota,
        testing::with_test_ring, //
    };

    fn page(n: usize) -> PageId {
        PageId::new(core::ptr::without_provenance(n * 64))
    }

    #[test]
    fn neighbours_count_once() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut filling = Filling::new(quota.clone());
            for (head, order, pages) in [(1, 0, 1), (1, 0, 1), (2, 3, 9), (2, 3, 9), (1, 0, 10)] {
                filling.admit(page(head), order)?;
                assert_eq!(quota.pages(), pages);
            }
            assert_eq!(quota.buffers(), 0);
            Ok(())
        })
    }

    #[test]
    fn nothing_counts_after_a_failure() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut filling = Filling::new(quota.clone());
            filling.admit(page(1), 4)?;
            drop(filling);
            assert_eq!(quota.pages(), 0);
            assert!(Filling::new(quota.clone()).seal().is_none());
            assert_eq!(quota.buffers(), 0);
            Ok(())
        })
    }

    #[test]
    fn the_last_buffer_takes_the_quota_along() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut sealed = [None, None];
            for (n, sealed) in sealed.iter_mut().enumerate() {
                let mut filling = Filling::new(quota.clone());
                filling.admit(page(n), 1)?;
                *sealed = filling.seal();
            }
            assert_eq!((quota.buffers(), quota.pages()), (2, 4));
            let [first, last] = sealed;
            assert_eq!(first.map(Sealed::release), Some(false));
            assert_eq!((quota.buffers(), quota.pages()), (1, 2));
            assert!(!put_quota(quota));
            assert_eq!(last.map(Sealed::release), Some(true));
            Ok(())
        })
    }

    #[test]
    fn only_what_was_taken_is_replaced() {
        for replace in [false, true] {
            assert!(Place::Empty.admit(replace).is_ok());
            assert!(Place::Other.admit(replace).is_err());
            assert_eq!(Place::Taken.admit(replace).is_ok(), replace);
        }
    }
}
