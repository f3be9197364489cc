// SPDX-License-Identifier: GPL-2.0

//! Chains of notifiers, which need no memory of their own.

use core::{
    marker::PhantomData,
    ptr::{
        null_mut,
        NonNull, //
    }, //
};
use kernel::{
    bindings,
    container_of, //
};

/// What may be on a [`Chain`]: a notifier that nobody else has.
///
/// # Safety
///
/// [`Member::into_raw`] must give away the only pointer to a notifier, which stays valid until
/// [`Member::from_raw`].
pub(crate) unsafe trait Member: Sized {
    /// Gives the notifier away.
    fn into_raw(self) -> NonNull<bindings::io_notif_head>;

    /// Takes it back.
    ///
    /// # Safety
    ///
    /// `head` must come from [`Member::into_raw`] of the same type, or be what that would give, and
    /// not be used any more.
    unsafe fn from_raw(head: NonNull<bindings::io_notif_head>) -> Self;
}

/// A list of notifiers, by their `io_notif_head.node`.
///
/// # Invariants
///
/// `first` is NULL, or the beginning of a list that ends with `last`. All nodes are those of what
/// [`Member::into_raw`] gave away.
pub(crate) struct Chain<T: Member> {
    first: *mut bindings::llist_node,
    last: *mut bindings::llist_node,
    _members: PhantomData<T>,
}

// SAFETY: The chain owns its members.
unsafe impl<T: Member + Send> Send for Chain<T> {}

impl<T: Member> Chain<T> {
    /// An empty one.
    pub(crate) fn new() -> Self {
        // INVARIANT: There are no nodes.
        Self {
            first: null_mut(),
            last: null_mut(),
            _members: PhantomData,
        }
    }

    /// Takes a list from C.
    ///
    /// # Safety
    ///
    /// The list from `first` to `last` must be of nodes of what [`Member::into_raw`] gave away, or
    /// would give, and not be used any more.
    pub(crate) unsafe fn from_raw(
        first: *mut bindings::llist_node,
        last: *mut bindings::llist_node,
    ) -> Self {
        // INVARIANT: By the safety requirements of this function.
        Self {
            first,
            last,
            _members: PhantomData,
        }
    }

    /// Whether there are no members.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Adds a member at the end.
    #[inline]
    pub(crate) fn push_back(&mut self, member: T) {
        // SAFETY: The node is part of the notifier.
        let node = unsafe { &raw mut (*member.into_raw().as_ptr()).node };
        // SAFETY: The node is the chain's now, and nobody else's.
        unsafe { (*node).next = null_mut() };
        // INVARIANT: The list ends with the new node.
        self.append(Self {
            first: node,
            last: node,
            _members: PhantomData,
        });
    }

    /// Adds a member at the beginning.
    #[inline]
    pub(crate) fn push_front(&mut self, member: T) {
        // SAFETY: The node is part of the notifier.
        let node = unsafe { &raw mut (*member.into_raw().as_ptr()).node };
        // SAFETY: The node is the chain's now, and nobody else's.
        unsafe { (*node).next = self.first };
        if self.first.is_null() {
            self.last = node;
        }
        self.first = node;
    }

    /// Adds all members of another chain at the end.
    #[inline]
    pub(crate) fn append(&mut self, mut other: Self) {
        if other.first.is_null() {
            return;
        }
        if self.first.is_null() {
            self.first = other.first;
        } else {
            // SAFETY: By the type invariants `last` is a node of the chain.
            unsafe { (*self.last).next = other.first };
        }
        self.last = other.last;
        // INVARIANT: The nodes are ours.
        other.first = null_mut();
    }

    /// Takes the first member.
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let node = NonNull::new(self.first)?;
        // SAFETY: By the type invariants the node is that of a notifier that was given away.
        unsafe {
            self.first = (*node.as_ptr()).next;
            let head = container_of!(node.as_ptr(), bindings::io_notif_head, node);
            Some(T::from_raw(NonNull::new_unchecked(head)))
        }
    }
}

impl<T: Member> Drop for Chain<T> {
    fn drop(&mut self) {
        while let Some(member) = self.pop_front() {
            drop(member);
        }
    }
}

#[cfg(CONFIG_IO_URING_NOTIF_KUNIT_TEST)]
#[kernel::prelude::kunit_tests(io_uring_notif_chain)]
mod tests {
    use super::*;
    use kernel::prelude::*;

    /// A head with a number, in place of a notifier.
    struct Numbered(KBox<bindings::io_notif_head>);

    // SAFETY: The box is the only pointer.
    unsafe impl Member for Numbered {
        fn into_raw(self) -> NonNull<bindings::io_notif_head> {
            NonNull::from(KBox::leak(self.0))
        }

        unsafe fn from_raw(head: NonNull<bindings::io_notif_head>) -> Self {
            // SAFETY: By the safety requirements of this function.
            Self(unsafe { KBox::from_raw(head.as_ptr()) })
        }
    }

    fn numbered(id: u64) -> Result<Numbered> {
        let head = bindings::io_notif_head {
            id,
            ..Default::default()
        };
        Ok(Numbered(KBox::new(head, GFP_KERNEL)?))
    }

    fn assert_is(mut chain: Chain<Numbered>, ids: &[u64]) {
        for id in ids {
            assert_eq!(chain.pop_front().map(|n| n.0.id), Some(*id));
        }
        assert!(chain.is_empty());
        assert!(chain.pop_front().is_none());
    }

    #[test]
    fn first_in_first_out() -> Result {
        let mut chain = Chain::new();
        for id in 1..4 {
            chain.push_back(numbered(id)?);
        }
        assert_is(chain, &[1, 2, 3]);
        Ok(())
    }

    #[test]
    fn both_ends() -> Result {
        let mut chain = Chain::new();
        chain.push_front(numbered(2)?);
        chain.push_back(numbered(3)?);
        chain.push_front(numbered(1)?);
        assert_is(chain, &[1, 2, 3]);
        Ok(())
    }

    #[test]
    fn emptied_and_used_again() -> Result {
        let mut chain = Chain::new();
        chain.push_back(numbered(1)?);
        assert!(chain.pop_front().is_some());
        chain.push_back(numbered(2)?);
        assert_is(chain, &[2]);
        Ok(())
    }

    #[test]
    fn appended() -> Result {
        let (mut chain, mut other) = (Chain::new(), Chain::new());
        chain.append(Chain::new());
        other.push_back(numbered(1)?);
        other.push_back(numbered(2)?);
        chain.append(other);
        chain.append(Chain::new());
        chain.push_back(numbered(3)?);
        assert_is(chain, &[1, 2, 3]);
        Ok(())
    }

    #[test]
    fn dropped_with_members() -> Result {
        let mut chain = Chain::new();
        chain.push_back(numbered(1)?);
        chain.push_back(numbered(2)?);
        Ok(())
    }
}
