//! One or more messages of every kind, in every version that has them: what we write, we read back as it was, and `ovs-ofctl` reads too.

use crate::{corpus, ofp_parse};
use bytes::Bytes;
use openflow::action::{Instructions, SetField, SetForm};
use openflow::message::bundle::{BundleAdd, BundleCommand, BundleControl, BundleFlags};
use openflow::message::group::GroupCommand;
use openflow::message::group::{
    BUCKET_ALL, Bucket, BucketStats, GROUP_ANY, GroupCapabilities, GroupDesc, GroupFeatures, GroupMod,
    GroupStats, GroupType, Selection,
};
use openflow::message::meter::{
    MeterBand, MeterBandKind, MeterBandStats, MeterCommand, MeterConfig, MeterFeatures, MeterFlags, MeterMod,
    MeterStats,
};
use openflow::message::monitor::{
    MonitorCommand, MonitorEvent, MonitorFlags, MonitorFlow, MonitorRequest, MonitorUpdate,
};
use openflow::message::queue::{QueueConfig, QueueRequest, QueueStats};
use openflow::message::role::{RoleReason, RoleStatus};
use openflow::message::table::{
    EvictionFlags, TableDesc, TableMiss, TableMod, TableReason, TableStats, TableStatus, Vacancy,
};
use openflow::message::{
    self, Aggregate, AsyncChange, AsyncConfig, Capabilities, Desc, ErrorMsg, Features, FragMode, Hello,
    PacketIn, PacketInFormat, PacketInReason, PacketOut, PortConfig, PortDesc, PortFeatures, PortMod,
    PortReason, PortState, PortStats, PortStatus, Role, RoleMsg, StatsReply, StatsRequest, SwitchConfig,
    TableFeatures, TlvMap, TlvTable, TlvTableMod,
};
use openflow::message::{CtFlush, CtTuple, tlv::TlvCommand};
use openflow::{
    Action, Dialect, FieldId, FlowFlags, FlowMod, FlowRemoved, FlowStats, FlowStatsRequest, Match, Message,
    OfError, OfPort, RemovedReason, Version, Versions,
};

fn tcp_match() -> Match {
    let mut flow_match = Match::any();
    flow_match.set_in_port(OfPort(3));
    flow_match.set(FieldId::EthType, 0x0800);
    flow_match.set(FieldId::NwProto, 6);
    flow_match.set(FieldId::TcpDst, 80);
    flow_match
}

fn output(port: u32) -> Vec<Action> {
    vec![Action::Output { port: OfPort(port), max_len: 0 }]
}

fn port_desc(version: Version) -> PortDesc {
    let speeds = version != Version::V10;
    PortDesc {
        port_no: OfPort(7),
        hw_addr: [2, 0, 0, 0, 0, 7],
        name: "eth7".into(),
        config: PortConfig::PORT_DOWN | PortConfig::NO_PACKET_IN,
        state: PortState::LINK_DOWN,
        curr: PortFeatures::FD_1GB | PortFeatures::COPPER | PortFeatures::AUTONEG,
        advertised: PortFeatures::FD_1GB,
        supported: if speeds { PortFeatures::FD_100GB } else { PortFeatures::FD_10GB },
        peer: PortFeatures::PAUSE,
        curr_speed: 1_000_000,
        max_speed: if speeds { 100_000_000 } else { 10_000_000 },
    }
}

fn port_stats(version: Version) -> PortStats {
    let mut stats = PortStats {
        port_no: OfPort(7),
        rx_packets: 1,
        tx_packets: 2,
        rx_bytes: 3,
        collisions: 4,
        ..Default::default()
    };
    if version >= Version::V13 {
        (stats.duration_sec, stats.duration_nsec) = (5, 6_000_000);
    }
    if version >= Version::V14 {
        stats.rfc2819[0] = 7;
        stats.custom = vec![("rx_special".into(), 8)];
    }
    stats
}

fn features(version: Version) -> Features {
    let old = version <= Version::V12;
    Features {
        datapath_id: 0x1234_5678_9abc_def0,
        n_buffers: 256,
        n_tables: 254,
        auxiliary_id: if old { 0 } else { 5 },
        capabilities: Capabilities::FLOW_STATS | Capabilities::QUEUE_STATS,
        actions: if version == Version::V10 { 0xfff } else { 0 },
        ports: if old { vec![port_desc(version); 2] } else { Vec::new() },
    }
}

