//! What sessions with connection tracking do besides: answers to what was sent, and connections that are forgotten.

use conntrack::{ConnInfo, Cursor, Filter, Tuple, TupleFilter};
use frames::Rng;

use super::{Duel, SECOND};
use crate::field::Slot;
use crate::normal::Port;
use crate::random::{self, FAR_PORTS, PATCH, TABLES};
use crate::random_ct;
use crate::reply;
use crate::rule::{Mod, Spec};
use crate::tracking::Connections;
use crate::view::View;
use crate::world::{FAR, Outcome};

/// Frames that are remembered to be answered.
const HEARD: usize = 12;

impl Duel {
    /// Limits, and rules that make use of the tracker.
    pub(super) fn begin_tracking(&mut self) {
        let limit = self.rng.pick(&[0, 0, 0, 3, 12]);
        if limit != 0 {
            // Which connection makes room for another is a matter of when the others were found to have expired.
            self.sweeps = false;
            self.both(|tracker| tracker.set_max_connections(limit));
        }
        if self.rng.one_in(4) {
            self.both(|tracker| tracker.set_tcp_seq_check(false));
        }
        if self.style.patch {
            self.rig.add_far(PATCH, &FAR_PORTS);
            self.world.patch = Some(PATCH);
            self.world.ports.extend(FAR_PORTS.map(|port| (port, Port::trunk())));
            for table in 0..TABLES {
                let spec = random::last_resort(&mut self.rng, self.style, table);
                self.commit(&[Mod::Add(Spec { table: table + FAR, ..spec })]);
            }
        }
        self.add_basis();
    }

    fn add_basis(&mut self) {
        let basis = random_ct::basis(&mut self.rng, self.style);
        let far = self.style.patch && self.rng.one_in(2);
        let basis =
            basis.into_iter().map(|spec| Spec { table: spec.table + if far { FAR } else { 0 }, ..spec });
        let kept: Vec<Mod> = basis.filter(|_| !self.rng.one_in(8)).map(Mod::Add).collect();
        self.commit(&kept);
    }

    fn both(&self, f: impl Fn(&conntrack::Tracker)) {
        f(self.world.connections.tracker());
        f(self.rig.tracker());
    }

    /// Now and then, something happens to the connections. That one side sweeps and the other does not must not be seen.
    pub(super) fn disturb_connections(&mut self) {
        let now_ns = self.now_ns;
        match self.rng.below(80) {
            0 | 1 if self.sweeps => {
                self.note("sweep the switch's connections".into());
                self.rig.tracker().sweep(now_ns, 1 << 20);
            }
            2 if self.sweeps => {
                self.note("sweep the oracle's connections".into());
                self.world.connections.tracker().sweep(now_ns, 1 << 20);
            }
            3 => {
                let filter = filter(&mut self.rng);
                self.note(format!("flush {filter:?}"));
                self.both(|tracker| while !tracker.flush(&filter, &mut Cursor::default(), usize::MAX) {});
            }
            4 => self.compare_connections(),
            5..8 => {
                let by = self.rng.pick(&[SECOND, 5 * SECOND, 31 * SECOND, 61 * SECOND]);
                self.advance(by);
            }
            8 | 9 => self.add_basis(),
            _ => {}
        }
    }

    /// Both trackers hold the same.
    pub(super) fn compare_connections(&mut self) {
        let expected = Connections::dump(self.world.connections.tracker(), self.now_ns);
        let found = Connections::dump(self.rig.tracker(), self.now_ns);
        if expected != found {
            let missing = expected.iter().filter(|info| !found.contains(info)).map(line);
            let extra = found.iter().filter(|info| !expected.contains(info)).map(line);
            let (missing, extra): (Vec<_>, Vec<_>) = (missing.collect(), extra.collect());
            self.complain(&format!(
                "connections expected\n{}\nfound\n{}",
                missing.join("\n"),
                extra.join("\n")
            ));
        }
    }

    /// Remembers what was sent.
    pub(super) fn hear(&mut self, outcome: &Outcome) {
        for (port, frames) in &outcome.sent {
            for frame in frames.iter().take(2).filter(|frame| frame.len() >= 14) {
                if self.heard.len() >= HEARD {
                    self.heard.remove(0);
                }
                self.heard.push((*port, frame.clone()));
            }
        }
    }

    /// Somebody answers, or goes on: that comes in again and again from now on.
    pub(super) fn answer(&mut self) {
        let goes_on = self.rng.one_in(4);
        let from = if goes_on { &self.known } else { &self.heard };
        if from.is_empty() {
            return;
        }
        let (port, frame) = from[self.rng.below(from.len())].clone();
        let rng = &mut self.rng;
        let answer = match (goes_on, rng.below(6)) {
            (true, _) => reply::next(rng, &frame),
            (false, 0) => reply::error(rng, &frame),
            (false, _) => reply::reply(rng, &frame),
        };
        if let Some(answer) = answer.filter(|answer| !self.is_unfit(answer)) {
            self.learn(port, answer);
        }
    }

    /// Whether a frame is not for this session: a fragment that the tracker would keep until its datagram is whole.
    pub(super) fn is_unfit(&self, frame: &[u8]) -> bool {
        let mut bare = frame.to_vec();
        while let Some([0x81, 0x00] | [0x88, 0xa8]) = bare.get(12..14) {
            bare.drain(12..bare.len().min(16));
        }
        self.style.ct && View::new(&bare, 0).values[Slot::Frag] != 0
    }
}

fn line(info: &ConnInfo) -> String {
    let tuple = |t: &Tuple| format!("{}:{} -> {}:{}", t.src_ip(), t.sport, t.dst_ip(), t.dport);
    let ConnInfo { original, reply, zone, mark, label, timeout_secs, id, stage, state, nat, .. } = info;
    format!(
        "  {id}: proto {} zone {zone} {}, {}, mark {mark:#x}, label {label:#x}, {stage:?}, {timeout_secs} s, {state:?}, {nat:?}",
        original.proto,
        tuple(original),
        tuple(reply)
    )
}

fn filter(rng: &mut Rng) -> Filter {
    match rng.below(4) {
        0 => Filter::default(),
        1 => Filter::zone(rng.pick(&[0, 1, 2])),
        2 => Filter { mark: Some((rng.below(3) as u32, 3)), ..Filter::default() },
        _ => {
            let proto = Some(rng.pick(&[1, 6, 17]));
            Filter { original: Some(TupleFilter { proto, ..TupleFilter::default() }), ..Filter::default() }
        }
    }
}
