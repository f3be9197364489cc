// SPDX-License-Identifier: GPL-2.0

//! What a mapping of a socket is like.

use crate::sys::NewMapping;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Sets a mapping up: nobody can write to it, and it stays where it is and as large as it is, in
/// the program that made it.
///
/// Fails with `EPERM` if it is to be writable or executable, `EINVAL` if it has no room for headers
/// and a page of data or doesn't start at 0, `ENOMEM`.
pub(crate) fn set_up(mapping: &NewMapping<'_>) -> Result {
    let vma = mapping.vma();

    if vma.writable() || vma.executable() {
        return Err(EPERM);
    }
    if mapping.offset() != 0 || vma.end() - vma.start() < 2 * PAGE_SIZE {
        return Err(EINVAL);
    }
    vma.try_clear_maywrite()?;
    vma.try_clear_mayexec()?;
    vma.set_mixedmap();
    vma.set_dontexpand();
    vma.set_dontcopy();
    vma.set_dontdump();
    mapping.count()
}
