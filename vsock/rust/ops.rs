// SPDX-License-Identifier: GPL-2.0

//! What vsock calls: `struct vsock_map_rx_ops`.

use crate::{
    mmap, receive,
    sys::{
        Argument,
        NewMapping,
        Socket, //
    },
};
use core::ffi::c_int;
use kernel::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// The table of operations that vsock knows of.
pub(crate) struct Registered(KBox<bindings::vsock_map_rx_ops>);

// SAFETY: The table is only read, and unregistered from any task.
unsafe impl Send for Registered {}

// SAFETY: As above.
unsafe impl Sync for Registered {}

impl Registered {
    /// Registers the module. Fails with `EBUSY` if there's another one.
    pub(crate) fn new(module: &'static ThisModule) -> Result<Self> {
        let ops = KBox::new(
            bindings::vsock_map_rx_ops {
                owner: module.as_ptr(),
                mmap: Some(mmap),
                receive: Some(receive),
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The table stays until it is unregistered.
        to_result(unsafe { bindings::vsock_map_rx_ops_register(&raw const *ops) })?;
        Ok(Self(ops))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // SAFETY: The table was registered.
        unsafe { bindings::vsock_map_rx_ops_unregister(&raw const *self.0) }
    }
}

/// # Safety
///
/// `vsk` must be valid, and `vma` about to be set up by its `mmap()`.
unsafe extern "C" fn mmap(
    vsk: *mut bindings::vsock_sock,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: That's what the caller promises.
    let mapping = unsafe { NewMapping::new(vsk, vma) };
    from_result(|| mmap::set_up(&mapping).map(|()| 0))
}

/// # Safety
///
/// `vsk` must be valid with its `sk_lock` held, and `opt` be for nobody else, both as long as we
/// are here.
unsafe extern "C" fn receive(
    vsk: *mut bindings::vsock_sock,
    opt: *mut bindings::sockopt_t,
) -> c_int {
    // SAFETY: That's what the caller promises.
    let (mut socket, mut argument) = unsafe { (Socket::assume(vsk), Argument::new(opt)) };
    from_result(|| receive::receive(&mut socket, &mut argument).map(|()| 0))
}
