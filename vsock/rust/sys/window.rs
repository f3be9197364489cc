// SPDX-License-Identifier: GPL-2.0

//! A part of a mapping that a call may fill.

use super::{
    socket::Packets,
    Socket, //
};
use crate::plan::Header;
use core::{
    ptr::NonNull,
    slice, //
};
use kernel::{
    bindings,
    error::to_result,
    mm::virt::VmaRef,
    page::PAGE_SIZE,
    prelude::*, //
};

/// How many headers there may be.
const HEADERS: usize = bindings::VSOCK_MAP_RX_HEADERS as usize;

/// A part of a mapping of a socket, locked: a page for headers, and at least one for data.
///
/// The program must not be made to fault while there is one.
///
/// # Invariants
///
/// `vma` was locked by `vsock_map_rx_lock()` for `socket`, which said `mmap_locked`. It has `pages`
/// pages from `address` on. `headers` is what `vsock_map_rx_headers()` returned last, since then.
pub(crate) struct Window<'a, 's> {
    /// Nobody else has it: another window of the same mapping would have the same page of headers,
    /// or replace it.
    socket: &'a mut Socket<'s>,
    vma: NonNull<bindings::vm_area_struct>,
    mmap_locked: bool,
    address: usize,
    pages: u32,
    headers: Option<NonNull<Header>>,
}

impl<'a, 's> Window<'a, 's> {
    /// See [`Socket::window`].
    pub(super) fn lock(socket: &'a mut Socket<'s>, address: usize, length: usize) -> Result<Self> {
        let mut mmap_locked = false;
        // SAFETY: By the type invariants the socket is valid and locked.
        let vma =
            unsafe { bindings::vsock_map_rx_lock(socket.as_ptr(), address, &raw mut mmap_locked) };
        // INVARIANT: It's locked now. Nothing is read of `pages` before they are known to be there.
        let mut window = Self {
            socket,
            vma: NonNull::new(vma).ok_or(EINVAL)?,
            mmap_locked,
            address,
            pages: 0,
            headers: None,
        };
        let there = window.vma().end() - address;
        let bytes = if length == 0 { there } else { length };

        if address % PAGE_SIZE != 0 || bytes > there || bytes < 2 * PAGE_SIZE {
            return Err(EINVAL);
        }
        // INVARIANT: So many end before the VMA does.
        window.pages = u32::try_from(bytes / PAGE_SIZE).unwrap_or(u32::MAX);
        Ok(window)
    }

    fn vma(&self) -> &VmaRef {
        // SAFETY: By the type invariants it is valid, and locked as long as `self` is there.
        unsafe { VmaRef::from_raw(self.vma.as_ptr()) }
    }

    /// How many pages there are, with that for headers.
    pub(crate) fn pages(&self) -> u32 {
        self.pages
    }

    /// Takes everything out.
    pub(crate) fn clear(&self) {
        self.clear_from(0, self.pages);
    }

    /// Takes the pages from one to before another out.
    pub(crate) fn clear_from(&self, first: u32, end: u32) {
        let end = end.min(self.pages);

        if first < end {
            self.vma().zap_vma_range(
                self.address + first as usize * PAGE_SIZE,
                (end - first) as usize * PAGE_SIZE,
            );
        }
    }

    /// Headers to fill, all 0, and the packets that they are to tell of: see [`Socket::packets`].
    /// Fails with `ENOMEM`.
    pub(crate) fn start(&mut self) -> Result<(&mut [Header], Packets<'_>)> {
        // SAFETY: By the type invariants the VMA is locked, and so is its socket.
        let headers = unsafe { bindings::vsock_map_rx_headers(self.vma.as_ptr()) };
        // INVARIANT: That's what it returned.
        let headers = self.headers.insert(NonNull::new(headers).ok_or(ENOMEM)?);
        // SAFETY: By the type invariants they are this window's.
        Ok((unsafe { Self::slice(headers) }, self.socket.packets()))
    }

    /// The headers that were filled; none without [`Window::start`].
    pub(crate) fn headers(&mut self) -> &mut [Header] {
        match &mut self.headers {
            // SAFETY: By the type invariants they are this window's.
            Some(headers) => unsafe { Self::slice(headers) },
            None => &mut [],
        }
    }

    /// # Safety
    ///
    /// `headers` must be those of a window.
    unsafe fn slice(headers: &mut NonNull<Header>) -> &mut [Header] {
        // SAFETY: By the window's invariants it is a page of the mapping's, where that many fit.
        // The mapping has it until it goes itself, for which its VMA is locked, or until
        // `vsock_map_rx_headers()` is called again: by this window, as there's no other, whose
        // `headers` are borrowed. Nobody writes to the page but we; the program that may have it
        // mapped can only read.
        unsafe { slice::from_raw_parts_mut(headers.as_ptr(), HEADERS) }
    }

    /// Places the page of headers, and the pages that the first `nr` of them tell of.
    ///
    /// Returns how many pages were placed, that of the headers included, and why not all were:
    /// `ENOMEM`, or `EBUSY` if there was something.
    pub(crate) fn place(&mut self, nr: u32) -> (u32, Result) {
        if self.headers.is_none() || nr as usize > HEADERS {
            return (0, Err(EINVAL));
        }
        let mut placed = 0;
        // SAFETY: By the type invariants the VMA is locked, and so is its socket, which has data if
        // there are headers. There is a page with `nr` headers. C checks that these tell of what
        // is queued, and that their pages are in the VMA.
        let result = to_result(unsafe {
            bindings::vsock_map_rx_place(
                self.socket.as_ptr(),
                self.vma.as_ptr(),
                self.address,
                nr,
                &raw mut placed,
            )
        });
        // There are fewer than in the window.
        (placed as u32, result)
    }
}

impl Drop for Window<'_, '_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is locked in that way, and nobody uses it any more.
        unsafe { bindings::vsock_map_rx_unlock(self.vma.as_ptr(), self.mmap_locked) }
    }
}
