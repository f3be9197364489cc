// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Requests: what io-uring's `opcode` lacks.

use std::mem::{align_of, size_of};
use std::os::fd::RawFd;
use std::ptr::addr_of_mut;

use io_uring::squeue::Entry;
use io_uring::{opcode, types};

use crate::sys::{send_flags, RSRC_UPDATE_NOTIF};

// Where the kernel looks for the fields of an SQE
pub(crate) const IOPRIO: usize = 2;
const ADDR: usize = 16;
const NOTIFICATION_IDX: usize = 46;

// An entry is the SQE: io-uring has it as `#[repr(C)] struct Entry(sys::io_uring_sqe)`, copied to the queue as it is.
const _: () = assert!(size_of::<Entry>() == 64 && align_of::<Entry>() == 8);

/// A field of an SQE, by its offset.
pub(crate) trait Field: Copy {}
impl Field for u8 {}
impl Field for u16 {}
impl Field for u32 {}
impl Field for u64 {}

pub(crate) fn set<T: Field>(entry: &mut Entry, offset: usize, value: T) {
    assert!(offset + size_of::<T>() <= size_of::<Entry>());
    // SAFETY: within the entry, which is plain data: any value of any of its bytes is a valid one.
    unsafe { addr_of_mut!(*entry).cast::<u8>().add(offset).cast::<T>().write_unaligned(value) }
}

fn or_ioprio(entry: &mut Entry, bits: u16) {
    // SAFETY: within the entry; `ioprio` is a field of its own, that io-uring initialises.
    let ioprio = unsafe { addr_of_mut!(*entry).cast::<u8>().add(IOPRIO).cast::<u16>().read_unaligned() };
    set(entry, IOPRIO, ioprio | bits);
}

/// Lets a zero-copy send attach to a slot.
pub trait AttachExt {
    /// Attaches to `slot`; `flags` are more bits of `ioprio`, see [`send_flags`].
    ///
    /// # Panics
    ///
    /// If the request is no `SEND_ZC` or `SENDMSG_ZC`.
    #[must_use]
    fn attach(self, slot: u16, flags: u16) -> Self;
}

impl AttachExt for Entry {
    fn attach(mut self, slot: u16, flags: u16) -> Entry {
        let code = self.get_opcode();
        assert!(
            code == u32::from(opcode::SendZc::CODE) || code == u32::from(opcode::SendMsgZc::CODE),
            "opcode {code} has no slot"
        );
        or_ioprio(&mut self, send_flags::SLOT | flags);
        set(&mut self, NOTIFICATION_IDX, slot);
        self
    }
}

/// A request that flushes `nr` slots from `first` on; its result is how many notifiers it flushed. The next
/// notifiers of these slots have tag `tag`; 0: the one they had.
pub fn flush(first: u16, nr: u32, tag: u64) -> Entry {
    let mut entry = opcode::FilesUpdate::new(std::ptr::null::<RawFd>(), nr).offset(i32::from(first)).build();
    set(&mut entry, IOPRIO, RSRC_UPDATE_NOTIF);
    set(&mut entry, ADDR, tag);
    entry
}

/// One of many datagrams of a request: `struct io_uring_dgram`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Dgram {
    addr: u64,
    name: u64,
    len: u32,
    name_len: u16,
    gso_size: u16,
    resv: u64,
}

const _: () = assert!(size_of::<Dgram>() == 32);

impl Dgram {
    /// `len` bytes at `addr`, to the connected address; `gso_size` 0: one datagram, else segments of so many bytes.
    pub fn new(addr: *const u8, len: u32, gso_size: u16) -> Dgram {
        Dgram { addr: addr as u64, name: 0, len, name_len: 0, gso_size, resv: 0 }
    }

    /// To another address than the connected one.
    #[must_use]
    pub fn name(mut self, name: *const libc::sockaddr, len: u16) -> Dgram {
        self.name = name as u64;
        self.name_len = len;
        self
    }
}

