// SPDX-License-Identifier: GPL-2.0

//! A mapping of a socket, as `mmap()` makes it.

use core::marker::PhantomData;
use kernel::{
    bindings,
    error::to_result,
    mm::virt::VmaNew,
    prelude::*, //
};

/// A VMA that is about to become the mapping of a socket.
///
/// # Invariants
///
/// Both are valid for `'a`, and the VMA is being set up by the socket's `mmap()`.
pub(crate) struct NewMapping<'a> {
    vsk: *mut bindings::vsock_sock,
    vma: *mut bindings::vm_area_struct,
    _vma: PhantomData<&'a VmaNew>,
}

impl NewMapping<'_> {
    /// # Safety
    ///
    /// Both must be valid as long as the result is there, and `vma` be set up by `mmap()` of `vsk`.
    pub(crate) unsafe fn new(
        vsk: *mut bindings::vsock_sock,
        vma: *mut bindings::vm_area_struct,
    ) -> Self {
        // INVARIANT: That's what the caller promises.
        Self {
            vsk,
            vma,
            _vma: PhantomData,
        }
    }

    /// The VMA, to set its flags.
    pub(crate) fn vma(&self) -> &VmaNew {
        // SAFETY: By the type invariants it is valid, and being set up.
        unsafe { VmaNew::from_raw(self.vma) }
    }

    /// Where in the socket it is to start, in pages.
    pub(crate) fn offset(&self) -> usize {
        // SAFETY: By the type invariants it is valid, and nobody changes it.
        unsafe { (*self.vma).vm_pgoff }
    }

    /// Makes it a mapping of the socket, which counts against RLIMIT_MEMLOCK. Fails with `ENOMEM`.
    pub(crate) fn count(&self) -> Result {
        // SAFETY: By the type invariants both are valid, and the VMA is being set up.
        to_result(unsafe { bindings::vsock_map_rx_window_new(self.vsk, self.vma) })
    }
}
