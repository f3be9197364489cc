// SPDX-License-Identifier: GPL-2.0 OR MIT
//! A ring and a socket that send owned buffers.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use io_uring::squeue::Flags;
use io_uring::{cqueue, squeue, types, IoUring};

use crate::inflight::{InFlight, StableBuf};
use crate::sys::{register, send_flags, Slot};

const SLOT: u16 = 0;
/// Upper half of `user_data` of flushes and notifications; requests count from 0.
const BASE: u32 = u32::MAX;

/// How a [`Sender`] sends.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Requests in the submission queue, at least 2.
    pub entries: u32,
    /// A notification is asked for after so many buffers, and whenever [`Sender::flush`] is called.
    pub every: usize,
    /// Shorter buffers are copied by the kernel, which costs less than to look up their pages. They come back all
    /// the same.
    pub copy_below: u32,
    /// Only failed requests have a CQE of their own: fewer CQEs.
    pub quiet: bool,
    /// Count notifications that say that something was copied.
    pub report_usage: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { entries: 64, every: 32, copy_below: 0, quiet: false, report_usage: false }
    }
}

/// A buffer that is back, and what became of it.
#[derive(Debug)]
pub struct Sent<B> {
    /// The buffer.
    pub buf: B,
    /// How many of its bytes were sent, or the error.
    pub result: io::Result<usize>,
}

/// A buffer that wasn't taken.
pub struct Refused<B> {
    /// The buffer.
    pub buf: B,
    /// Why not.
    pub error: io::Error,
}

impl<B> fmt::Debug for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<B> fmt::Display for Refused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the buffer was not taken: {}", self.error)
    }
}

impl<B> std::error::Error for Refused<B> {}

impl<B> From<Refused<B>> for io::Error {
    fn from(refused: Refused<B>) -> io::Error {
        refused.error
    }
}

/// Sends buffers over a connected socket without copying, and gives them back in order.
///
/// Waiting is up to the caller: [`try_next`](Sender::try_next) doesn't, [`next`](Sender::next) does, and the sender's
/// descriptor, the ring's, polls readable when there is something for `try_next`.
#[derive(Debug)]
pub struct Sender<S, B> {
    // before the socket, as it is dropped first
    ring: Ring,
    inflight: InFlight<B>,
    socket: S,
    options: Options,
    /// Results of the buffers in `inflight`; none yet, or in quiet mode: none is a success.
    results: VecDeque<Option<i32>>,
    /// `user_data` of the first of `results`, and of the next request
    first: u64,
    next: u64,
    unflushed: usize,
}

struct Ring(IoUring);

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ring").field(&self.0.as_raw_fd()).finish()
    }
}

