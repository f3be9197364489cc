// SPDX-License-Identifier: GPL-2.0 OR MIT
//! The UAPI of slots, and the three calls of `io_uring_register(2)` that it has.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::{addr_of, addr_of_mut};

use io_uring::{cqueue, squeue, IoUring};

/// `IORING_NOTIF_REG_RAW_SEQ`: notifications have the sequence number in `flags`, and nothing else, as in 2022.
pub const RAW_SEQ: u32 = 1 << 0;

/// `IORING_NOTIF_SLOT_*`, for [`Slot::flags`].
pub mod slot_flags {
    /// The CQE of the request that flushes the slot is the notification.
    pub const MERGE: u32 = 1 << 0;
    /// [`Slot::copy_below`](super::Slot::copy_below) counts for each segment of a vector.
    pub const SEGMENTS: u32 = 1 << 1;
    /// Sockets that can't send without a copy are sent to by copying.
    pub const FALLBACK: u32 = 1 << 2;
}

/// Bits of `ioprio` of a send, for [`AttachExt::attach`](super::AttachExt::attach).
pub mod send_flags {
    /// `IORING_SEND_ZC_REPORT_USAGE`: have the notification say whether something was copied.
    pub const REPORT_USAGE: u16 = 1 << 3;
    /// `IORING_SEND_ZC_NOTIF_SLOT`: attach to a slot.
    pub const SLOT: u16 = 1 << 6;
    /// `IORING_RECVSEND_NOTIF_FLUSH`: the slot is flushed as the request attaches.
    pub const FLUSH: u16 = 1 << 7;
    /// `IORING_SEND_ZC_MANY`: the request sends an array of [`Dgram`](crate::Dgram).
    pub const MANY: u16 = 1 << 8;
}

pub(crate) const F_NOTIF: u32 = 1 << 3;
pub(crate) const F_ZC_COPIED: u32 = 1 << 16;
pub(crate) const USAGE_ZC_COPIED: u32 = 1 << 31;
pub(crate) const RSRC_UPDATE_NOTIF: u16 = 1;

const REGISTER_QUERY: u32 = 35;
const REGISTER_NOTIFIERS: u32 = 38;
const UNREGISTER_NOTIFIERS: u32 = 39;
const QUERY_OPCODES: u32 = 0;
const QUERY_NOTIF: u32 = 4;

/// A slot to be registered: `struct io_uring_notification_slot`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Slot {
    pub(crate) tag: u64,
    flags: u32,
    copy_below: u32,
    flush_after: u32,
    resv: [u32; 3],
}

impl Slot {
    /// A slot without options; `tag` is `user_data` of its notifications.
    pub fn new(tag: u64) -> Slot {
        Slot { tag, ..Slot::default() }
    }

    /// [`slot_flags`]; those that [`Caps::slot_flags`] doesn't have are refused.
    #[must_use]
    pub fn flags(self, flags: u32) -> Slot {
        Slot { flags, ..self }
    }

    /// Sends of fewer bytes are copied; 0: none.
    #[must_use]
    pub fn copy_below(self, bytes: u32) -> Slot {
        Slot { copy_below: bytes, ..self }
    }

    /// The slot flushes itself after so many requests; 0: never.
    #[must_use]
    pub fn flush_after(self, requests: u32) -> Slot {
        Slot { flush_after: requests, ..self }
    }
}

/// What the kernel can do: `struct io_uring_query_notif`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Caps {
    /// Known flags of [`register`].
    pub register_flags: u32,
    /// Known [`slot_flags`].
    pub slot_flags: u32,
    /// How many slots a ring can have.
    pub max_slots: u32,
    /// The size of a slot in the UAPI.
    pub slot_size: u32,
    /// Known flags of sends beyond those that each kernel with slots has: [`send_flags::MANY`].
    pub send_flags: u32,
    /// Known flags of [`GetBuf`](crate::GetBuf); 0: the kernel has no such request.
    pub get_buf_flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct Register {
    nr_slots: u32,
    flags: u32,
    resv2: u64,
    data: u64,
    resv3: u64,
}

#[derive(Default)]
#[repr(C)]
struct QueryHdr {
    next_entry: u64,
    query_data: u64,
    query_op: u32,
    size: u32,
    result: i32,
    resv: [u32; 3],
}

#[derive(Default)]
#[repr(C)]
struct QueryOpcode {
    nr_request_opcodes: u32,
    nr_register_opcodes: u32,
    flags: [u64; 4],
    nr_query_opcodes: u32,
    pad: u32,
}

