// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Notification slots of io_uring, on top of the [`io_uring`] crate.
//!
//! A zero-copy send is over twice: once its data is queued, and once the kernel has let go of the memory. With
//! slots, any number of requests share the second event: they *attach* to the notifier in a slot, and *flushing* the
//! slot makes the kernel post one CQE, the *notification*, once the memory of all of them is free.
//!
//! Three ways to use them, the safest first:
//!
//! - [`Sender`]: a ring and a socket that send owned buffers and give each back once the kernel has let go of it.
//! - [`InFlight`]: the same bookkeeping for a ring of your own. It owns the buffers, and there is no way to have one
//!   back but the notification: a program that is ported from `SEND_ZC` can't free early.
//! - [`AttachExt`], [`flush`], [`send_many`] and [`read`]: requests and CQEs themselves.
//!
//! [`GetBuf`] takes received data, or a part of a file, into the buffer table, for [`send_taken`].
//!
//! Before all that, [`query`] says whether the kernel has slots, and [`advice`] what to do if not.
//!
//! ```no_run
//! use io_uring_notif::{Options, Sender};
//! use std::net::TcpStream;
//!
//! let socket = TcpStream::connect("192.0.2.1:9")?;
//! let mut sender = Sender::new(socket, Options::default())?;
//! for nr in 0..1000u32 {
//!     sender.send(vec![nr as u8; 65536])?;
//!     while let Some(sent) = sender.try_next()? {
//!         println!("{:?}: the buffer is ours again", sent.result);
//!     }
//! }
//! while let Some(sent) = sender.next()? {
//!     println!("{:?}: the buffer is ours again", sent.result);
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The trap
//!
//! The CQE of a request that attached never has `IORING_CQE_F_MORE`. Code that was written for `SEND_ZC` takes that
//! for "no notification follows, the buffer is free", and frees memory that the kernel still sends from. With slots
//! a request's CQE says nothing about the buffer, the notification does. Slots that have [`slot_flags::MERGE`] are
//! the exception: there the CQE of the request that flushes is the notification, and it comes that late.
//!
//! # How slots get past `opcode::SendZc`
//!
//! io-uring 0.7 can set `ioprio` of `SEND_ZC`, where the flags are, but has no setter for the slot, which is two
//! bytes of the SQE that were padding. [`AttachExt`] writes them into the built [`io_uring::squeue::Entry`], which
//! is the SQE itself, 64 bytes as the kernel reads them: a size check at compile time and a test that writes known
//! fields by io-uring's own setters, and finds them where the kernel looks for them, guard that. The patch that
//! makes it unnecessary is in `crates/upstream/`.

mod cqe;
mod get_buf;
mod inflight;
mod opcode;
mod sender;
mod sys;

pub use cqe::{read, Ids, Kind};
pub use get_buf::{give_up, send_taken, GetBuf};
pub use inflight::{InFlight, StableBuf};
pub use opcode::{flush, send_many, AttachExt, Dgram};
pub use sender::{Options, Refused, Sender, Sent};
pub use sys::{advice, query, register, send_flags, slot_flags, unregister, Caps, Slot, RAW_SEQ};
