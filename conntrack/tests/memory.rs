//! Memory for each connection, all included: what the allocator was asked for, at several fill levels.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use conntrack::{Config, Cursor, Filter, Request, Tracker};
use frames::{Frame, L4, Net, V4};
use packet::{Packet, extract};

/// Bytes for each connection, at most.
const MOST: usize = 320;

/// The system's allocator, which counts.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract, and `at` came from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_connection_takes_at_most_320_bytes_at_every_fill() {
    let l4 = L4::Udp { src: 0, dst: 0, checksum: false, payload: Vec::new() };
    let mut packet = Packet::copy_of(&Frame::new(Net::V4(V4 { l4, ..V4::default() })).build()).unwrap();
    let (mut key, mut layers) = extract(packet.data(), 2);
    let request = Request { commit: true, ..Request::default() };
    let before = HELD.load(Relaxed);
    let tracker = Tracker::new(Config { seed: 5, ..Config::default() });
    let mut open = |n: u32| {
        let ports = [((n % 1024) as u16).to_be_bytes(), ((n / 1024) as u16).to_be_bytes()].concat();
        let l4 = usize::from(layers.l4);
        packet.data_mut()[l4..l4 + 4].copy_from_slice(&ports);
        key.ct_state.set(0);
        tracker.track(&request, &mut packet, &mut layers, &mut key, 1);
    };
    for n in 1..=1_000_000 {
        open(n);
        // Index shards double at different times: every level has its own share of room to spare.
        if n >= 100_000 && n % 50_000 == 0 {
            let each = (HELD.load(Relaxed) - before) / n as usize;
            assert!(each <= MOST, "{each} bytes each at {n} connections");
        }
    }
    assert_eq!(tracker.connections(), 1_000_000);
    let full = HELD.load(Relaxed);
    tracker.flush(&Filter::default(), &mut Cursor::default(), usize::MAX);
    (1..=1_000_000).for_each(&mut open);
    let again = HELD.load(Relaxed);
    assert!(again <= full + full / 50, "{full} bytes became {again} when all connections were replaced");
}