/// A request that sends `nr` datagrams (1 to 256) through `slot`; its result is how many were sent. Array and names
/// are read as it is submitted. Needs [`send_flags::MANY`] in [`Caps::send_flags`](crate::Caps::send_flags).
pub fn send_many(fd: types::Fd, dgrams: *const Dgram, nr: u32, slot: u16, flags: u16) -> Entry {
    opcode::SendZc::new(fd, dgrams.cast(), nr).build().attach(slot, flags | send_flags::MANY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use io_uring::squeue::Flags;

    fn bytes(entry: &Entry) -> [u8; 64] {
        let mut bytes = [0; 64];
        // SAFETY: an entry is 64 bytes, and `build()` starts from zeroes.
        unsafe { std::ptr::from_ref(entry).cast::<u8>().copy_to(bytes.as_mut_ptr(), 64) };
        bytes
    }

    fn u16_at(entry: &Entry, offset: usize) -> u16 {
        u16::from_ne_bytes(bytes(entry)[offset..offset + 2].try_into().unwrap())
    }

    fn u32_at(entry: &Entry, offset: usize) -> u32 {
        u32::from_ne_bytes(bytes(entry)[offset..offset + 4].try_into().unwrap())
    }

    fn u64_at(entry: &Entry, offset: usize) -> u64 {
        u64::from_ne_bytes(bytes(entry)[offset..offset + 8].try_into().unwrap())
    }

    fn send() -> opcode::SendZc {
        opcode::SendZc::new(types::Fd(7), std::ptr::without_provenance(0x1234_5678_9abc), 0x8765_4321)
    }

    /// What io-uring's own setters write is where the kernel looks for it: an entry is the SQE.
    #[test]
    fn layout() {
        let entry = send()
            .zc_flags(0x0102)
            .flags(0x0304_0506)
            .buf_index(Some(0x0708))
            .dest_addr(std::ptr::without_provenance(0x1111_2222_3333))
            .dest_addr_len(0x0910)
            .build()
            .flags(Flags::ASYNC)
            .personality(0x1112)
            .user_data(0x1314_1516_1718_1920);
        assert_eq!(bytes(&entry)[0], opcode::SendZc::CODE);
        assert_eq!(bytes(&entry)[1], Flags::ASYNC.bits());
        assert_eq!(u16_at(&entry, IOPRIO), 0x0102 | 1 << 2);
        assert_eq!(u32_at(&entry, 4), 7);
        assert_eq!(u64_at(&entry, 8), 0x1111_2222_3333);
        assert_eq!(u64_at(&entry, ADDR), 0x1234_5678_9abc);
        assert_eq!(u32_at(&entry, 24), 0x8765_4321);
        assert_eq!(u32_at(&entry, 28), 0x0304_0506);
        assert_eq!(u64_at(&entry, 32), 0x1314_1516_1718_1920);
        assert_eq!(u16_at(&entry, 40), 0x0708);
        assert_eq!(u16_at(&entry, 42), 0x1112);
        assert_eq!(u16_at(&entry, NOTIFICATION_IDX - 2), 0x0910);
        assert_eq!(u16_at(&entry, NOTIFICATION_IDX), 0);
    }

    /// Attaching changes `ioprio` and the slot, and not one byte more.
    #[test]
    fn attach() {
        let plain = send().dest_addr_len(0x0910).zc_flags(send_flags::REPORT_USAGE).build().user_data(5);
        let entry = plain.clone().attach(0x1415, send_flags::FLUSH);
        assert_eq!(u16_at(&entry, IOPRIO), 1 << 3 | 1 << 6 | 1 << 7);
        assert_eq!(u16_at(&entry, NOTIFICATION_IDX), 0x1415);
        let mut same = bytes(&entry);
        same[IOPRIO..IOPRIO + 2].copy_from_slice(&bytes(&plain)[IOPRIO..IOPRIO + 2]);
        same[NOTIFICATION_IDX..NOTIFICATION_IDX + 2].fill(0);
        assert_eq!(same, bytes(&plain));
        let message = opcode::SendMsgZc::new(types::Fd(7), std::ptr::null()).build().attach(3, 0);
        assert_eq!((u16_at(&message, IOPRIO), u16_at(&message, NOTIFICATION_IDX)), (1 << 6, 3));
    }

    #[test]
    #[should_panic(expected = "has no slot")]
    fn attach_nop() {
        let _ = opcode::Nop::new().build().attach(0, 0);
    }

    #[test]
    fn flushing() {
        let entry = flush(32767, 9, 0x1234_5678_9abc_def0);
        assert_eq!(bytes(&entry)[0], opcode::FilesUpdate::CODE);
        assert_eq!(u16_at(&entry, IOPRIO), RSRC_UPDATE_NOTIF);
        assert_eq!(u64_at(&entry, 8), 32767);
        assert_eq!(u64_at(&entry, ADDR), 0x1234_5678_9abc_def0);
        assert_eq!(u32_at(&entry, 24), 9);
        assert_eq!(bytes(&entry)[28..], [0; 36]);
    }

    #[test]
    fn many() {
        let dgram = Dgram::new(std::ptr::without_provenance(16), 1000, 500).name(std::ptr::without_provenance(32), 28);
        assert_eq!((dgram.addr, dgram.name, dgram.len, dgram.name_len, dgram.gso_size), (16, 32, 1000, 28, 500));
        let entry = send_many(types::Fd(7), &dgram, 1, 2, 0);
        assert_eq!(u16_at(&entry, IOPRIO), 1 << 6 | 1 << 8);
        assert_eq!((u16_at(&entry, NOTIFICATION_IDX), u32_at(&entry, 24)), (2, 1));
        assert_eq!(entry.get_user_data(), 0);
    }
}
