// SPDX-License-Identifier: GPL-2.0

//! A receive: its order, and what becomes of it if it fails.
//!
//! The queue is only read until the program has all that it gets, its answer included. So a call
//! that fails has taken nothing, and all that has to be undone is the mapping.

use crate::{
    args::{
        Answer,
        Request, //
    },
    plan::{
        self,
        Plan,
        Totals, //
    },
    sys::{
        Argument,
        Socket,
        State,
        Window, //
    },
};
use kernel::prelude::*;

/// `SO_VM_SOCKETS_MAP_RX`.
pub(crate) fn receive(socket: &mut Socket<'_>, argument: &mut Argument<'_>) -> Result {
    let request = Request::read(argument)?;
    let state = socket.state()?;
    let messages = socket.has_messages();
    let mut window = socket.window(request.address, request.length)?;
    let mut got = Totals::default();

    if !request.clean {
        window.clear();
    }
    // A program that looks for data again and again has the same clean pages then.
    if state == State::Data || !request.clean {
        got = fill(&mut window, state, messages)?;
    }
    // Writing to the program's memory may need the locks that the window has.
    drop(window);

    let answer = Answer {
        got,
        state,
        inq: socket.bytes().saturating_sub(got.bytes),
        more: state == State::Data && has_more(socket, &got),
    };
    if let Err(e) = request.answer(argument, &answer) {
        undo(socket, &request, &got);
        return Err(e);
    }
    // Where there's data it may be messages of no bytes.
    if state == State::Data {
        socket.consume(got.bytes);
    }
    Ok(())
}

fn has_more(socket: &Socket<'_>, got: &Totals) -> bool {
    match socket.has_messages() {
        true => socket.messages() > got.messages,
        false => socket.bytes() > got.bytes,
    }
}

/// Takes what was placed out of the mapping again, if that's still there.
fn undo(socket: &mut Socket<'_>, request: &Request, got: &Totals) {
    if let Ok(window) = socket.window(request.address, request.length) {
        window.clear_from(0, got.pages + 1);
    }
}

/// Plans and places what there is: the page of headers, and data if there's some.
fn fill(window: &mut Window<'_, '_>, state: State, messages: bool) -> Result<Totals> {
    let pages = window.pages() - 1;
    let (headers, mut packets) = window.start()?;
    let mut plan = Plan::new(headers, pages, messages);

    if state == State::Data {
        while let Some(batch) = packets.next_batch() {
            if !batch.iter().all(|packet| plan.add(packet)) {
                break;
            }
        }
    }
    let planned = plan.finish()?;

    match window.place(planned.headers) {
        (_, Ok(())) => Ok(planned),
        (placed, Err(e)) => settle(window, placed, messages, e),
    }
}

/// Not all could be placed: delivers what was, or nothing.
fn settle(
    window: &mut Window<'_, '_>,
    placed: u32,
    messages: bool,
    error: Error,
) -> Result<Totals> {
    // A program that says its pages are clean and is wrong has to know.
    let got = match placed.checked_sub(1) {
        Some(pages) if error != EBUSY => plan::cut(window.headers(), pages, messages),
        _ => Totals::default(),
    };

    if got.bytes == 0 {
        window.clear_from(0, placed);
        return Err(error);
    }
    window.clear_from(got.pages + 1, placed);
    Ok(got)
}
