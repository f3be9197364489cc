// SPDX-License-Identifier: GPL-2.0

//! The argument of `SO_VM_SOCKETS_MAP_RX`: a `struct vsock_map_rx`, or an address.
//!
//! A program may know less of the structure than we do, down to `length`: what it doesn't give is
//! 0, and it isn't told. It may know more if that's 0, and it stays 0.

use crate::{
    plan::Totals,
    sys::{
        Argument,
        Raw,
        State, //
    },
};
use core::mem::{
    offset_of,
    size_of, //
};
use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*,
    transmute::AsBytes, //
};

/// What programs of the RFC give: an address, and no room for an answer.
const ADDRESS: usize = size_of::<u64>();
/// The least of a structure.
const LEAST: usize = offset_of!(bindings::vsock_map_rx, flags);
/// All of it that we know.
const KNOWN: usize = size_of::<bindings::vsock_map_rx>();

/// How much of an argument of `size` bytes means something. What follows must be 0.
fn known(size: usize) -> Result<usize> {
    match size {
        ADDRESS => Ok(ADDRESS),
        LEAST..=PAGE_SIZE => Ok(size.min(KNOWN)),
        _ => Err(EINVAL),
    }
}

/// What a program asks for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    /// Where the page of headers goes.
    pub(crate) address: usize,
    /// How many bytes may be used from there on; 0: all of the mapping.
    pub(crate) length: usize,
    /// The pages hold nothing, so that nothing has to be dropped.
    pub(crate) clean: bool,
    /// How much of the answer it wants.
    answer: usize,
}

impl Request {
    /// Reads it. Fails with `EFAULT`, or `EINVAL` for a size or a value that has no meaning.
    pub(crate) fn read(argument: &mut Argument<'_>) -> Result<Self> {
        let known = known(argument.len())?;
        let mut raw = Raw::default();

        argument.read(&mut raw.as_bytes_mut()[..known])?;
        if !argument.rest_is_zero()? {
            return Err(EINVAL);
        }
        Self::new(&raw.0, known)
    }

    fn new(raw: &bindings::vsock_map_rx, known: usize) -> Result<Self> {
        if raw.flags & !bindings::VSOCK_MAP_RX_CLEAN != 0 || raw.resv != [0; 2] {
            return Err(EINVAL);
        }
        Ok(Self {
            address: raw.address.try_into().map_err(|_| EINVAL)?,
            length: raw.length as usize,
            clean: raw.flags & bindings::VSOCK_MAP_RX_CLEAN != 0,
            answer: if known == ADDRESS { 0 } else { known },
        })
    }

    /// Tells the program. Fails with `EFAULT`.
    pub(crate) fn answer(&self, argument: &mut Argument<'_>, answer: &Answer) -> Result {
        if self.answer == 0 {
            return Ok(());
        }
        let raw = answer.raw(self.address);
        argument.write(&raw.as_bytes()[..self.answer])
    }
}

/// What was done.
pub(crate) struct Answer {
    /// What is in the mapping now.
    pub(crate) got: Totals,
    /// What there was before.
    pub(crate) state: State,
    /// How many bytes are left.
    pub(crate) inq: u32,
    /// Whether the next call would get something.
    pub(crate) more: bool,
}

impl Answer {
    fn raw(&self, address: usize) -> Raw {
        let mut flags = 0;

        if self.state == State::Ended {
            flags |= bindings::VSOCK_MAP_RX_EOF;
        }
        if self.more {
            flags |= bindings::VSOCK_MAP_RX_MORE;
        }
        Raw(bindings::vsock_map_rx {
            address: address as u64,
            length: self.got.bytes,
            flags,
            pages: self.got.pages,
            headers: self.got.headers,
            copied: self.got.copied,
            inq: self.inq,
            resv: [0; 2],
        })
    }
}

#[cfg(CONFIG_VSOCK_MAP_RX_KUNIT_TEST)]
#[kunit_tests(vsock_map_rx_args)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for size in [0, 1, 7, 9, 11, PAGE_SIZE + 1, i32::MAX as usize] {
            assert!(known(size).is_err());
        }
        for (size, all) in [(8, 8), (12, 12), (47, 47), (48, 48), (49, 48), (4096, 48)] {
            assert_eq!(known(size), Ok(all));
        }
    }

    #[test]
    fn values() -> Result {
        let good = bindings::vsock_map_rx {
            address: 0x1000,
            length: 8192,
            flags: bindings::VSOCK_MAP_RX_CLEAN,
            pages: 7,
            ..Default::default()
        };
        let request = Request::new(&good, KNOWN)?;
        assert_eq!(request.address, 0x1000);
        assert_eq!(request.length, 8192);
        assert!(request.clean);
        assert_eq!(request.answer, KNOWN);

        let bare = bindings::vsock_map_rx {
            address: 0x2000,
            ..Default::default()
        };
        let request = Request::new(&bare, ADDRESS)?;
        assert!(!request.clean);
        assert_eq!(request.answer, 0);

        for bit in 1..32 {
            let bad = bindings::vsock_map_rx {
                flags: 1 << bit,
                ..good
            };
            assert!(Request::new(&bad, KNOWN).is_err());
        }
        let bad = bindings::vsock_map_rx {
            resv: [0, 1],
            ..good
        };
        assert!(Request::new(&bad, KNOWN).is_err());
        Ok(())
    }
}
