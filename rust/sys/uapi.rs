// SPDX-License-Identifier: GPL-2.0

//! What programs pass to `IORING_REGISTER_NOTIFIERS`.
//!
//! C header: [`include/uapi/linux/io_uring.h`](srctree/include/uapi/linux/io_uring.h)

use super::memory::Terms;
use core::mem::size_of;
use kernel::{
    bindings,
    prelude::*,
    transmute::FromBytes,
    uaccess::{
        UserPtr,
        UserSlice,
        UserSliceReader, //
    }, //
};

/// The `io_uring_notification_slot.flags` that there are; all fit into a byte.
const SLOT_FLAGS: u32 = bindings::IORING_NOTIF_SLOT_MERGE
    | bindings::IORING_NOTIF_SLOT_SEGMENTS
    | bindings::IORING_NOTIF_SLOT_FALLBACK;

/// `struct io_uring_notification_register` as the program passed it.
#[repr(transparent)]
pub(crate) struct RegisterArg(bindings::io_uring_notification_register);

// SAFETY: All fields are integers without padding between them.
unsafe impl FromBytes for RegisterArg {}

/// `struct io_uring_notification_slot` as the program passed it.
#[repr(transparent)]
pub(crate) struct SlotConfig(pub(crate) bindings::io_uring_notification_slot);

// SAFETY: All fields are integers without padding between them.
unsafe impl FromBytes for SlotConfig {}

impl RegisterArg {
    /// Reads the argument of the system call.
    ///
    /// Fails with `EINVAL` for a wrong size, a reserved field or an unknown flag that is set, or a
    /// number of slots out of range, and with `EFAULT` for a bad pointer.
    pub(crate) fn read(arg: UserPtr, size: usize) -> Result<Self> {
        if size != size_of::<Self>() {
            return Err(EINVAL);
        }
        let reg: Self = UserSlice::new(arg, size).reader().read()?;
        if reg.0.resv2 != 0
            || reg.0.resv3 != 0
            || reg.0.flags & !bindings::IORING_NOTIF_REG_RAW_SEQ != 0
            || reg.0.nr_slots == 0
            || reg.0.nr_slots > bindings::IORING_MAX_NOTIF_SLOTS
        {
            return Err(EINVAL);
        }
        Ok(reg)
    }

    /// Whether the flags of a notification's CQE are the sequence number, and nothing else.
    pub(crate) fn raw_seq(&self) -> bool {
        self.0.flags & bindings::IORING_NOTIF_REG_RAW_SEQ != 0
    }

    /// How many slots there are to be.
    pub(crate) fn nr_slots(&self) -> usize {
        self.0.nr_slots as usize
    }

    /// A reader of that many [`SlotConfig`].
    pub(crate) fn slots(&self) -> UserSliceReader {
        let data = UserPtr::from_addr(self.0.data as usize);
        UserSlice::new(data, self.nr_slots() * size_of::<SlotConfig>()).reader()
    }
}

impl SlotConfig {
    /// Whether everything that has no meaning yet is 0.
    pub(crate) fn is_valid(&self) -> bool {
        self.0.flags & !SLOT_FLAGS == 0 && self.0.resv == [0; 3]
    }

    /// How C is to send the slot's requests.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            copy_below: self.0.copy_below,
            flags: self.0.flags as u8,
        }
    }
}