fn bucket(version: Version, kind: GroupType, bucket_id: u32) -> Bucket {
    let set = SetField { field: FieldId::EthSrc, value: 5, mask: (1 << 48) - 1, form: SetForm::SetField };
    let mut actions = output(bucket_id + 1);
    if version >= Version::V12 {
        actions.insert(0, Action::SetField(set));
    }
    Bucket {
        weight: if kind == GroupType::Select { 10 } else { 0 },
        watch_port: if kind == GroupType::FastFailover { OfPort(2) } else { OfPort::NONE },
        watch_group: GROUP_ANY,
        bucket_id,
        actions,
    }
}

fn groups(version: Version) -> Vec<GroupMod> {
    let kinds = [GroupType::All, GroupType::Select, GroupType::Indirect, GroupType::FastFailover];
    let group = |kind| {
        let n = if kind == GroupType::Indirect { 1 } else { 2 };
        let mut selection = Selection::default();
        if kind == GroupType::Select && matches!(version, Version::V10 | Version::V15) {
            selection = Selection {
                method: "hash".into(),
                param: 7,
                fields: vec![0x80, 0, 0x16, 4, 255, 255, 255, 255],
            };
        }
        GroupMod {
            command: GroupCommand::Add,
            kind,
            group_id: 9,
            command_bucket_id: BUCKET_ALL,
            buckets: (0..n).map(|id| bucket(version, kind, id)).collect(),
            selection,
        }
    };
    kinds.into_iter().map(group).collect()
}

fn meter() -> MeterConfig {
    let drop = MeterBand { kind: MeterBandKind::Drop, rate: 1000, burst_size: 50 };
    let remark = MeterBand { kind: MeterBandKind::DscpRemark(2), rate: 500, burst_size: 0 };
    let flags = MeterFlags::KBPS | MeterFlags::BURST | MeterFlags::STATS;
    MeterConfig { meter_id: 3, flags, bands: vec![remark, drop] }
}

fn flow_stats(version: Version) -> FlowStats {
    FlowStats {
        table_id: 2,
        priority: 100,
        flow_match: tcp_match(),
        cookie: 0x55,
        duration_sec: 10,
        duration_nsec: 500_000_000,
        idle_timeout: 60,
        // 1.5 always tells it.
        idle_age: (version == Version::V15).then_some(4),
        packets: 5,
        bytes: 500,
        instructions: Instructions::apply(output(2)),
        importance: if version >= Version::V14 { 3 } else { 0 },
        ..Default::default()
    }
}

/// Requests that every version has.
fn plain(version: Version) -> Vec<Message> {
    let config = SwitchConfig {
        frag: FragMode::NxMatch,
        invalid_ttl_to_controller: (version <= Version::V12).then_some(true),
        miss_send_len: 128,
    };
    let status = |reason| Message::PortStatus(Box::new(PortStatus { reason, desc: port_desc(version) }));
    let known = PortConfig::PORT_DOWN | PortConfig::NO_FWD;
    let port_mod = PortMod {
        port_no: OfPort(7),
        hw_addr: [2; 6],
        config: known,
        mask: known,
        advertise: PortFeatures::FD_1GB,
    };
    let table_mod = TableMod {
        table_id: 5,
        miss: (version <= Version::V12).then_some(TableMiss::Drop),
        eviction: (version >= Version::V14).then_some(true),
        eviction_flags: (version >= Version::V14).then_some(EvictionFlags::LIFETIME),
        vacancy_events: (version >= Version::V14).then_some(true),
        vacancy: (version >= Version::V14).then_some(Vacancy { down: 10, up: 20, now: 0 }),
    };
    let in_version = |versions: Versions| Message::Hello(Hello { versions });
    let mut queue = QueueConfig { port_no: OfPort(1), queue_id: 2, min_rate: Some(100), max_rate: None };
    let mut messages = vec![
        in_version(Versions::only(version).with(Version::V10)),
        Message::Error(ErrorMsg {
            error: Some(OfError::OFPBRC_BAD_TYPE),
            data: Bytes::from_static(&[0; 16]),
        }),
        Message::EchoRequest(Bytes::from_static(b"ping")),
        Message::EchoReply(Bytes::new()),
        Message::FeaturesRequest,
        Message::FeaturesReply(features(version)),
        Message::GetConfigRequest,
        Message::GetConfigReply(config),
        Message::SetConfig(config),
        status(PortReason::Add),
        status(PortReason::Delete),
        status(PortReason::Modify),
        Message::PortMod(port_mod),
        Message::TableMod(table_mod),
        Message::MeterMod(MeterMod { command: MeterCommand::Add, meter: meter() }),
        Message::BarrierRequest,
        Message::BarrierReply,
        Message::QueueGetConfigRequest(OfPort(1)),
        Message::QueueGetConfigReply(OfPort(1), vec![queue]),
    ];
    if version >= Version::V12 {
        queue.max_rate = Some(900);
        messages.push(Message::QueueGetConfigReply(OfPort(1), vec![queue, queue]));
    }
    messages.extend(groups(version).into_iter().map(|group| Message::GroupMod(Box::new(group))));
    messages
}

