// SPDX-License-Identifier: GPL-2.0

//! The memory of a link.
//!
//! One allocation has all of it: an acknowledgment may end thousands of links at once, in softirq.

use super::{
    memory::{
        Notifier,
        Run, //
    },
    ubuf::{
        Reference,
        FLAGS, //
    },
    Chain,
    Completed,
    Locked,
    Total, //
};
use core::{
    alloc::Layout,
    mem::{
        replace,
        size_of,
        ManuallyDrop, //
    },
    ptr::{
        null_mut,
        NonNull, //
    },
    slice, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        Allocator,
        NumaNode, //
    },
    bindings,
    prelude::*,
    sync::{
        atomic::Acquire,
        Refcount, //
    },
};

/// The first allocation of a link; it doubles as it grows, up to [`MAX_SIZE`].
const MIN_SIZE: usize = 64;
const MAX_SIZE: usize = 8192;

/// To drop so many notifiers takes no longer than to send the link to their ring.
const FEW: u32 = 8;

/// A link holds that many notifiers at most: all are dropped in one go.
pub(super) const MAX_MEMBERS: usize = room(MAX_SIZE);

// The beginning of a link, which the network stack knows as its `ubuf_info`.
//
// INVARIANT: `room` references fit behind it, and the first `nr` are there. `ubuf.refcnt` counts
// the skbs that carry the link. Unless `lane` is NULL all its notifiers go by it, which keep it.
use kernel::bindings::io_notif_link as Link;

const fn room(size: usize) -> usize {
    (size - size_of::<Link>()) / size_of::<Reference>()
}

const fn layout(room: usize) -> Layout {
    // SAFETY: Pointers are aligned to a power of two, and a link is far smaller than `isize::MAX`.
    unsafe {
        Layout::from_size_align_unchecked(
            size_of::<Link>() + room * size_of::<Reference>(),
            align_of::<Link>(),
        )
    }
}

/// The notifiers of a link, oldest first.
///
/// # Safety
///
/// `ubuf` must be that of a link, which the caller has a reference to for `'a`, and which nobody
/// changes meanwhile.
#[inline]
pub(super) unsafe fn members<'a>(ubuf: *mut bindings::ubuf_info) -> &'a [Reference] {
    let link: *const Link = ubuf.cast();
    // SAFETY: By the type invariants, and by the safety requirements of this function.
    unsafe { slice::from_raw_parts(link.add(1).cast(), (*link).nr as usize) }
}

/// The references to a link.
///
/// # Safety
///
/// `ubuf` must be that of a link, which the caller has a reference to for `'a`.
#[inline]
pub(super) unsafe fn refcnt<'a>(ubuf: *mut bindings::ubuf_info) -> &'a Refcount {
    // SAFETY: By the safety requirements of this function.
    unsafe { Refcount::from_raw(&raw mut (*ubuf).refcnt) }
}

/// A link that nobody else has.
///
/// # Invariants
///
/// This is the only reference to the link, which was allocated with the layout of its `room`.
pub(super) struct Unshared(NonNull<Link>);

impl Unshared {
    /// Makes a link with room for so many notifiers. Task context, may sleep. Fails with `ENOMEM`.
    pub(super) fn with_room(nr: usize, ops: &'static bindings::ubuf_info_ops) -> Result<Self> {
        let mut size = MIN_SIZE;
        while room(size) < nr {
            size *= 2;
        }
        let memory = Kmalloc::alloc(layout(room(size)), GFP_KERNEL_ACCOUNT, NumaNode::NO_NODE)?;
        let link = memory.cast::<Link>();
        // SAFETY: The memory is ours, and large enough.
        unsafe {
            link.write(Link {
                ubuf: bindings::ubuf_info {
                    ops,
                    flags: FLAGS as u8,
                    ..Default::default()
                },
                room: room(size) as u32,
                ..Default::default()
            });
            refcnt(link.as_ptr().cast()).set(1);
        }
        // INVARIANT: Nobody else knows of it.
        Ok(Self(link))
    }

    /// Takes over a link that is carried by one skb only, or by none any more.
    ///
    /// # Safety
    ///
    /// `ubuf` must be that of a link, and the caller gives up the only reference to it.
    pub(super) unsafe fn from_raw(ubuf: *mut bindings::ubuf_info) -> Self {
        // SAFETY: By the safety requirements of this function.
        // INVARIANT: As above.
        Self(unsafe { NonNull::new_unchecked(ubuf.cast()) })
    }

    /// The `ubuf_info` of the link, until it grows.
    pub(super) fn ubuf(&self) -> *mut bindings::ubuf_info {
        self.0.as_ptr().cast()
    }

    /// Gives the link away, to an skb.
    pub(super) fn into_raw(self) -> *mut bindings::ubuf_info {
        ManuallyDrop::new(self).ubuf()
    }

