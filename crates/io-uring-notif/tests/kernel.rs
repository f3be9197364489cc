// SPDX-License-Identifier: GPL-2.0 OR MIT
//! Tests that need a kernel with slots; elsewhere each is skipped, and says why. With `NOTIF_REQUIRED` set that is a failure.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Weak};
use std::thread;

use io_uring::{types, IoUring};
use io_uring_notif::{
    advice, flush, give_up, query, read, register, send_flags, send_many, send_taken, slot_flags, unregister,
    AttachExt, Dgram, GetBuf, Ids, InFlight, Kind, Options, Sender, Slot,
};

/// A test panics if something is wrong, and gives the reason if it can't run.
type Test = fn() -> Result<(), &'static str>;

const TESTS: &[(&str, Test)] = &[
    ("capabilities", capabilities),
    ("errors_of_registering", errors_of_registering),
    ("one_notification_for_eight", one_notification_for_eight),
    ("tcp_bytes_arrive", tcp_bytes_arrive),
    ("quiet", quiet),
    ("udp_datagrams_arrive", udp_datagrams_arrive),
    ("failed_requests_give_back", failed_requests_give_back),
    ("not_before_the_peer", not_before_the_peer),
    ("merged", merged),
    ("many_datagrams", many_datagrams),
    ("taken_from_a_file", taken_from_a_file),
];

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn udp() -> (UdpSocket, UdpSocket) {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    near.connect(far.local_addr().unwrap()).unwrap();
    (near, far)
}

fn raw_error(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

fn capabilities() -> Result<(), &'static str> {
    let caps = query().unwrap();
    assert_eq!(caps.slot_size, 32);
    assert_eq!(caps.max_slots, 1 << 15);
    Ok(())
}

fn errors_of_registering() -> Result<(), &'static str> {
    let ring = IoUring::new(4).unwrap();
    assert_eq!(raw_error(&unregister(&ring).unwrap_err()), libc::ENXIO);
    assert_eq!(raw_error(&register(&ring, &[], 0).unwrap_err()), libc::EINVAL);
    let unknown = Slot::new(1).flags(1 << 31);
    assert_eq!(raw_error(&register(&ring, &[unknown], 0).unwrap_err()), libc::EINVAL);
    register(&ring, &[Slot::new(1)], 0).unwrap();
    assert_eq!(raw_error(&register(&ring, &[Slot::new(1)], 0).unwrap_err()), libc::EBUSY);
    unregister(&ring).unwrap();
    Ok(())
}

/// The requests themselves, on a slot that isn't the first.
fn one_notification_for_eight() -> Result<(), &'static str> {
    let (near, _far) = udp();
    let ids = Ids { base: 1 << 60, nr_slots: 3, ..Ids::default() };
    let mut ring = IoUring::new(16).unwrap();
    register(&ring, &ids.slots(), 0).unwrap();
    let data = [7; 100];
    let fd = types::Fd(near.as_raw_fd());
    for n in 0..8 {
        let send = io_uring::opcode::SendZc::new(fd, data.as_ptr(), 100).build().attach(2, 0).user_data(n);
        // SAFETY: `data` and `near` live until the notification below.
        unsafe { ring.submission().push(&send).unwrap() };
    }
    // SAFETY: reads no memory.
    unsafe { ring.submission().push(&flush(0, 3, 0).user_data(8)).unwrap() };
    ring.submit_and_wait(10).unwrap();
    let kinds: Vec<_> = ring.completion().map(|cqe| (read(&cqe, &ids), cqe.user_data(), cqe.result())).collect();
    for n in 0..8 {
        assert!(kinds.contains(&(Kind::Request, n, 100)));
    }
    assert!(kinds.contains(&(Kind::Request, 8, 1)), "one slot of three had something to flush");
    let notifications: Vec<_> = kinds.iter().filter(|kind| matches!(kind.0, Kind::Slot { .. })).collect();
    assert_eq!(notifications, [&(Kind::Slot { slot: 2, seq: 0, copied: false }, ids.base + 2, 0)]);
    Ok(())
}

/// Each byte depends on its place.
fn pattern(at: usize) -> u8 {
    (at * 7 + at / 256 * 31) as u8
}

fn stream(options: Options) {
    const LEN: usize = 10_000;
    const NR: usize = 500;
    let (near, mut far) = tcp();
    let receiver = thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        all
    });
    let mut sender = Sender::new(near, options).unwrap();
    let mut back = 0;
    for nr in 0..NR {
        sender.send((nr * LEN..(nr + 1) * LEN).map(pattern).collect::<Vec<u8>>()).unwrap();
        while let Some(sent) = sender.try_next().unwrap() {
            assert_eq!((sent.result.unwrap(), sent.buf[0]), (LEN, pattern(back * LEN)));
            back += 1;
        }
    }
    while let Some(sent) = sender.next().unwrap() {
        assert_eq!((sent.result.unwrap(), sent.buf[0]), (LEN, pattern(back * LEN)));
        back += 1;
    }
    assert_eq!((back, sender.away()), (NR, 0));
    drop(sender);
    let all = receiver.join().unwrap();
    assert_eq!(all.len(), NR * LEN);
    assert!(all.iter().enumerate().all(|(at, &byte)| byte == pattern(at)));
}