/// Messages about flows and packets.
fn flows(version: Version) -> Vec<Message> {
    let flow = FlowMod {
        table_id: (version >= Version::V11).then_some(2),
        flow_match: tcp_match(),
        priority: 7,
        instructions: Instructions::apply(output(1)),
        // Before 1.3 every new flow does that.
        flags: if version <= Version::V12 { FlowFlags::RESET_COUNTS } else { FlowFlags::empty() },
        ..Default::default()
    };
    let removed = FlowRemoved {
        reason: RemovedReason::HardTimeout,
        table_id: if version == Version::V10 { 255 } else { 4 },
        priority: 9,
        flow_match: tcp_match(),
        cookie: 3,
        duration_sec: 8,
        duration_nsec: 1000,
        idle_timeout: 6,
        hard_timeout: if version >= Version::V12 { 5 } else { 0 },
        packets: 4,
        bytes: 3,
    };
    let mut metadata = Match::any();
    metadata.set_in_port(OfPort(3));
    let old = version <= Version::V11;
    let packet_in = PacketIn {
        reason: PacketInReason::Action,
        table_id: if version == Version::V10 { 0 } else { 5 },
        cookie: (version >= Version::V13).then_some(0x77),
        total_len: 100,
        packet: Bytes::from_static(&[0x5a; 64]),
        metadata,
        ..Default::default()
    };
    let mut richer = packet_in.clone();
    if !old {
        richer.metadata.set(FieldId::Metadata, 0x1234);
        richer.metadata.set(FieldId::Reg3, 5);
    }
    let packet_out = PacketOut {
        buffer_id: u32::MAX,
        packet: Bytes::from_static(&[0x5a; 64]),
        metadata,
        actions: output(0xffff_fffb),
    };
    vec![
        Message::FlowMod(Box::new(flow)),
        Message::FlowRemoved(Box::new(removed)),
        Message::PacketIn(Box::new(packet_in)),
        Message::PacketIn(Box::new(richer)),
        Message::PacketOut(Box::new(packet_out)),
    ]
}