    /// Adds a notifier, for which the link may move. Task context, may sleep.
    ///
    /// Fails with `ENOMEM`, also when it has [`MAX_MEMBERS`].
    pub(super) fn push(&mut self, member: Reference) -> Result {
        // SAFETY: By the type invariants the link is ours.
        let (nr, room) = unsafe { (self.0.as_ref().nr as usize, self.0.as_ref().room as usize) };
        if nr == room {
            self.grow(room)?;
        }
        // SAFETY: The link is ours, and there is room for the reference behind those that are
        // there.
        unsafe {
            let link = self.0.as_mut();
            let lane = member.notifier().lane();
            if nr == 0 {
                link.lane = lane;
            } else if link.lane != lane {
                link.lane = null_mut();
            }
            link.nr += 1;
            let first: *mut Reference = self.0.as_ptr().add(1).cast();
            first.add(nr).write(member);
        }
        Ok(())
    }

    #[cold]
    fn grow(&mut self, old: usize) -> Result {
        let new = room(2 * layout(old).size());
        if new > MAX_MEMBERS {
            return Err(ENOMEM);
        }
        // SAFETY: By the type invariants this is how the link was allocated, and only we have it.
        let memory = unsafe {
            Kmalloc::realloc(
                Some(self.0.cast()),
                layout(new),
                layout(old),
                GFP_KERNEL_ACCOUNT,
                NumaNode::NO_NODE,
            )?
        };
        self.0 = memory.cast();
        // SAFETY: The beginning has moved with it.
        unsafe { self.0.as_mut().room = new as u32 };
        Ok(())
    }

    /// Takes the youngest notifier out.
    pub(super) fn pop(&mut self) -> Option<Reference> {
        // SAFETY: By the type invariants the link is ours, and so many notifiers are there.
        unsafe {
            let nr = self.0.as_ref().nr.checked_sub(1)?;
            self.0.as_mut().nr = nr;
            let first: *const Reference = self.0.as_ptr().add(1).cast();
            Some(first.add(nr as usize).read())
        }
    }

    /// No skb carries the link any more: drops its notifiers, or leaves many to their lane, if they
    /// have a common one. They wait for it anyway. Any context.
    #[inline]
    pub(super) fn end(self) {
        // SAFETY: By the type invariants the link is ours.
        let (nr, lane) = unsafe { (self.0.as_ref().nr, self.0.as_ref().lane) };
        if nr > FEW && !lane.is_null() {
            // SAFETY: The node is part of the link, which is given away.
            unsafe {
                let node = &raw mut (*ManuallyDrop::new(self).0.as_ptr()).node;
                bindings::io_notif_queue(lane, node, node);
            }
        }
    }

    /// Drops the notifiers, oldest first, and passes on those that it had the last reference to.
    #[inline]
    fn empty(&mut self, mut last: impl FnMut(NonNull<Notifier>)) {
        // SAFETY: By the type invariants the link is ours. What is read here isn't used any more.
        unsafe {
            let nr = replace(&mut self.0.as_mut().nr, 0) as usize;
            let first: *const Reference = self.0.as_ptr().add(1).cast();
            for n in 0..nr {
                first.add(n).read().put().map(&mut last);
            }
        }
    }
}

impl Drop for Unshared {
    /// Drops the notifiers, which go to their rings without another reference, and frees the link.
    /// Any context.
    #[inline]
    fn drop(&mut self) {
        let mut run = Run::new();
        // SAFETY: The last reference to the notifier was dropped.
        self.empty(|notifier| unsafe { run.push(notifier) });
        // Not by way of `Kmalloc`, which calls krealloc() for it.
        // SAFETY: By the type invariants the link is ours, and not used any more.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// A link came by the lane of its notifiers: drops them, and returns those that complete by that.
///
/// # Safety
///
/// `link` must have been given to [`Unshared::end`], and its lane be one of the ring that is
/// locked.
pub(crate) unsafe fn end_link<'ring>(
    link: *mut Link,
    _lock: &mut Locked<'ring>,
) -> Chain<Completed<'ring>> {
    // SAFETY: By the safety requirements of this function nobody else has the link.
    let mut link = unsafe { Unshared::from_raw(link.cast()) };
    let mut completed = Chain::new();
    link.empty(|notifier| {
        Total::CompletedTaskWork.count();
        // SAFETY: The last reference was dropped, and the notifier is of the ring as its lane is.
        completed.push_back(unsafe { Completed::after_last(notifier) });
    });
    completed
}

/// Whether an skb's reference to a link is the only one: the skb may have it changed.
///
/// # Safety
///
/// As for [`refcnt`].
pub(super) unsafe fn is_unshared(ubuf: *mut bindings::ubuf_info) -> bool {
    // Acquire, for what another skb's end did with the members.
    // SAFETY: By the safety requirements of this function.
    unsafe { refcnt(ubuf) }.as_atomic().load(Acquire) == 1
}
