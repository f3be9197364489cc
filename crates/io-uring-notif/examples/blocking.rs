// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Sends 8 MiB over TCP to a thread that looks at every byte; buffers are filled again as they come back.
//!
//! In the VM: `make vm CMD=<target>/debug/examples/blocking`

use std::error::Error;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::thread;

use io_uring_notif::{advice, query, Options, Sender};

const SIZE: usize = 32 << 10;
const MESSAGES: usize = 256;
const BUFFERS: usize = 64;

fn pattern(at: usize) -> u8 {
    (at * 7 + at / 256 * 31) as u8
}

fn fill(buf: &mut [u8], message: usize) {
    for (place, byte) in buf.iter_mut().enumerate() {
        *byte = pattern(message * SIZE + place);
    }
}

/// How many bytes arrived, and how many of them were wrong.
fn receive(mut socket: TcpStream) -> std::io::Result<(usize, usize)> {
    let (mut at, mut wrong) = (0, 0);
    let mut buf = vec![0; SIZE];
    loop {
        let len = socket.read(&mut buf)?;
        if len == 0 {
            return Ok((at, wrong));
        }
        wrong += buf[..len].iter().enumerate().filter(|&(place, &byte)| byte != pattern(at + place)).count();
        at += len;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    query().map_err(|error| format!("{error}: {}", advice(&error)))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let socket = TcpStream::connect(listener.local_addr()?)?;
    let far = listener.accept()?.0;
    let receiver = thread::spawn(move || receive(far));

    let options = Options { every: 16, report_usage: true, ..Options::default() };
    let mut sender = Sender::<_, Vec<u8>>::new(socket, options)?;
    for message in 0..MESSAGES {
        let mut buf = if message < BUFFERS {
            vec![0; SIZE]
        } else {
            // All are away: wait for the oldest.
            let sent = sender.next()?.ok_or("a buffer is missing")?;
            sent.result?;
            sent.buf
        };
        fill(&mut buf, message);
        sender.send(buf)?;
    }
    while let Some(sent) = sender.next()? {
        sent.result?;
    }
    let copied = sender.copied();
    drop(sender); // closes the connection
    let (bytes, wrong) = receiver.join().map_err(|_| "the receiver panicked")??;
    println!("{bytes} bytes received, {wrong} of them wrong; {copied} notifications say copied, as loopback does");
    if (bytes, wrong) != (MESSAGES * SIZE, 0) {
        return Err("not what was sent".into());
    }
    Ok(())
}
