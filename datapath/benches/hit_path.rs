//! The cost of a packet that hits: frames from a file in memory, through a worker, into a null port. The worker is stepped by hand,
//! so that nothing but it is measured. The floor is the same without a switch between: receive, send. Time is that of the thread on a
//! processor, so that what else the machine does shows little.

use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use datapath::action::{Action, PortNo, SetFields};
use datapath::owner::{Miss, Owner, Translation};
use datapath::port::{self, Port, PortKind, PortSpec, ReplayOptions};
use datapath::worker::{BATCH, Worker};
use datapath::{Config, Datapath};
use nix::time::{ClockId, clock_gettime};
use packet::{FlowKey, FlowMask};
use pcap_file::pcap::{PcapPacket, PcapWriter};

/// What the owner looks at, and does.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// The port of arrival only; one flow for all.
    Port,
    /// Addresses and ports: a flow for each.
    Exact,
    /// The same, and a new source address and time to live.
    Edit,
}

#[derive(Debug)]
struct Table(Row);

impl Owner for Table {
    fn translate(&self, miss: &Miss<'_>, out: &mut Translation) {
        out.cacheable = true;
        out.mask.0.eth_type.set(0xffff);
        out.mask.0.nw_frag = 3;
        if !matches!(self.0, Row::Port) {
            out.mask.0.nw_src.set(u32::MAX);
            out.mask.0.nw_dst.set(u32::MAX);
            out.mask.0.nw_proto = 0xff;
            out.mask.0.tp_src.set(u16::MAX);
            out.mask.0.tp_dst.set(u16::MAX);
        }
        if matches!(self.0, Row::Edit) {
            let mut eth = SetFields { key: FlowKey::default(), mask: FlowMask::default() };
            (eth.key.eth_src, eth.mask.0.eth_src) = ([2, 0, 0, 0, 0, 9], [0xff; 6]);
            let mut ttl = SetFields { key: FlowKey::default(), mask: FlowMask::default() };
            (ttl.key.nw_ttl, ttl.mask.0.nw_ttl) = (miss.key.nw_ttl - 1, 0xff);
            out.actions.extend([Action::Set(Box::new(eth)), Action::Set(Box::new(ttl))]);
        }
        out.actions.push(Action::Output(PortNo(2)));
    }

    fn punt(&self, _cookie: u64, _key: &FlowKey, _frame: &[u8]) {}
}

/// A file of `flows` UDP frames of 60 bytes that differ in address and port.
fn pcap(directory: &Path, flows: u32) -> ReplayOptions {
    let path = directory.join(format!("{flows}.pcap"));
    let mut writer = PcapWriter::new(Cursor::new(Vec::new())).unwrap();
    for flow in 0..flows {
        let l4 = frames::L4::Udp { src: flow as u16, dst: 80, checksum: true, payload: vec![0; 18] };
        let [_, a, b, c] = flow.to_be_bytes();
        let net = frames::Net::V4(frames::V4 { src: [10, a, b, c], l4, ..frames::V4::default() });
        let frame = frames::Frame::new(net).build();
        let length = frame.len() as u32;
        writer.write_packet(&PcapPacket::new(Duration::ZERO, length, &frame)).unwrap();
    }
    std::fs::write(&path, writer.into_writer().into_inner()).unwrap();
    ReplayOptions { pcap: path, looped: true, ..ReplayOptions::default() }
}

fn worker(row: Row, options: &ReplayOptions) -> (Datapath, Worker) {
    let (datapath, mut workers) = Datapath::manual(Config { workers: 1, ..Config::default() }).unwrap();
    datapath.set_owner(Arc::new(Table(row)));
    datapath.add_port(PortSpec::new("replay", PortKind::Replay(options.clone()))).unwrap();
    datapath.add_port(PortSpec::new("null", PortKind::Null)).unwrap();
    (datapath, workers.pop().unwrap())
}

/// The time that the thread was on a processor for so many calls.
fn on_processor(calls: u64, mut call: impl FnMut()) -> Duration {
    let clock = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = clock();
    (0..calls).for_each(|_| call());
    clock() - start
}

fn hit_path(c: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("packet");
    group.throughput(Throughput::Elements(BATCH as u64));
    let start = Instant::now();
    let now = || start.elapsed().as_nanos() as u64 + 1;
    for flows in [1, 1000, 10_000, 100_000] {
        let options = pcap(directory.path(), flows);
        let replay =
            Arc::new(Port::new(PortNo(1), PortSpec::new("replay", PortKind::Replay(options.clone()))));
        group.bench_function(BenchmarkId::new("floor", flows), |b| {
            let mut queues = port::open(&replay, 1).unwrap();
            let mut batch = Vec::new();
            b.iter_custom(|steps| {
                on_processor(steps, || {
                    black_box(queues.rx[0].receive(BATCH, 0, &mut batch));
                    queues.tx[0].send(&mut batch);
                })
            });
        });
        for row in [Row::Port, Row::Exact, Row::Edit] {
            group.bench_function(BenchmarkId::new(format!("{row:?}"), flows), |b| {
                let (_datapath, mut worker) = worker(row, &options);
                for _ in 0..flows.div_ceil(BATCH as u32) * 2 {
                    worker.step(now());
                }
                b.iter_custom(|steps| on_processor(steps, || _ = black_box(worker.step(now()))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, hit_path);
criterion_main!(benches);
