// SPDX-License-Identifier: GPL-2.0

//! Zero-copy receive on vsock.
//!
//! A program maps its socket. `getsockopt(SO_VM_SOCKETS_MAP_RX)` puts the pages of packets that the
//! socket has queued into that mapping, after a page of headers that say what is where.
//!
//! Policy, without `unsafe`: [`plan`] (which bytes go to which page), [`receive`] (the order of a
//! call, and what becomes of it if it fails), [`args`] (the argument of the call), [`mmap`] (what a
//! mapping is like). It stands on [`sys`], the abstractions over sockets and mappings; [`ops`] is
//! what vsock calls.
//!
//! C header: [`net/vmw_vsock/maprx/shim/map_rx.h`](srctree/net/vmw_vsock/maprx/shim/map_rx.h)

use kernel::prelude::*;

mod args;
mod mmap;
mod ops;
mod plan;
mod receive;
mod sys;

module! {
    type: MapRxModule,
    name: "vsock_map_rx",
    authors: ["The io_uring notification slots developers"],
    description: "Zero-copy receive on vsock",
    license: "GPL",
}

/// The module: vsock knows of it as long as it exists.
struct MapRxModule {
    _registered: ops::Registered,
}

impl kernel::Module for MapRxModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registered: ops::Registered::new(module)?,
        })
    }
}