const _: () = assert!(size_of::<Slot>() == 32 && size_of::<Caps>() == 24 && size_of::<Register>() == 32);
const _: () = assert!(size_of::<QueryHdr>() == 40 && size_of::<QueryOpcode>() == 48);

/// # Safety
///
/// `arg` and `nr` are what `opcode` wants, and what `arg` points to outlives the call.
unsafe fn io_uring_register(fd: RawFd, opcode: u32, arg: u64, nr: usize) -> io::Result<()> {
    // SAFETY: the caller's promise.
    let ret = unsafe { libc::syscall(libc::SYS_io_uring_register, fd, opcode, arg, nr) };
    if ret < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Registers the slots of a ring. A ring can have one table of them.
pub fn register<S, C>(ring: &IoUring<S, C>, slots: &[Slot], flags: u32) -> io::Result<()>
where
    S: squeue::EntryMarker,
    C: cqueue::EntryMarker,
{
    let nr_slots = u32::try_from(slots.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let reg = Register { nr_slots, flags, data: slots.as_ptr() as u64, ..Register::default() };
    // SAFETY: the kernel reads `nr_slots` slots while it is in the call.
    unsafe { io_uring_register(ring.as_raw_fd(), REGISTER_NOTIFIERS, addr_of!(reg) as u64, size_of::<Register>()) }
}

/// Flushes and removes all slots of a ring; their notifications still come.
pub fn unregister<S, C>(ring: &IoUring<S, C>) -> io::Result<()>
where
    S: squeue::EntryMarker,
    C: cqueue::EntryMarker,
{
    // SAFETY: takes no argument.
    unsafe { io_uring_register(ring.as_raw_fd(), UNREGISTER_NOTIFIERS, 0, 0) }
}

/// Asks the kernel what it can do; needs no ring. `ENOSYS` for a kernel without slots, `EOPNOTSUPP` for one with
/// them whose module can't be loaded; [`advice`] has the words.
pub fn query() -> io::Result<Caps> {
    let mut caps = Caps::default();
    let mut opcodes = QueryOpcode::default();
    let mut notif = QueryHdr {
        query_op: QUERY_NOTIF,
        query_data: addr_of_mut!(caps) as u64,
        size: size_of::<Caps>() as u32,
        ..QueryHdr::default()
    };
    let mut all = QueryHdr {
        next_entry: addr_of_mut!(notif) as u64,
        query_op: QUERY_OPCODES,
        query_data: addr_of_mut!(opcodes) as u64,
        size: size_of::<QueryOpcode>() as u32,
        ..QueryHdr::default()
    };
    // SAFETY: both headers and what they point to are on this stack, and as long as they say.
    let ret = unsafe { io_uring_register(-1, REGISTER_QUERY, addr_of_mut!(all) as u64, 0) };
    // SAFETY: all that the kernel wrote into is initialised and any bit pattern is valid; read by pointer, as the
    // compiler doesn't see who wrote.
    let (all, notif, nr, caps) = unsafe {
        (
            addr_of!(all.result).read_volatile(),
            addr_of!(notif.result).read_volatile(),
            addr_of!(opcodes.nr_query_opcodes).read_volatile(),
            addr_of!(caps).read_volatile(),
        )
    };
    let no_slots = || io::Error::from_raw_os_error(libc::ENOSYS);
    match ret {
        // before 6.18
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EBADF)) => Err(no_slots()),
        Err(error) => Err(error),
        Ok(()) if all != 0 || nr <= QUERY_NOTIF => Err(no_slots()),
        Ok(()) if notif != 0 => Err(io::Error::from_raw_os_error(-notif)),
        // another kernel's query of this number
        Ok(()) if caps.slot_size as usize != size_of::<Slot>() => Err(no_slots()),
        Ok(()) => Ok(caps),
    }
}

/// What to do about an error of [`query`] or [`register`].
pub fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no notification slots: boot one, or use SEND_ZC",
        Some(libc::EOPNOTSUPP) => "no module: modprobe io_uring_notif; is io_uring disabled here?",
        Some(libc::EPERM | libc::EACCES) => "io_uring is not allowed here: /proc/sys/kernel/io_uring_disabled",
        Some(libc::EBUSY) => "the ring has slots already: unregister them first",
        Some(libc::EINVAL) => "no slots in this kernel, or an unknown flag: query what it has",
        Some(libc::ENOMEM) => "no memory for so many slots",
        _ => "see io_uring_notif(7)",
    }
}
