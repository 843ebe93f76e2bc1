//! Events as lines: for people, and as JSON.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conntrack::{ConnInfo, Event, ProtoInfo, Tuple, What, request::NatSide};
use serde_json::{Map, Value, json};

use super::super::args::Options;
use super::super::dump;
use crate::clock;

/// Tells the time of events, which the tracker knows by the monotonic clock only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Now, since 1970.
    wall: Duration,
    monotonic_ns: u64,
}

impl Clock {
    pub(crate) fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall, monotonic_ns: clock::now_ns() }
    }

    /// Seconds and microseconds since 1970 of a time of the monotonic clock.
    fn at(self, ns: u64) -> (u64, u32) {
        let ago = Duration::from_nanos(self.monotonic_ns.saturating_sub(ns));
        let at = self.wall.saturating_sub(ago);
        (at.as_secs(), at.subsec_micros())
    }
}

fn name(what: What) -> &'static str {
    match what {
        What::New => "new",
        What::Update => "update",
        What::Destroy(_) => "destroy",
    }
}

/// Appends the line of an event.
pub(crate) fn event(out: &mut String, event: &Event, clock: Clock, json: bool) {
    let (secs, micros) = clock.at(event.at_ns);
    if json {
        let mut object = object(&event.conn);
        if let What::Destroy(reason) = event.what {
            object.insert("reason".into(), reason.name().into());
        }
        return line(out, name(event.what), (secs, micros), object);
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "{secs}.{micros:06} {} ", name(event.what));
    dump::line(out, &event.conn, Options { more: true, statistics: false });
    if let What::Destroy(reason) = event.what {
        let _ = write!(out, ",reason={}", reason.name());
    }
    out.push('\n');
}

/// Appends the line that says how many events were lost.
pub(crate) fn lost(out: &mut String, count: u64, clock: Clock, json: bool) {
    let (secs, micros) = clock.at(clock.monotonic_ns);
    if json {
        return line(out, "lost", (secs, micros), [("count".to_owned(), count.into())].into_iter().collect());
    }
    let _ = writeln!(out, "{secs}.{micros:06} lost count={count}");
}

fn line(out: &mut String, what: &str, (secs, micros): (u64, u32), mut object: Map<String, Value>) {
    object.insert("event".into(), what.into());
    object.insert("time".into(), (secs as f64 + f64::from(micros) / 1e6).into());
    let _ = writeln!(out, "{}", Value::Object(object));
}

fn object(conn: &ConnInfo) -> Map<String, Value> {
    let mut protocol = String::new();
    dump::protocol(&mut protocol, conn.original.proto);
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
    set("id", conn.id.into());
    set("zone", conn.zone.into());
    set("protocol", protocol.into());
    set("orig", direction(&conn.original));
    set("reply", direction(&conn.reply));
    set("mark", conn.mark.into());
    set("labels", format!("{:#x}", conn.label).into());
    match conn.state {
        ProtoInfo::None => {}
        ProtoInfo::Tcp([orig, reply], _) => {
            set("state", json!({"orig": orig.name(), "reply": reply.name()}));
        }
        ProtoInfo::Sctp(state) => set("state", state.name().into()),
    }
    if let Some(side) = conn.nat {
        set("nat", if side == NatSide::Src { "src" } else { "dst" }.into());
    }
    if let Some(helper) = conn.helper {
        set("helper", dump::helper_name(helper).into());
    }
    if let Some(parent) = &conn.parent {
        set("parent", direction(parent));
    }
    object
}

fn direction(tuple: &Tuple) -> Value {
    let (src, dst) = (tuple.src_ip().to_string(), tuple.dst_ip().to_string());
    if tuple.is_icmp() {
        let [kind, code] = tuple.dport.to_be_bytes();
        return json!({"src": src, "dst": dst, "id": tuple.sport, "type": kind, "code": code});
    }
    json!({"src": src, "dst": dst, "sport": tuple.sport, "dport": tuple.dport})
}

#[cfg(test)]
mod tests {
    use super::*;
    use conntrack::timeout::Stage;
    use conntrack::{Reason, TcpState};

    const CLOCK: Clock = Clock { wall: Duration::from_secs(1_000), monotonic_ns: 50_000_000_000 };

    fn gone() -> Event {
        let original = Tuple { proto: 6, family: 4, sport: 3, dport: 80, zone: 7, ..Tuple::default() };
        let conn = ConnInfo {
            original,
            reply: original.reversed(),
            zone: 7,
            mark: 0,
            label: 5,
            timeout_secs: 0,
            id: 4,
            stage: Stage::TcpFinWait,
            state: ProtoInfo::Tcp([TcpState::FinWait2, TcpState::Closing], [conntrack::WindowScale::None; 2]),
            nat: Some(NatSide::Src),
            helper: None,
            parent: None,
        };
        Event { what: What::Destroy(Reason::Expired), at_ns: 49_999_000_000, conn }
    }

    #[test]
    fn a_line_begins_with_time_and_kind() {
        let mut out = String::new();
        event(&mut out, &gone(), CLOCK, false);
        lost(&mut out, 12, CLOCK, false);
        assert_eq!(
            out,
            "999.999000 destroy tcp,orig=(src=0.0.0.0,dst=0.0.0.0,sport=3,dport=80),reply=(src=0.0.0.0,dst=0.0.0.0,sport=80,\
             dport=3),id=4,zone=7,status=0,labels=0x5,protoinfo=(state_orig=FIN_WAIT_2,state_reply=CLOSING,flags_orig=0,\
             flags_reply=0),reason=expired\n1000.000000 lost count=12\n"
        );
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let mut out = String::new();
        event(&mut out, &gone(), CLOCK, true);
        lost(&mut out, 12, CLOCK, true);
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            lines[0],
            json!({"time": 999.999, "event": "destroy", "reason": "expired", "id": 4, "zone": 7, "protocol": "tcp",
                "orig": {"src": "0.0.0.0", "dst": "0.0.0.0", "sport": 3, "dport": 80},
                "reply": {"src": "0.0.0.0", "dst": "0.0.0.0", "sport": 80, "dport": 3},
                "mark": 0, "labels": "0x5", "state": {"orig": "FIN_WAIT_2", "reply": "CLOSING"}, "nat": "src"})
        );
        assert_eq!(lines[1], json!({"time": 1000.0, "event": "lost", "count": 12}));
    }
}