impl Ring {
    /// Pushes an entry, for which there is room.
    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: what it reads is owned by the InFlight that made it, until it has its notification, and the socket is
        // open until the ring is closed. InFlight's entries go in order to this ring only, without links, and no others.
        unsafe { self.0.submission().push(entry) }.expect("there is room");
    }

    /// Makes room for `nr` entries.
    fn reserve(&mut self, nr: usize) -> io::Result<()> {
        for submitted in [false, true] {
            let queue = self.0.submission();
            if queue.capacity() - queue.len() >= nr {
                return Ok(());
            }
            drop(queue);
            if !submitted {
                self.submit(0)?;
            }
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "the submission queue is full"))
    }

    /// Submits, and waits for `want` CQEs.
    fn submit(&self, want: usize) -> io::Result<()> {
        match self.0.submit_and_wait(want) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

impl<S: AsFd, B: StableBuf> Sender<S, B> {
    /// Makes a ring with a slot for a connected socket.
    pub fn new(socket: S, options: Options) -> io::Result<Sender<S, B>> {
        if options.every == 0 || options.entries < 2 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let ring = IoUring::new(options.entries)?;
        register(&ring, &[Slot::new(1).copy_below(options.copy_below)], 0)?;
        let (inflight, opening) = InFlight::new(SLOT, BASE);
        let mut ring = Ring(ring);
        ring.push(&opening);
        Ok(Sender { ring, inflight, socket, options, results: VecDeque::new(), first: 0, next: 0, unflushed: 0 })
    }

    /// Queues a buffer. It is submitted with the next [`flush`](Sender::flush) or wait, or when the queue is full.
    pub fn send(&mut self, buf: B) -> Result<(), Refused<B>> {
        // Room for the request, and for the flush that may follow, before the buffer is taken
        if let Err(error) = self.ring.reserve(2) {
            return Err(Refused { buf, error });
        }
        if u32::try_from(buf.bytes().len()).is_err() {
            return Err(Refused { buf, error: io::Error::from(io::ErrorKind::InvalidInput) });
        }
        let fd = types::Fd(self.socket.as_fd().as_raw_fd());
        let usage = if self.options.report_usage { send_flags::REPORT_USAGE } else { 0 };
        // Streams send all of it, or fail.
        let mut entry = self.inflight.send(fd, buf, libc::MSG_WAITALL | libc::MSG_NOSIGNAL, usage).user_data(self.next);
        if self.options.quiet {
            entry = entry.flags(Flags::SKIP_SUCCESS);
        }
        self.results.push_back(None);
        self.next += 1;
        self.unflushed += 1;
        self.ring.push(&entry);
        if self.unflushed >= self.options.every {
            self.push_flush();
        }
        Ok(())
    }

    /// Pushes a flush, for which there is room.
    fn push_flush(&mut self) {
        self.unflushed = 0;
        if let Some(entry) = self.inflight.flush() {
            self.ring.push(&entry);
        }
    }

    /// Asks for the notification of what was queued, and submits all.
    pub fn flush(&mut self) -> io::Result<()> {
        self.ring.reserve(1)?;
        self.push_flush();
        self.ring.submit(0)
    }

    /// Submits what was queued, and flushes if no notification would come otherwise: what to do before polling the
    /// sender's descriptor.
    pub fn submit(&mut self) -> io::Result<()> {
        if self.unflushed > 0 && self.unflushed == self.inflight.away() {
            return self.flush();
        }
        self.ring.submit(0)
    }

    fn reap(&mut self) -> io::Result<()> {
        let mut queue = self.ring.0.completion();
        queue.sync();
        for cqe in queue {
            if !self.inflight.on_cqe(&cqe) {
                note(&mut self.results, self.first, &cqe);
            }
        }
        self.inflight.error().map_or(Ok(()), Err)
    }

    fn pop(&mut self) -> Option<Sent<B>> {
        let buf = self.inflight.next()?;
        let result = self.results.pop_front().flatten();
        self.first += 1;
        let result = match result {
            None => Ok(buf.bytes().len()),
            Some(error) if error < 0 => Err(io::Error::from_raw_os_error(-error)),
            Some(len) => Ok(len as usize),
        };
        Some(Sent { buf, result })
    }

    /// The oldest buffer, if it is back; doesn't wait.
    pub fn try_next(&mut self) -> io::Result<Option<Sent<B>>> {
        self.reap()?;
        Ok(self.pop())
    }

    /// The oldest buffer, for which it waits; `None` if all are back. Flushes if nothing would come otherwise.
    #[allow(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> io::Result<Option<Sent<B>>> {
        loop {
            if let Some(sent) = self.try_next()? {
                return Ok(Some(sent));
            }
            if self.inflight.away() == 0 {
                return Ok(None);
            }
            self.submit()?;
            self.ring.submit(1)?;
        }
    }

    /// How many buffers aren't back.
    pub fn away(&self) -> usize {
        self.inflight.away()
    }

    /// How many notifications said that something was copied, with [`Options::report_usage`].
    pub fn copied(&self) -> u64 {
        self.inflight.copied()
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }
}

/// Notes a request's result.
fn note(results: &mut VecDeque<Option<i32>>, first: u64, cqe: &cqueue::Entry) {
    let place = usize::try_from(cqe.user_data().wrapping_sub(first)).unwrap_or(usize::MAX);
    if let Some(result) = results.get_mut(place) {
        *result = Some(cqe.result());
    }
}

impl<S, B> AsRawFd for Sender<S, B> {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.0.as_raw_fd()
    }
}