fn tcp_bytes_arrive() -> Result<(), &'static str> {
    stream(Options { every: 7, copy_below: 1, ..Options::default() });
    Ok(())
}

fn quiet() -> Result<(), &'static str> {
    stream(Options { quiet: true, entries: 16, ..Options::default() });
    Ok(())
}

fn udp_datagrams_arrive() -> Result<(), &'static str> {
    let (near, far) = udp();
    let mut sender = Sender::new(near, Options { every: 3, report_usage: true, ..Options::default() }).unwrap();
    let mut buf = [0; 200];
    for nr in 0..50u8 {
        sender.send(vec![nr; 100]).unwrap();
        sender.flush().unwrap();
        assert_eq!(far.recv(&mut buf).unwrap(), 100);
        assert_eq!(buf[..100], [nr; 100]);
        let sent = sender.next().unwrap().unwrap();
        assert_eq!((sent.result.unwrap(), sent.buf), (100, vec![nr; 100]));
    }
    // over loopback the receiver's copy is the kernel's
    assert_eq!(sender.copied(), 50);
    Ok(())
}

/// Also with nobody to send to.
fn failed_requests_give_back() -> Result<(), &'static str> {
    let (near, far) = tcp();
    drop(far);
    let mut sender = Sender::new(near, Options { quiet: true, every: 4, ..Options::default() }).unwrap();
    for nr in 0..20u8 {
        sender.send(vec![nr; 1000]).unwrap();
        sender.flush().unwrap();
    }
    let mut failed = 0;
    for nr in 0..20u8 {
        let sent = sender.next().unwrap().unwrap();
        assert_eq!(sent.buf, vec![nr; 1000]);
        failed += usize::from(sent.result.is_err());
    }
    assert!(sender.next().unwrap().is_none());
    assert!(failed >= 18, "only {failed} of 20 failed on a connection that is reset");
    Ok(())
}

/// While the peer's window is shut, the buffer isn't back; a program that drops everything leaks it.
fn not_before_the_peer() -> Result<(), &'static str> {
    let (near, far) = tcp();
    let mut sender: Sender<_, Arc<[u8]>> = Sender::new(near, Options::default()).unwrap();
    let mut watch: VecDeque<Weak<[u8]>> = VecDeque::new();
    // more than the buffers of both ends: the last one can't be sent
    for _ in 0..64 {
        let buf: Arc<[u8]> = vec![1; 1 << 20].into();
        watch.push_back(Arc::downgrade(&buf));
        sender.send(buf).unwrap();
    }
    sender.flush().unwrap();
    while sender.try_next().unwrap().is_some() {}
    assert!(sender.away() > 0);
    drop(sender);
    assert!(watch.back().unwrap().upgrade().is_some());
    drop(far);
    Ok(())
}

/// One CQE for one request, which is the notification.
fn merged() -> Result<(), &'static str> {
    if query().unwrap().slot_flags & slot_flags::MERGE == 0 {
        return Err("this kernel has no IORING_NOTIF_SLOT_MERGE");
    }
    let (near, _far) = udp();
    let ids = Ids { base: 1 << 60, bearer: 1 << 61, nr_slots: 1, reg_flags: 0 };
    let mut ring = IoUring::new(4).unwrap();
    let slot = Slot::new(ids.base).flags(slot_flags::MERGE).flush_after(1);
    register(&ring, &[slot], 0).unwrap();
    let data = [7; 100];
    let fd = types::Fd(near.as_raw_fd());
    let entry = io_uring::opcode::SendZc::new(fd, data.as_ptr(), 100).build();
    let entry = entry.attach(0, send_flags::REPORT_USAGE).user_data(ids.bearer | 5);
    // SAFETY: `data` and `near` live until the CQE below.
    unsafe { ring.submission().push(&entry).unwrap() };
    ring.submit_and_wait(1).unwrap();
    let cqes: Vec<_> = ring.completion().collect();
    assert_eq!(cqes.len(), 1);
    assert_eq!((cqes[0].user_data(), cqes[0].result()), (ids.bearer | 5, 100));
    assert_eq!(read(&cqes[0], &ids), Kind::Bearer { copied: true });
    Ok(())
}

