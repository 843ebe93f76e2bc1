//! What a packet costs: of one hot connection, of ten thousand and of a million in turn, the first of a new one; and what it
//! costs to read and to forget one. All times are per packet or per connection, `established` excepted: 32 packets. They are processor time of the
//! thread, so that others on the machine disturb them little.

use std::hint::black_box;
use std::time::Duration;

use conntrack::{Config, Cursor, Filter, Request, Tracker};
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use frames::{Frame, L4, Net, V4};
use nix::time::{ClockId, clock_gettime};
use packet::{Checksum, FlowKey, Layers, Packet, extract};

/// Processor time of this thread.
struct ThreadTime(WallTime);

fn thread_time() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock"))
}

impl Measurement for ThreadTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        thread_time()
    }

    fn end(&self, start: Duration) -> Duration {
        thread_time() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.0.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        self.0.formatter()
    }
}

type Bencher = Criterion<ThreadTime>;

const NOW_NS: u64 = 1_000_000_000;

/// A UDP packet without checksum, so that its ports can be changed for nothing.
struct Bench {
    tracker: Tracker,
    packet: Packet,
    key: FlowKey,
    layers: Layers,
    commit: Request,
    look: Request,
}

impl Bench {
    fn new(connections: u32) -> Self {
        let l4 = L4::Udp { src: 0, dst: 0, checksum: false, payload: vec![0; 18] };
        let packet =
            Packet::copy_of(&Frame::new(Net::V4(V4 { l4, ..V4::default() })).build()).expect("a short frame");
        let (key, layers) = extract(packet.data(), 2);
        let tracker = Tracker::new(Config { seed: 1, ..Config::default() });
        let commit = Request { commit: true, ..Request::default() };
        let mut bench = Self { tracker, packet, key, layers, commit, look: Request::default() };
        for n in 0..connections {
            bench.send(n, true);
            bench.reply(n);
        }
        bench
    }

    fn track(&mut self, sport: u16, dport: u16, commit: bool) {
        let l4 = usize::from(self.layers.l4);
        let ports = (u32::from(sport) << 16 | u32::from(dport)).to_be_bytes();
        self.packet.data_mut()[l4..l4 + 4].copy_from_slice(&ports);
        self.key.ct_state = 0.into();
        let request = if commit { &self.commit } else { &self.look };
        let Self { tracker, packet, key, layers, .. } = self;
        black_box(tracker.track(request, packet, layers, key, NOW_NS));
    }

    fn send(&mut self, n: u32, commit: bool) {
        let (sport, dport) = ports(n);
        self.track(sport, dport, commit);
    }

    fn reply(&mut self, n: u32) {
        let (sport, dport) = ports(n);
        self.turn();
        self.track(dport, sport, false);
        self.turn();
    }

    /// Exchanges the addresses; the header's checksum stays what it is.
    fn turn(&mut self) {
        let at = usize::from(self.layers.l3) + 12;
        self.packet.data_mut()[at..at + 8].rotate_left(4);
    }

    /// A connection of zone 1, which has no others.
    fn create(&mut self, n: u32) {
        self.commit.zone = 1;
        self.send(n, true);
        self.commit.zone = 0;
    }

    fn flush_created(&self) {
        assert!(self.tracker.flush(&Filter::zone(1), &mut Cursor::default(), usize::MAX));
    }
}

fn ports(n: u32) -> (u16, u16) {
    ((n % 1024) as u16, (n / 1024) as u16)
}

fn established(c: &mut Bencher) {
    let mut group = c.benchmark_group("established");
    group.throughput(Throughput::Elements(32)).sample_size(20).measurement_time(Duration::from_secs(3));
    // In order as they were made; or by a step that is prime to the number and jumps over cache lines.
    for (connections, step) in [(1, 1), (10_000, 7_919), (200_000, 1), (1_000_000, 7_919)] {
        let mut bench = None;
        let mut at = 0_u32;
        group.bench_function(BenchmarkId::from_parameter(connections), |b| {
            let bench = bench.get_or_insert_with(|| Bench::new(connections));
            b.iter(|| {
                for _ in 0..32 {
                    at = (at + step) % connections;
                    bench.send(at, false);
                }
            });
        });
    }
    group.finish();
}

fn new_connections(c: &mut Bencher) {
    let mut group = c.benchmark_group("create");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    for alive in [0, 1_000_000] {
        let mut bench = None;
        group.bench_function(BenchmarkId::from_parameter(alive), |b| {
            let bench = bench.get_or_insert_with(|| Bench::new(alive));
            b.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                let mut left = u32::try_from(count).expect("few");
                while left > 0 {
                    let now = left.min(500_000);
                    let start = thread_time();
                    (0..now).for_each(|n| bench.create(n));
                    spent += thread_time() - start;
                    left -= now;
                    bench.flush_created();
                }
                spent
            });
        });
    }
    group.finish();
}

fn flush(c: &mut Bencher) {
    let mut group = c.benchmark_group("flush");
    group.throughput(Throughput::Elements(1)).sample_size(10);
    let mut bench = Bench::new(0);
    group.bench_function("each", |b| {
        b.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            let mut left = u32::try_from(count).expect("few");
            while left > 0 {
                let now = left.min(1_000_000);
                (0..now).for_each(|n| bench.create(n));
                let start = thread_time();
                bench.flush_created();
                spent += thread_time() - start;
                left -= now;
            }
            spent
        });
    });
    group.finish();
}

/// What reading adds: a TCP segment by its length in bytes, summed; and the longest, left to a device to sum.
fn read(c: &mut Bencher) {
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(1)).sample_size(20).measurement_time(Duration::from_secs(2));
    let partial = Checksum::Partial { start: 34, offset: 16 };
    for (name, payload, checksum) in
        [("64", 10, Checksum::Unknown), ("1500", 1446, Checksum::Unknown), ("64K partial", 65_000, partial)]
    {
        let mut bench = Bench::new(0);
        let l4 = L4::Tcp { src: 0, dst: 0, flags: 0x10, options: vec![], payload: vec![0; payload] };
        let frame = Frame::new(Net::V4(V4 { l4, ..V4::default() })).build();
        bench.packet = Packet::copy_of(&frame).expect("fits");
        (bench.key, bench.layers) = extract(&frame, 2);
        bench.send(0, true);
        bench.reply(0);
        group.bench_function(name, |b| {
            b.iter(|| {
                bench.packet.offload.checksum = checksum;
                bench.send(0, false);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ThreadTime(WallTime));
    targets = established, read, new_connections, flush
}
criterion_main!(benches);
