// SPDX-License-Identifier: GPL-2.0

//! The abstractions that notification slots stand on.
//!
//! Everything that is `unsafe` is here and in [`crate::ops`].

mod buffer;
mod chain;
mod ctx;
mod handle;
mod lane;
mod link;
mod members;
mod memory;
mod quota;
#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
pub(crate) mod testing;
mod totals;
pub(crate) mod trace;
mod uapi;
mod ubuf;

pub(crate) use buffer::Buffer;
pub(crate) use chain::Chain;
pub(crate) use ctx::{CqLocked, Id, Ids, Locked, LockedPages, RingRef};
pub(crate) use handle::Handle;
pub(crate) use lane::Lane;
pub(crate) use link::complete_link;
pub(crate) use members::end_link;
pub(crate) use memory::{Completed, Idle, Terms};
pub(crate) use quota::{put_quota, Charge, Quota, Sealed};
pub(crate) use totals::Total;
pub(crate) use uapi::{RegisterArg, SlotConfig};
pub(crate) use ubuf::complete;

/// Clamps an index to an array, also where the CPU only guesses that it is in bounds.
#[inline]
pub(crate) fn index_nospec(index: usize, len: usize) -> usize {
    // SAFETY: There are no safety requirements for this FFI call.
    unsafe { kernel::bindings::array_index_nospec(index, len) }
}

/// Lets others run. Task context, without a lock that spins.
#[inline]
pub(crate) fn cond_resched() {
    // SAFETY: There are no safety requirements for this FFI call, but what sleeping asks for.
    unsafe { kernel::bindings::cond_resched() };
}