/// One request, three datagrams, one of them a train of two.
fn many_datagrams() -> Result<(), &'static str> {
    if query().unwrap().send_flags & u32::from(send_flags::MANY) == 0 {
        return Err("this kernel has no IORING_SEND_ZC_MANY");
    }
    let (near, far) = udp();
    let ids = Ids { base: 1 << 60, nr_slots: 1, ..Ids::default() };
    let mut ring = IoUring::new(4).unwrap();
    register(&ring, &ids.slots(), 0).unwrap();
    let data: Vec<u8> = (0..200).collect();
    let dgrams = [
        Dgram::new(data.as_ptr(), 50, 0),
        Dgram::new(data[50..].as_ptr(), 100, 50),
        Dgram::new(data[150..].as_ptr(), 50, 0),
    ];
    let fd = types::Fd(near.as_raw_fd());
    let entry = send_many(fd, dgrams.as_ptr(), 3, 0, send_flags::FLUSH);
    // SAFETY: `data`, `dgrams` and `near` live until the notification below.
    unsafe { ring.submission().push(&entry.user_data(1)).unwrap() };
    ring.submit_and_wait(2).unwrap();
    let cqes: Vec<_> = ring.completion().map(|cqe| (read(&cqe, &ids), cqe.result())).collect();
    assert_eq!(cqes[0], (Kind::Request, 3));
    assert!(matches!(cqes[1].0, Kind::Slot { slot: 0, seq: 0, .. }));
    let mut buf = [0; 100];
    for part in data.chunks(50) {
        assert_eq!(far.recv(&mut buf).unwrap(), 50);
        assert_eq!(&buf[..50], part);
    }
    Ok(())
}

/// A part of a file goes to a socket by way of the buffer table.
fn taken_from_a_file() -> Result<(), &'static str> {
    if query().unwrap().get_buf_flags == 0 {
        return Err("this kernel has no IORING_OP_GET_BUF");
    }
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let want = std::fs::read("/proc/self/exe").unwrap();
    let (near, mut far) = tcp();
    let (file, near) = (types::Fd(file.as_raw_fd()), types::Fd(near.as_raw_fd()));
    let mut ring = IoUring::new(4).unwrap();
    ring.submitter().register_buffers_sparse(2).unwrap();
    register(&ring, &[Slot::new(1 << 60)], 0).unwrap();
    let mut head = [0u8; 4];
    // the notification comes when the peer has acknowledged
    let mut run = |entry, results: &[i32]| {
        // SAFETY: `head` outlives the request, and no other points to memory.
        unsafe { ring.submission().push(&entry).unwrap() };
        ring.submit_and_wait(results.len()).unwrap();
        let mut found: Vec<_> = ring.completion().map(|cqe| cqe.result()).collect();
        found.sort_unstable();
        assert_eq!(found, results);
    };
    run(GetBuf::new(file, 9000, 1).head(head.as_mut_ptr(), 4).build(), &[9000]);
    run(GetBuf::new(file, 9000, 1).build(), &[-libc::EBUSY]);
    run(send_taken(near, 0, u32::MAX, 1, 0, 0), &[9000]);
    run(GetBuf::new(file, 1000, 1).offset(5000).replace().build(), &[1000]);
    run(send_taken(near, 100, 900, 1, 0, 0), &[900]);
    let mut got = [0; 9900];
    far.read_exact(&mut got).unwrap();
    assert!(got[..9000] == want[..9000] && got[9000..] == want[5100..6000] && head == want[..4]);
    run(give_up(0, 2), &[1]);
    run(flush(0, 1, 0), &[0, 1]);
    Ok(())
}

/// A retrofit has no other way to its buffers; used as documented, on a ring of its own.
#[allow(dead_code, reason = "that it compiles is the test")]
fn retrofit(ring: &mut IoUring, fd: types::Fd, buf: Vec<u8>) -> Option<Vec<u8>> {
    let (mut inflight, opening) = InFlight::new(0, 1);
    let entries = [opening, inflight.send(fd, buf, 0, 0), inflight.flush()?];
    // SAFETY: the only ring, in order, and nobody else uses slot 0.
    unsafe { ring.submission().push_multiple(&entries).ok()? };
    ring.submit_and_wait(4).ok()?;
    for cqe in ring.completion() {
        if !inflight.on_cqe(&cqe) {
            println!("request {}: {}", cqe.user_data(), cqe.result());
        }
    }
    inflight.next()
}

fn main() -> ExitCode {
    let reason = query().err().map(|error| format!("{error}: {}", advice(&error)));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for (name, test) in TESTS {
        let outcome = match &reason {
            Some(reason) => Ok(Err(reason.as_str())),
            None => catch_unwind(test),
        };
        match outcome {
            Ok(Ok(())) => {
                passed += 1;
                println!("test {name} ... ok");
            }
            Ok(Err(reason)) => {
                skipped += 1;
                println!("test {name} ... SKIP {reason}");
            }
            Err(_) => {
                failed += 1;
                println!("test {name} ... FAILED");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let required = std::env::var_os("NOTIF_REQUIRED").is_some();
    if failed > 0 || (required && reason.is_some()) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
