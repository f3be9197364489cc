// SPDX-License-Identifier: GPL-2.0

//! The abstractions that notification slots stand on.
//!
//! Everything that is `unsafe` is here and in [`crate::ops`].

mod buffer;
mod ctx;
mod lane;
mod memory;
mod totals;
pub(crate) mod trace;
mod uapi;
mod ubuf;

pub(crate) use buffer::Buffer;
pub(crate) use ctx::{CqLocked, Ctx, Locked};
pub(crate) use lane::{drain, Lane};
pub(crate) use memory::{Handle, Owned};
pub(crate) use totals::Total;
pub(crate) use uapi::{Registration, SlotConfig};
pub(crate) use ubuf::{complete, Followers};

/// Clamps an index to an array, also where the CPU only guesses that it is in bounds.
#[inline]
pub(crate) fn index_nospec(index: usize, len: usize) -> usize {
    // SAFETY: There are no safety requirements for this FFI call.
    unsafe { kernel::bindings::array_index_nospec(index, len) }
}
