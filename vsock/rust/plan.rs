// SPDX-License-Identifier: GPL-2.0

//! Which bytes of a queue go to which page of a mapping.
//!
//! The plan is the headers that the program gets, from the first byte of the queue on: each says
//! how many bytes come next, and whether they are copied or their pages mapped. Its data starts on
//! a page of its own, so that the headers also say which page that is.

use kernel::{
    bindings,
    page::PAGE_SIZE,
    prelude::*, //
};

#[cfg(CONFIG_VSOCK_MAP_RX_KUNIT_TEST)]
mod tests;

/// A packet in the queue, whose first bytes may have been received.
pub(crate) type Packet = bindings::vsock_rx_packet;
/// What a program is told of a piece of data.
pub(crate) type Header = bindings::vsock_rx_hdr;

/// What is shorter is copied, though it has a page of its own: mapping that costs more, and packets
/// that come after it find room in the copy's page.
const COPY_BELOW: u32 = 2048;
/// The size of a page.
const PAGE: u32 = PAGE_SIZE as u32;

const EOM: u32 = bindings::VSOCK_RX_HDR_EOM;
const COPIED: u32 = bindings::VSOCK_RX_HDR_COPIED;

/// What a plan, or a part of one, amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    /// How many headers there are.
    pub(crate) headers: u32,
    /// How many pages these need, without that of the headers.
    pub(crate) pages: u32,
    /// How many bytes they have.
    pub(crate) bytes: u32,
    /// How many of these are copied.
    pub(crate) copied: u32,
    /// How many messages end in them.
    pub(crate) messages: u32,
}

impl Totals {
    /// Adds a piece, which has its pages for itself.
    fn add(&mut self, header: &Header) {
        self.headers += 1;
        self.pages += header.length.div_ceil(PAGE);
        self.bytes += header.length;
        if header.flags & COPIED != 0 {
            self.copied += header.length;
        }
        if header.flags & EOM != 0 {
            self.messages += 1;
        }
    }
}

/// A plan in the making.
///
/// Of a stream any part can be delivered, of messages only whole ones: [`Plan::whole`] follows.
pub(crate) struct Plan<'a> {
    /// All 0 from `now.headers` on.
    headers: &'a mut [Header],
    /// How many pages of data there may be.
    limit: u32,
    /// Messages, not a stream.
    messages: bool,
    /// What is planned.
    now: Totals,
    /// What of messages can be delivered.
    whole: Totals,
    /// The last piece is a copy that may go on, and its last page has room for so many bytes.
    open: Option<u32>,
    /// Something did not fit.
    full: bool,
}

impl<'a> Plan<'a> {
    /// An empty plan. `headers` must be all 0; there are never more pages than these.
    pub(crate) fn new(headers: &'a mut [Header], pages: u32, messages: bool) -> Self {
        let most = u32::try_from(headers.len()).unwrap_or(u32::MAX);

        Self {
            headers,
            limit: pages.min(most),
            messages,
            now: Totals::default(),
            whole: Totals::default(),
            open: None,
            full: false,
        }
    }

    /// Plans the next packet. False: it didn't fit, or only a part of it did.
    #[inline]
    pub(crate) fn add(&mut self, packet: &Packet) -> bool {
        let head = packet.head.min(packet.len);
        let copied = match packet.len - head {
            rest if rest < COPY_BELOW => packet.len,
            _ => head,
        };
        let fits = self.copy(copied) && self.map(packet.len - copied);

        if fits && packet.flags != 0 {
            self.mark(packet.flags);
        }
        if fits && packet.flags & EOM != 0 {
            self.whole = self.now;
        }
        self.full |= !fits;
        fits
    }

    /// Starts a piece of data. `None`: there's no room for one.
    #[inline]
    fn start(&mut self, flags: u32) -> Option<&mut Header> {
        if self.now.pages == self.limit {
            return None;
        }
        let header = self.headers.get_mut(self.now.headers as usize)?;
        header.flags = flags;
        self.now.headers += 1;
        Some(header)
    }

    /// How many bytes the pages that are left hold.
    #[inline]
    fn left(&self) -> u32 {
        (self.limit - self.now.pages) * PAGE
    }

    #[inline]
    fn copy(&mut self, bytes: u32) -> bool {
        if bytes == 0 {
            return true;
        }
        if self.open.is_none() {
            if self.start(COPIED).is_none() {
                return false;
            }
            self.open = Some(0);
        }
        let room = self.open.unwrap_or(0);
        let bytes_now = bytes.min(room + self.left());
        let pages = bytes_now.saturating_sub(room).div_ceil(PAGE);

        self.now.pages += pages;
        self.now.bytes += bytes_now;
        self.now.copied += bytes_now;
        self.open = Some(room + pages * PAGE - bytes_now);
        if let Some(header) = self.last() {
            header.length += bytes_now;
        }
        bytes_now == bytes
    }

    #[inline]
    fn map(&mut self, bytes: u32) -> bool {
        if bytes == 0 {
            return true;
        }
        let bytes_now = bytes.min(self.left());

        self.open = None;
        match self.start(0) {
            Some(header) => header.length = bytes_now,
            None => return false,
        }
        self.now.pages += bytes_now.div_ceil(PAGE);
        self.now.bytes += bytes_now;
        bytes_now == bytes
    }

    fn last(&mut self) -> Option<&mut Header> {
        self.headers
            .get_mut((self.now.headers as usize).checked_sub(1)?)
    }

    /// The piece that ends here has the flags of its packets. A message without data has no piece,
    /// and so the program isn't told of it; the last piece is another message's then.
    fn mark(&mut self, flags: u32) {
        match self.last() {
            Some(header) if header.flags & EOM == 0 => header.flags |= flags,
            _ => (),
        }
        if flags & EOM != 0 {
            self.now.messages += 1;
            self.open = None;
        }
    }

    /// Ends the plan: what can be delivered; the other headers are 0.
    ///
    /// Fails with `EMSGSIZE` when that's nothing, as the first message is too large.
    pub(crate) fn finish(mut self) -> Result<Totals> {
        if !self.messages {
            self.whole = self.now;
        }
        for header in &mut self.headers[self.whole.headers as usize..self.now.headers as usize] {
            *header = Header::default();
        }
        match self.full && self.messages && self.whole.messages == 0 {
            true => Err(EMSGSIZE),
            false => Ok(self.whole),
        }
    }
}

/// Cuts a plan to what can be delivered with only so many pages placed; the other headers are 0.
pub(crate) fn cut(headers: &mut [Header], pages: u32, messages: bool) -> Totals {
    let mut now = Totals::default();
    let mut whole = now;

    for header in &mut *headers {
        let left = (pages - now.pages).saturating_mul(PAGE);

        if header.length > left && !messages {
            header.length = left;
        }
        if header.length == 0 || header.length > left {
            break;
        }
        now.add(header);
        if !messages || header.flags & EOM != 0 {
            whole = now;
        }
    }
    for header in &mut headers[whole.headers as usize..] {
        *header = Header::default();
    }
    whole
}
