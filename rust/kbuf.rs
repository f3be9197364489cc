// SPDX-License-Identifier: GPL-2.0

//! Kernel-owned buffers, which IORING_OP_GET_BUF fills: what they may hold.
//!
//! A buffer is [`Filling`] until it is [`Sealed`]. What it holds counts against RLIMIT_MEMLOCK all
//! the time, as whole compound pages: a segment of one byte may keep 32 KiB. Neighbours in one of
//! them count once. While it is filled some more may count, so that not each segment has to be
//! asked for.

use crate::sys::{
    Charge,
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
    /// Fails with `EBUSY` unless a buffer may go there. `replace`: the program gives up what it
    /// took.
    pub(crate) fn admit(self, replace: bool) -> Result {
        match self {
            Self::Empty => Ok(()),
            Self::Taken if replace => Ok(()),
            Self::Taken | Self::Other => Err(EBUSY),
        }
    }
}

/// So many pages count at a time, if there may be so many.
const STEP: u32 = 64;

/// What a buffer holds that is being filled. Nothing counts any more when it is dropped.
pub(crate) struct Filling {
    charge: Charge,
}

impl Filling {
    pub(crate) fn new(quota: Arc<Quota>) -> Self {
        Self {
            charge: Charge::none(quota),
        }
    }

    /// The buffer is to hold `pages` more. How many count from now on: so many, or more.
    ///
    /// Fails with `ENOMEM` when they are too many.
    pub(crate) fn admit(&mut self, pages: u32) -> Result<u32> {
        if pages < STEP && self.charge.add(STEP).is_ok() {
            return Ok(STEP);
        }
        self.charge.add(pages)?;
        Ok(pages)
    }

    /// The buffer is full, or there is no more, and it doesn't hold `spare` of the pages that
    /// count. `None`: it holds nothing.
    pub(crate) fn seal(mut self, spare: u32) -> Option<Sealed> {
        self.charge.sub(spare);
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

    #[test]
    fn what_is_spare_does_not_count_in_the_end() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut filling = Filling::new(quota.clone());
            assert_eq!(filling.admit(1)?, STEP);
            assert_eq!(filling.admit(STEP + 1)?, STEP + 1);
            assert_eq!(quota.pages(), 2 * STEP as usize + 1);
            assert_eq!(quota.buffers(), 0);
            let sealed = filling.seal(2 * STEP - 2);
            assert_eq!((quota.buffers(), quota.pages()), (1, 3));
            assert_eq!(sealed.map(Sealed::release), Some(false));
            assert_eq!((quota.buffers(), quota.pages()), (0, 0));
            Ok(())
        })
    }

    #[test]
    fn nothing_counts_after_a_failure() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut filling = Filling::new(quota.clone());
            filling.admit(16)?;
            drop(filling);
            assert_eq!(quota.pages(), 0);
            let mut filling = Filling::new(quota.clone());
            let spare = filling.admit(1)?;
            assert!(filling.seal(spare).is_none());
            assert!(Filling::new(quota.clone()).seal(0).is_none());
            assert_eq!((quota.buffers(), quota.pages()), (0, 0));
            Ok(())
        })
    }

    #[test]
    fn the_last_buffer_takes_the_quota_along() -> Result {
        with_test_ring(|lock, _| {
            let quota = Quota::new(lock)?;
            let mut sealed = [None, None];
            for sealed in &mut sealed {
                let mut filling = Filling::new(quota.clone());
                let pages = filling.admit(2)?;
                *sealed = filling.seal(pages - 2);
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
