//! Dumps: connections as operators see them, in slices.

use crate::conn::Conn;
use crate::proto::Proto;
use crate::proto::sctp::State as SctpState;
use crate::proto::tcp::{State as TcpState, WindowScale};
use crate::request::{Helper, NatSide};
use crate::table::Slot;
use crate::timeout::Stage;
use crate::tracker::Tracker;
use crate::tuple::Tuple;

/// How far a dump or a flush has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cursor {
    pub(crate) slot: u32,
    pub(crate) done: bool,
    pub(crate) now_ns: u64,
}

impl Cursor {
    /// One that begins at this time.
    pub fn at(now_ns: u64) -> Self {
        Self { now_ns, ..Self::default() }
    }

    /// Whether all of the table has been seen.
    pub fn is_done(&self) -> bool {
        self.done
    }
}

/// A connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnInfo {
    /// Original direction.
    pub original: Tuple,
    /// Reply direction.
    pub reply: Tuple,
    /// Zone.
    pub zone: u16,
    /// Mark.
    pub mark: u32,
    /// Label, most significant bit first.
    pub label: u128,
    /// Seconds until it is forgotten if no packet comes.
    pub timeout_secs: u32,
    /// Number, unique among those alive.
    pub id: u32,
    /// Stage of its life.
    pub stage: Stage,
    /// Protocol state, for protocols that have one.
    pub state: ProtoInfo,
    /// Which side is translated.
    pub nat: Option<NatSide>,
    /// Whose control channel it is.
    pub helper: Option<Helper>,
    /// Original tuple of the connection that announced this one.
    pub parent: Option<Tuple>,
}

/// What `protoinfo=(...)` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtoInfo {
    /// The protocol has no state to show.
    None,
    /// TCP: states and window scales of the original side and of the reply side.
    Tcp([TcpState; 2], [WindowScale; 2]),
    /// SCTP: state.
    Sctp(SctpState),
}

impl Conn {
    /// What is told of when it changes: the state of the protocol and the stage, but not what every packet changes.
    pub(crate) fn shown(&self) -> (ProtoInfo, Stage) {
        (info(&self.proto), self.stage)
    }
}

impl ConnInfo {
    pub(crate) fn new((original, reply): (Tuple, Tuple), conn: &Conn, left_ns: u64) -> Self {
        Self {
            original,
            reply,
            zone: original.zone,
            mark: conn.mark,
            label: conn.label(),
            timeout_secs: u32::try_from(left_ns / 1_000_000_000).unwrap_or(u32::MAX),
            id: conn.id,
            stage: conn.stage,
            state: info(&conn.proto),
            nat: conn.nat,
            helper: conn.helper,
            parent: conn.parent().copied(),
        }
    }

    /// The connection in a slot whose lock is held.
    pub(crate) fn of(slot: &Slot, conn: &Conn, now_ns: u64) -> Self {
        Self::new((slot.tuple(false), slot.tuple(true)), conn, slot.deadline().saturating_sub(now_ns))
    }
}

fn info(proto: &Proto) -> ProtoInfo {
    match proto {
        Proto::Tcp(tcp) => ProtoInfo::Tcp(tcp.states(), tcp.scales()),
        Proto::Sctp(sctp) => ProtoInfo::Sctp(sctp.state()),
        Proto::Icmp(_) | Proto::Other(_) => ProtoInfo::None,
    }
}

impl Tracker {
    /// Appends connections to `out`, in no particular order, having looked at no more than `slots` slots; the `cursor` remembers
    /// how far it has come. Connections that come and go meanwhile may be in or not; one that stays is in exactly once.
    pub fn dump(&self, cursor: &mut Cursor, now_ns: u64, slots: usize, out: &mut Vec<ConnInfo>) {
        self.walk(cursor, slots, |_, slot| {
            let conn = slot.lock();
            if slot.deadline() > now_ns {
                out.push(ConnInfo::of(slot, &conn, now_ns));
            }
        });
    }

    /// Calls `each` with the slots that hold a connection, no more than `slots` slots from the `cursor` on.
    pub(crate) fn walk(&self, cursor: &mut Cursor, slots: usize, mut each: impl FnMut(u32, &Slot)) {
        let slab = self.table.slab();
        let end =
            slab.used().min(cursor.slot.saturating_add(u32::try_from(slots.max(1)).unwrap_or(u32::MAX)));
        for index in cursor.slot..end {
            if let Some(slot) = slab.peek(index)
                && slot.deadline() != 0
            {
                each(index, slot);
            }
        }
        cursor.slot = end.max(cursor.slot);
        cursor.done = cursor.slot >= slab.used();
    }
}
