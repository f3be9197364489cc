// SPDX-License-Identifier: GPL-2.0

//! The abstractions that zero-copy receive stands on.
//!
//! Everything that is `unsafe` is here and in [`crate::ops`].

mod argument;
mod mapping;
mod socket;
mod window;

pub(crate) use argument::{Argument, Raw};
pub(crate) use mapping::NewMapping;
pub(crate) use socket::{Socket, State};
pub(crate) use window::Window;
