// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Kernel-owned buffers: what a TCP socket has received, or a part of a file, goes into an entry of the ring's buffer
//! table and from there to a socket, without a copy.

use std::os::fd::RawFd;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use crate::opcode::{set, AttachExt, IOPRIO};

const OPCODE: usize = 0;
const BUF_INDEX: usize = 40;
const OPTLEN: usize = 44;
const POLL_FIRST: u16 = 1 << 0;
const REPLACE: u16 = 1 << 1;
const RSRC_UPDATE_BUF: u16 = 2;

/// Takes received data, or a part of a file, into entry `buf_index` of the buffer table: `IORING_OP_GET_BUF`.
///
/// The result is how many bytes were taken; 0 is the end, and leaves the entry as it was. Needs
/// [`Caps::get_buf_flags`](crate::Caps::get_buf_flags), and a table, `register_buffers_sparse()` of io-uring.
#[derive(Clone, Debug)]
pub struct GetBuf(Entry, u16);

impl GetBuf {
    /// The number of the opcode.
    pub const CODE: u8 = 65;
    /// As many bytes a request may take.
    pub const MAX: u32 = 1 << 20;

    /// Takes up to `len` bytes, 1 to [`MAX`](GetBuf::MAX), from `fd`.
    pub fn new(fd: types::Fd, len: u32, buf_index: u16) -> GetBuf {
        let mut entry = opcode::Read::new(fd, std::ptr::null_mut(), len).build();
        set(&mut entry, OPCODE, GetBuf::CODE);
        set(&mut entry, BUF_INDEX, buf_index);
        GetBuf(entry, 0)
    }

    /// Where in a file; -1 (as `u64`): where it is. Not for sockets.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> GetBuf {
        set(&mut self.0, 8, offset);
        self
    }

    /// What an earlier request has put into the entry is given up, once the new buffer is there.
    #[must_use]
    pub fn replace(mut self) -> GetBuf {
        self.1 |= REPLACE;
        self
    }

    /// Waits before it looks, for a socket that is known to have nothing.
    #[must_use]
    pub fn poll_first(mut self) -> GetBuf {
        self.1 |= POLL_FIRST;
        self
    }

    /// Copies the first `len` bytes to `head` besides, which has to stay valid until the CQE.
    #[must_use]
    pub fn head(mut self, head: *mut u8, len: u32) -> GetBuf {
        set(&mut self.0, 16, head as u64);
        set(&mut self.0, OPTLEN, len);
        self
    }

    /// The request.
    pub fn build(mut self) -> Entry {
        set(&mut self.0, IOPRIO, self.1);
        self.0
    }
}

/// A request that sends what [`GetBuf`] took through `slot`: `len` bytes from byte `from` on, `u32::MAX`: all there is.
/// The pages stay until the notification, so the slot has to be flushed.
pub fn send_taken(fd: types::Fd, from: usize, len: u32, buf_index: u16, slot: u16, flags: u16) -> Entry {
    let from = std::ptr::without_provenance(from);
    opcode::SendZc::new(fd, from, len).buf_index(Some(buf_index)).build().attach(slot, flags)
}

/// A request that gives up what [`GetBuf`] took into `nr` entries from `first` on; its result is how many there were.
/// Buffers of the program's own are passed over.
pub fn give_up(first: u16, nr: u32) -> Entry {
    let mut entry = opcode::FilesUpdate::new(std::ptr::null::<RawFd>(), nr).offset(i32::from(first)).build();
    set(&mut entry, IOPRIO, RSRC_UPDATE_BUF);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(entry: &Entry) -> [u8; 64] {
        let mut bytes = [0; 64];
        // SAFETY: an entry is 64 bytes, and `build()` starts from zeroes.
        unsafe { std::ptr::from_ref(entry).cast::<u8>().copy_to(bytes.as_mut_ptr(), 64) };
        bytes
    }

    /// Nothing is set but what was asked for.
    #[test]
    fn taking() {
        let mut want = [0; 64];
        want[OPCODE] = 65;
        want[4] = 7;
        want[24..28].copy_from_slice(&65536u32.to_ne_bytes());
        want[BUF_INDEX..BUF_INDEX + 2].copy_from_slice(&258u16.to_ne_bytes());
        assert_eq!(bytes(&GetBuf::new(types::Fd(7), 65536, 258).build()), want);
        want[IOPRIO] = 3;
        want[8..16].fill(0xff);
        want[16] = 16;
        want[OPTLEN] = 40;
        let head = std::ptr::without_provenance_mut(16);
        let request = GetBuf::new(types::Fd(7), 65536, 258).offset(u64::MAX).replace().poll_first().head(head, 40);
        assert_eq!(bytes(&request.build()), want);
    }

    #[test]
    fn giving_on_and_up() {
        let sent = bytes(&send_taken(types::Fd(7), 5, u32::MAX, 9, 3, 0));
        assert_eq!(
            (sent[OPCODE], sent[IOPRIO], sent[16], sent[BUF_INDEX], sent[46]),
            (opcode::SendZc::CODE, 68, 5, 9, 3)
        );
        assert_eq!(sent[24..28], [0xff; 4]);
        let given = bytes(&give_up(300, 9));
        assert_eq!((given[OPCODE], given[IOPRIO], given[24]), (opcode::FilesUpdate::CODE, 2, 9));
        assert_eq!(given[8..10], 300u16.to_ne_bytes());
    }
}
