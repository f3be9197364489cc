// SPDX-License-Identifier: GPL-2.0 OR MIT
//! The same beside other tasks of tokio: the ring's descriptor polls readable as notifications come.
//!
//! In the VM: `make vm CMD=<target>/debug/examples/with_tokio`

use std::error::Error;
use std::io;
use std::net::TcpStream;

use io_uring_notif::{advice, query, Options, Sender, Sent};
use tokio::io::unix::AsyncFd;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream as AsyncTcpStream};
use tokio::runtime::Builder;

const SIZE: usize = 64 << 10;
const MESSAGES: usize = 512;
const BUFFERS: usize = 32;

type Ring = AsyncFd<Sender<TcpStream, Vec<u8>>>;

/// The oldest buffer, once the kernel has let go of it. Dropping this future loses nothing: what isn't taken stays.
async fn next(ring: &mut Ring) -> io::Result<Option<Sent<Vec<u8>>>> {
    loop {
        if let Some(sent) = ring.get_mut().try_next()? {
            return Ok(Some(sent));
        }
        if ring.get_ref().away() == 0 {
            return Ok(None);
        }
        ring.get_mut().submit()?;
        let mut ready = ring.readable_mut().await?;
        match ready.get_inner_mut().try_next()? {
            Some(sent) => return Ok(Some(sent)),
            None => ready.clear_ready(),
        }
    }
}

/// Counts bytes, as another task.
async fn receive(listener: TcpListener) -> io::Result<(usize, usize)> {
    let (socket, _) = listener.accept().await?;
    let (mut at, mut wrong) = (0, 0);
    let mut buf = vec![0; SIZE];
    loop {
        socket.readable().await?;
        match socket.try_read(&mut buf) {
            Ok(0) => return Ok((at, wrong)),
            Ok(len) => {
                wrong += buf[..len].iter().enumerate().filter(|&(n, &byte)| byte != ((at + n) / SIZE) as u8).count();
                at += len;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn send(socket: TcpStream) -> io::Result<u64> {
    let options = Options { every: 8, report_usage: true, ..Options::default() };
    let sender = Sender::new(socket, options)?;
    // SAFETY: the sender's descriptor is its ring's, the same one until the sender is dropped.
    let mut ring = unsafe { AsyncFd::register_with_interest(sender, Interest::READABLE) }?;
    for message in 0..MESSAGES {
        let mut buf = if message < BUFFERS {
            vec![0; SIZE]
        } else {
            let sent = next(&mut ring).await?.ok_or(io::ErrorKind::NotFound)?;
            sent.result?;
            sent.buf
        };
        buf.fill(message as u8);
        ring.get_mut().send(buf)?;
    }
    while let Some(sent) = next(&mut ring).await? {
        sent.result?;
    }
    Ok(ring.get_ref().copied())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let socket = AsyncTcpStream::connect(listener.local_addr()?).await?.into_std()?;
    let receiver = tokio::spawn(receive(listener));
    let copied = send(socket).await?;
    let (bytes, wrong) = receiver.await??;
    println!("{bytes} bytes received, {wrong} of them wrong; {copied} notifications say copied, as loopback does");
    if (bytes, wrong) != (MESSAGES * SIZE, 0) {
        return Err("not what was sent".into());
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    query().map_err(|error| format!("{error}: {}", advice(&error)))?;
    Builder::new_current_thread().enable_io().build()?.block_on(run())
}