/// Roles, asynchronous messages, bundles, and what Nicira added.
fn control(version: Version) -> Vec<Message> {
    let plain = RoleMsg { role: Role::Primary, generation_id: Some(4), nicira: false };
    let nicira = RoleMsg { role: Role::Secondary, generation_id: None, nicira: true };
    let mut config = AsyncConfig { primary: [0x7, 0x3, 0xf, 0, 0, 0], secondary: [0, 0x7, 0, 0, 0, 0] };
    // Who wants misses wants those of miss flows too.
    config.primary[0] |= message::role::EXPLICIT_MISS;
    if version <= Version::V12 {
        config.primary[0] |= message::role::IMPLICIT_MISS;
    }
    if version >= Version::V14 {
        config.primary[3..].copy_from_slice(&[0x3, 0x18, 0x3]);
    }
    let mut masks = AsyncChange::all(&config);
    masks.primary[3..].fill(None);
    masks.secondary[3..].fill(None);
    let inner = Message::PortMod(PortMod::default()).to_bytes(&Dialect::new(version), XID).unwrap();
    let add = BundleAdd { bundle_id: 1, flags: BundleFlags::ATOMIC, message: inner };
    let open =
        BundleControl { bundle_id: 1, command: BundleCommand::OPEN_REQUEST, flags: BundleFlags::ORDERED };
    let group = GroupMod { command: GroupCommand::Delete, buckets: Vec::new(), ..groups(version)[0].clone() };
    let forwarded = Message::GroupMod(Box::new(group)).to_bytes(&Dialect::new(version), XID).unwrap();
    let vacancy = Some(Vacancy { down: 10, up: 20, now: 5 });
    let desc = TableDesc { table_id: 1, eviction: true, eviction_flags: EvictionFlags::OTHER, vacancy };
    let maps = vec![TlvMap { option_class: 0xffff, option_type: 1, option_len: 8, index: 3 }];
    let original = CtTuple { src: Some([10, 0, 0, 1].into()), dst_port: Some(80), ..Default::default() };
    vec![
        Message::RoleRequest(plain),
        Message::RoleReply(plain),
        Message::RoleRequest(nicira),
        Message::RoleReply(nicira),
        Message::RoleStatus(RoleStatus {
            role: Role::Secondary,
            reason: RoleReason::PrimaryRequest,
            generation_id: 6,
        }),
        Message::GetAsyncRequest,
        Message::GetAsyncReply(config),
        Message::SetAsync(if version >= Version::V14 { AsyncChange::all(&config) } else { masks }),
        Message::TableStatus(TableStatus { reason: TableReason::VacancyDown, desc }),
        Message::RequestForward(forwarded),
        Message::BundleControl(open),
        Message::BundleAdd(add),
        Message::NxSetFlowFormat { nxm: true },
        Message::NxFlowModTableId(true),
        Message::NxSetPacketInFormat(PacketInFormat::Nicira2),
        Message::NxSetControllerId(5),
        Message::NxSetAsync(masks),
        Message::NxSetAsync2(masks),
        Message::NxFlowAge,
        Message::FlowMonitorCancel(4),
        Message::FlowMonitorPaused,
        Message::FlowMonitorResumed,
        Message::NxTlvTableMod(TlvTableMod { command: TlvCommand::Add, maps: maps.clone() }),
        Message::NxTlvTableRequest,
        Message::NxTlvTableReply(TlvTable { max_option_space: 256, max_fields: 64, maps }),
        Message::NxCtFlush(CtFlush { protocol: 6, zone: Some(4), original, reply: CtTuple::default() }),
        Message::NxCtFlushZone(4),
    ]
}

fn monitor(version: Version) -> MonitorRequest {
    MonitorRequest {
        id: 2,
        command: MonitorCommand::ADD,
        flags: MonitorFlags::INITIAL | MonitorFlags::ADD | MonitorFlags::INSTRUCTIONS,
        out_port: OfPort(4),
        out_group: if version >= Version::V14 { 5 } else { u32::MAX },
        table_id: 6,
        flow_match: tcp_match(),
    }
}

fn requests(version: Version) -> Vec<StatsRequest> {
    let request = Box::new(FlowStatsRequest { table_id: 3, flow_match: tcp_match(), ..Default::default() });
    let queue = QueueRequest { port_no: OfPort(2), queue_id: 3 };
    let is_new = version == Version::V15;
    vec![
        StatsRequest::Desc,
        StatsRequest::Flow { request: request.clone(), nicira: false },
        StatsRequest::Flow { request: request.clone(), nicira: true },
        StatsRequest::Aggregate { request: request.clone(), nicira: false },
        StatsRequest::Aggregate { request, nicira: true },
        StatsRequest::Table,
        StatsRequest::Port(OfPort(2)),
        StatsRequest::Port(OfPort::NONE),
        StatsRequest::Queue(queue),
        StatsRequest::Group(4),
        StatsRequest::GroupDesc(if is_new || version == Version::V10 {
            4
        } else {
            message::group::GROUP_ALL
        }),
        StatsRequest::GroupFeatures,
        StatsRequest::Meter(4),
        StatsRequest::MeterConfig(message::meter::METER_ALL),
        StatsRequest::MeterFeatures,
        StatsRequest::TableFeatures { is_empty: true },
        StatsRequest::PortDesc(if is_new { OfPort(3) } else { OfPort::NONE }),
        StatsRequest::TableDesc,
        StatsRequest::QueueDesc(queue),
        StatsRequest::FlowMonitor(vec![monitor(version); 2]),
        StatsRequest::IpfixBridge,
        StatsRequest::IpfixFlow,
    ]
}

