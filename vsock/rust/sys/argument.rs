// SPDX-License-Identifier: GPL-2.0

//! The argument of a `getsockopt()`, which is read and answered in place.

use core::marker::PhantomData;
use kernel::{
    bindings,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    },
};

/// The structure that programs and we share.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(crate) struct Raw(pub(crate) bindings::vsock_map_rx);

// SAFETY: Any bytes are such a structure: it has integers only, and no padding.
unsafe impl FromBytes for Raw {}

// SAFETY: It has integers only, and no padding.
unsafe impl AsBytes for Raw {}

/// What a program has given, and where its answer goes.
///
/// # Invariants
///
/// Valid for `'a`, and for nobody else.
pub(crate) struct Argument<'a> {
    opt: *mut bindings::sockopt_t,
    _opt: PhantomData<&'a mut bindings::sockopt_t>,
}

impl Argument<'_> {
    /// # Safety
    ///
    /// `opt` must be valid as long as the result is there, and for nobody else.
    pub(crate) unsafe fn new(opt: *mut bindings::sockopt_t) -> Self {
        // INVARIANT: That's what the caller promises.
        Self {
            opt,
            _opt: PhantomData,
        }
    }

    fn source(&mut self) -> &mut IovIterSource<'_> {
        // SAFETY: By the type invariants it is valid, and borrowed as `self` is. It's a source of
        // the program's memory, or of a caller's in the kernel, which stays for the call.
        unsafe { IovIterSource::from_raw(&raw mut (*self.opt).iter_in) }
    }

    /// How many bytes there are that were not read.
    pub(crate) fn len(&mut self) -> usize {
        self.source().len()
    }

    /// Reads the next bytes. Fails with `EFAULT`.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result {
        match self.source().copy_from_iter(bytes) == bytes.len() {
            true => Ok(()),
            false => Err(EFAULT),
        }
    }

    /// Whether what was not read is all 0. Fails with `EFAULT`.
    pub(crate) fn rest_is_zero(&mut self) -> Result<bool> {
        let mut buffer = [0; 64];

        while self.len() != 0 {
            let size = self.len().min(buffer.len());
            let bytes = &mut buffer[..size];

            self.read(bytes)?;
            if bytes.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Answers, from the first byte on. Fails with `EFAULT`.
    ///
    /// The length stays: it would be written after data was taken, and that can fail. What is
    /// behind `bytes` was 0.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result {
        // SAFETY: As in `source()`. It's written to, as a `getsockopt()` does.
        let dest = unsafe { IovIterDest::from_raw(&raw mut (*self.opt).iter_out) };

        match dest.copy_to_iter(bytes) == bytes.len() {
            true => Ok(()),
            false => Err(EFAULT),
        }
    }
}
