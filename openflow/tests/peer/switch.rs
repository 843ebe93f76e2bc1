//! A switch that only listens: it answers what `ovs-ofctl` asks before it sends flows, and keeps the flow-mods.

use bytes::BytesMut;
use openflow::header::take_message;
use openflow::message::features::OF10_ACTIONS;
use openflow::message::{self, BundleCommand, BundleControl};
use openflow::message::{
    Capabilities, Features, Hello, PortDesc, StatsReply, StatsRequest, TableFeatures, TableStats,
};
use openflow::{Dialect, FlowMod, Message, OfPort, Version, Versions};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A flow-mod as it came.
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    pub(crate) dialect: Dialect,
    pub(crate) flow: FlowMod,
}

/// Serves connections on `path` until the process ends, each in its turn; flow-mods come out of the receiver.
pub(crate) fn listen(path: &Path, version: Version) -> Receiver<Received> {
    let listener = UnixListener::bind(path).unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), version, &sender);
        }
    });
    receiver
}

fn serve(mut stream: UnixStream, version: Version, flows: &Sender<Received>) {
    let mut dialect = Dialect::new(version);
    let mut input = BytesMut::new();
    let mut chunk = [0; 65536];
    loop {
        while let Some(bytes) = take_message(&mut input).unwrap() {
            for (xid, reply) in answer(&bytes, &mut dialect, flows) {
                stream.write_all(&reply.to_bytes(&dialect, xid).unwrap()).unwrap();
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => input.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
}

fn answer(bytes: &[u8], dialect: &mut Dialect, flows: &Sender<Received>) -> Vec<(u32, Message)> {
    let (xid, message) =
        message::decode(bytes, dialect).unwrap_or_else(|e| panic!("{e}: {}", super::corpus::hex(bytes)));
    let reply = match message {
        Message::Hello(_) => Message::Hello(Hello { versions: Versions::only(dialect.version) }),
        Message::EchoRequest(data) => Message::EchoReply(data),
        Message::FeaturesRequest => Message::FeaturesReply(features()),
        Message::StatsRequest { request, .. } => {
            Message::StatsReply { more: false, reply: stats(&request, *dialect) }
        }
        Message::BarrierRequest => Message::BarrierReply,
        Message::NxSetFlowFormat { nxm } => {
            dialect.nxm = nxm;
            return Vec::new();
        }
        Message::NxFlowModTableId(on) => {
            dialect.table_id = on;
            return Vec::new();
        }
        Message::FlowMod(flow) => {
            // In a connection of 1.0 that chose Nicira's form the plain one may come too.
            let dialect = Dialect { nxm: bytes[1] == 4, ..*dialect };
            flows.send(Received { bytes: bytes.to_vec(), dialect, flow: *flow }).unwrap();
            return Vec::new();
        }
        Message::BundleAdd(add) => return answer(&add.message, dialect, flows),
        Message::BundleControl(control) => {
            let command = BundleCommand(control.command.0 + 1);
            Message::BundleControl(BundleControl { command, ..control })
        }
        other => panic!("unexpected {other:?}"),
    };
    vec![(xid, reply)]
}

fn port() -> PortDesc {
    PortDesc { port_no: OfPort(1), hw_addr: [2, 0, 0, 0, 0, 1], name: "p1".into(), ..Default::default() }
}

fn features() -> Features {
    Features {
        datapath_id: 0x1234,
        n_tables: 254,
        capabilities: Capabilities::FLOW_STATS | Capabilities::TABLE_STATS,
        actions: OF10_ACTIONS,
        ports: vec![port()],
        ..Default::default()
    }
}

fn stats(request: &StatsRequest, dialect: Dialect) -> StatsReply {
    let tables = 0..254;
    match request {
        StatsRequest::Table => {
            StatsReply::Table(tables.map(|table_id| TableStats { table_id, ..Default::default() }).collect())
        }
        StatsRequest::TableFeatures { is_empty: true } => StatsReply::TableFeatures(
            tables.map(|id| TableFeatures::of_switch(dialect.version, id, 254, "", 1_000_000)).collect(),
        ),
        StatsRequest::PortDesc(_) => StatsReply::PortDesc(vec![port()]),
        other => panic!("unexpected {other:?}"),
    }
}