fn monitored(version: Version, event: MonitorEvent) -> MonitorUpdate {
    MonitorUpdate::Full(Box::new(MonitorFlow {
        event: if event == MonitorEvent::Initial && version < Version::V14 {
            MonitorEvent::Added
        } else {
            event
        },
        table_id: 1,
        priority: 2,
        idle_timeout: 3,
        hard_timeout: 4,
        cookie: 5,
        flow_match: tcp_match(),
        instructions: Instructions::apply(output(6)),
    }))
}

/// Replies about groups and meters.
fn group_replies(version: Version) -> Vec<StatsReply> {
    let aged = !matches!(version, Version::V11 | Version::V12);
    let group = GroupStats {
        group_id: 1,
        ref_count: 2,
        packets: 3,
        bytes: 4,
        duration_sec: if aged { 5 } else { 0 },
        duration_nsec: 0,
        buckets: vec![BucketStats { packets: 6, bytes: 7 }; 2],
    };
    let describe = |g: GroupMod| {
        let GroupMod { kind, group_id, buckets, selection, .. } = g;
        GroupDesc { kind, group_id, buckets, selection }
    };
    let features = GroupFeatures {
        types: 0xf,
        capabilities: GroupCapabilities::CHAINING,
        max_groups: [1, 2, 3, 4],
        actions: [0x03ff_8001; 4],
    };
    let meter_stats = MeterStats {
        meter_id: 1,
        flow_count: 2,
        bands: vec![MeterBandStats { packets: 3, bytes: 4 }],
        ..Default::default()
    };
    let meter_features =
        MeterFeatures { max_meters: 10, band_types: 6, capabilities: 15, max_bands: 8, max_color: 0 };
    vec![
        StatsReply::Group(vec![group; 2]),
        StatsReply::GroupDesc(groups(version).into_iter().map(describe).collect()),
        StatsReply::GroupFeatures(features),
        StatsReply::Meter(vec![meter_stats; 2]),
        StatsReply::MeterConfig(vec![meter(); 2]),
        StatsReply::MeterFeatures(meter_features),
    ]
}

fn replies(version: Version) -> Vec<StatsReply> {
    let desc = Desc { manufacturer: "Nicira, Inc.".into(), software: "3.1.0".into(), ..Default::default() };
    let sum = Aggregate { packets: 1, bytes: 2, flows: 3 };
    let timed = version >= Version::V13;
    let time = |value| if timed { value } else { u32::MAX };
    let queue = QueueStats {
        port_no: OfPort(1),
        queue_id: 2,
        tx_bytes: 3,
        tx_packets: 4,
        tx_errors: u64::MAX,
        duration_sec: time(6),
        duration_nsec: time(7),
    };
    let table = TableStats { table_id: 3, active: 4, lookups: 5, matched: 6, ..Default::default() };
    let table_desc =
        TableDesc { table_id: 3, eviction: true, eviction_flags: EvictionFlags::LIFETIME, vacancy: None };
    let config = QueueConfig { port_no: OfPort(1), queue_id: 2, min_rate: Some(3), max_rate: Some(4) };
    let events =
        [MonitorEvent::Initial, MonitorEvent::Added, MonitorEvent::Deleted(1), MonitorEvent::Modified];
    let mut updates: Vec<_> = events.map(|event| monitored(version, event)).into();
    updates.push(MonitorUpdate::Abbreviated { xid: 77 });
    if version >= Version::V14 {
        updates.extend([MonitorUpdate::Paused, MonitorUpdate::Resumed]);
    }
    let nicira = FlowStats { idle_age: Some(3), hard_age: Some(4), ..flow_stats(version) };
    vec![
        StatsReply::Desc(desc),
        StatsReply::Flow { flows: vec![flow_stats(version); 3], nicira: false },
        StatsReply::Flow { flows: vec![nicira; 3], nicira: true },
        StatsReply::Aggregate { sum, nicira: false },
        StatsReply::Aggregate { sum, nicira: true },
        StatsReply::Table(vec![table; 2]),
        StatsReply::Port(vec![port_stats(version); 2]),
        StatsReply::Queue(vec![queue; 2]),
        StatsReply::TableFeatures(vec![TableFeatures::of_switch(version, 3, 254, "three", 100)]),
        StatsReply::PortDesc(vec![port_desc(version); 2]),
        StatsReply::TableDesc(vec![table_desc; 2]),
        StatsReply::QueueDesc(vec![config; 2]),
        StatsReply::FlowMonitor(updates),
    ]
}

