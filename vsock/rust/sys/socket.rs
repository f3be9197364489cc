// SPDX-License-Identifier: GPL-2.0

//! A socket and its queue.

use super::Window;
use crate::plan::Packet;
use core::{
    marker::PhantomData,
    ptr::null_mut, //
};
use kernel::{
    bindings,
    prelude::*,
    types::NotThreadSafe, //
};

/// So many packets are described by a call: 384 bytes of stack.
const BATCH: usize = 32;

/// What a socket has for who receives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum State {
    /// Data, or a whole message.
    Data,
    /// Nothing now.
    Nothing,
    /// Nothing, and nothing will come.
    Ended,
}

/// A socket that is locked.
///
/// # Invariants
///
/// Valid for `'a`, with its `sk_lock` held by this task, which has no other such value.
pub(crate) struct Socket<'a> {
    vsk: *mut bindings::vsock_sock,
    _lock: PhantomData<&'a mut ()>,
    _task: NotThreadSafe,
}

impl<'a> Socket<'a> {
    /// # Safety
    ///
    /// `vsk` must be valid, with its `sk_lock` held by this task, as long as the result is there,
    /// of which there must be no other.
    pub(crate) unsafe fn assume(vsk: *mut bindings::vsock_sock) -> Self {
        // INVARIANT: That's what the caller promises.
        Self {
            vsk,
            _lock: PhantomData,
            _task: NotThreadSafe,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::vsock_sock {
        self.vsk
    }

    /// What can be received. Fails as `recv()` does, and with `EOPNOTSUPP` for a socket whose
    /// packets somebody else receives, or whose transport can't have them mapped.
    pub(crate) fn state(&self) -> Result<State> {
        // SAFETY: By the type invariants the socket is valid and locked.
        match unsafe { bindings::vsock_map_rx_state(self.vsk) } {
            error if error < 0 => Err(Error::from_errno(error)),
            state => Ok(match state as u32 {
                bindings::VSOCK_MAP_RX_DATA => State::Data,
                bindings::VSOCK_MAP_RX_ENDED => State::Ended,
                _ => State::Nothing,
            }),
        }
    }

    /// Whether it has messages, and not a stream.
    pub(crate) fn has_messages(&self) -> bool {
        // SAFETY: By the type invariants the socket is valid.
        unsafe { bindings::vsock_map_rx_has_messages(self.vsk) }
    }

    /// How many bytes are queued.
    pub(crate) fn bytes(&self) -> u32 {
        // SAFETY: By the type invariants the socket is valid and locked.
        unsafe { bindings::vsock_map_rx_bytes(self.vsk) }
    }

    /// How many whole messages are queued.
    pub(crate) fn messages(&self) -> u32 {
        // SAFETY: By the type invariants the socket is valid and locked.
        unsafe { bindings::vsock_map_rx_messages(self.vsk) }
    }

    /// Locks the part of a mapping of this socket that starts at `address` and has `length` bytes,
    /// 0: all to its end. There is one at a time.
    ///
    /// Fails with `EINVAL` if there's no such thing, or not a page for headers and one for data.
    pub(crate) fn window(&mut self, address: usize, length: usize) -> Result<Window<'_, 'a>> {
        Window::lock(self, address, length)
    }

    /// The packets in the queue, if [`Socket::state`] says that there are some.
    pub(super) fn packets(&self) -> Packets<'_> {
        Packets {
            socket: self,
            next: null_mut(),
            batch: [Packet::default(); BATCH],
            ended: self.state() != Ok(State::Data),
        }
    }

    /// Takes the first bytes from the queue, and gives the sender credit for them. Packets and
    /// messages without data that are before them, or follow, go with them.
    pub(crate) fn consume(&mut self, bytes: u32) {
        // SAFETY: By the type invariants the socket is valid and locked. Nobody has a part of its
        // queue, as that borrows the socket. C looks whether it has a queue, and takes no more
        // than is there.
        unsafe { bindings::vsock_map_rx_consume(self.vsk, bytes) };
    }
}

/// A walk over the packets in a socket's queue, which nobody changes meanwhile.
pub(crate) struct Packets<'a> {
    socket: &'a Socket<'a>,
    next: *mut bindings::sk_buff,
    batch: [Packet; BATCH],
    ended: bool,
}

impl Packets<'_> {
    /// Some more packets, `None` if there are no more.
    pub(crate) fn next_batch(&mut self) -> Option<&[Packet]> {
        if self.ended {
            return None;
        }
        // SAFETY: By its type invariants the socket is valid and locked, and it's connected, as it
        // has data. `next` is NULL or where the last call ended, in a queue that has not changed.
        // There's room for `BATCH` packets.
        let nr = unsafe {
            bindings::vsock_map_rx_packets(
                self.socket.as_ptr(),
                &raw mut self.next,
                self.batch.as_mut_ptr(),
                BATCH as u32,
            )
        } as usize;
        self.ended = nr < BATCH;
        self.batch.get(..nr).filter(|batch| !batch.is_empty())
    }
}