const XID: u32 = 0x77;

/// Every sample that the version has, as it is and as bytes.
fn samples(version: Version) -> Vec<(Dialect, Message, Bytes)> {
    let mut found = Vec::new();
    let formats = [PacketInFormat::Standard, PacketInFormat::Nicira, PacketInFormat::Nicira2];
    let requests =
        requests(version).into_iter().map(|request| Message::StatsRequest { more: false, request });
    let replies = replies(version)
        .into_iter()
        .chain(group_replies(version))
        .map(|reply| Message::StatsReply { more: false, reply });
    let all = [plain(version), flows(version), control(version)]
        .into_iter()
        .flatten()
        .chain(requests)
        .chain(replies);
    for message in all {
        let has_forms = matches!(message, Message::PacketIn(_));
        for packet_in in formats.into_iter().take(if has_forms { 3 } else { 1 }) {
            let dialect = Dialect { packet_in, ..Dialect::new(version) };
            if let Ok(bytes) = message.to_bytes(&dialect, XID) {
                found.push((dialect, message.clone(), bytes));
            }
        }
    }
    found
}

/// The lines in which two messages differ when they are printed at length.
fn differences(a: &Message, b: &Message) -> String {
    let (a, b) = (format!("{a:#?}"), format!("{b:#?}"));
    let pairs = a.lines().zip(b.lines()).filter(|(a, b)| a != b);
    pairs.map(|(a, b)| format!("\n{a} is not {b}")).collect()
}

#[test]
fn samples_come_back() {
    let mut count = 0;
    for version in Version::ALL {
        for (dialect, message, bytes) in samples(version) {
            let (xid, again) =
                message::decode(&bytes, &dialect).unwrap_or_else(|e| panic!("{e}: {version} {message:?}"));
            assert_eq!(xid, XID);
            let bytes = corpus::hex(&bytes);
            assert!(again == message, "{version} {bytes} {}", differences(&again, &message));
            count += 1;
        }
    }
    assert!(count > 450, "{count} samples");
}

#[test]
fn samples_are_read_by_ovs_ofctl() {
    for version in Version::ALL {
        let messages: Vec<Vec<u8>> = samples(version).into_iter().map(|(.., bytes)| bytes.to_vec()).collect();
        let numbered = messages.iter().enumerate().map(|(i, bytes)| {
            let mut bytes = bytes.clone();
            bytes[4..8].copy_from_slice(&(i as u32).to_be_bytes());
            // What stands in another message has that one's transaction id.
            if let Some(at) = inner(&bytes) {
                bytes[at + 4..at + 8].copy_from_slice(&(i as u32).to_be_bytes());
            }
            bytes
        });
        let numbered: Vec<Vec<u8>> = numbered.collect();
        for (error, bytes) in ofp_parse::errors(&numbered).into_iter().zip(&numbered) {
            assert_eq!(error, None, "{version} {}", corpus::hex(bytes));
        }
    }
}

/// Where in a message that joins a bundle the joining one begins.
fn inner(bytes: &[u8]) -> Option<usize> {
    match (bytes[0], bytes[1], bytes.get(12..16)) {
        (5 | 6, 34, _) => Some(16),
        (4, 4, Some([0, 0, 8, 0xfd])) => Some(24),
        _ => None,
    }
}
