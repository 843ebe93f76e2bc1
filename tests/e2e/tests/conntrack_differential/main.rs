//! Generated conversations through three trackers: ours, Open vSwitch's userspace one, and the kernel's. What each says of
//! each packet is the same, but for the differences in `CONNTRACK-DIFFERENCES.md`.

mod differences;
mod plain;
mod rig;
mod table;
mod talk;
mod tcp;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::thread;

use differences::{Peer, explain, explain_frame, explain_table};
use e2e::Flavor;
use frames::Rng;
use rig::{Rig, Said, Setting};
use talk::{Ends, Kind, Nat, Talk};

/// Conversations that are played side by side: as many frames as any socket's queue holds.
const SIDE_BY_SIDE: usize = 60;

/// The reviewed file.
const DIFFERENCES: &str = include_str!("../../CONNTRACK-DIFFERENCES.md");

const KINDS: [Kind; 12] = [
    Kind::Tcp,
    Kind::Tcp,
    Kind::Tcp,
    Kind::Tcp,
    Kind::TcpTricks,
    Kind::TcpTricks,
    Kind::TcpBothOpen,
    Kind::TcpMiddle,
    Kind::TcpSilent,
    Kind::Udp,
    Kind::Icmp,
    Kind::Sctp,
];

/// The conversations of one wave; the same in every run.
fn talks(wave: u16, kinds: &[Kind], translate: bool) -> Vec<Talk> {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut rng = Rng::new(seed << 16 | u64::from(wave));
    let mut talk = |n: usize| {
        let nat = if translate { rng.pick(&[Nat::Source, Nat::Destination]) } else { Nat::None };
        let ends = Ends { v6: rng.one_in(3), number: 0x0100 * (wave + 1) + n as u16, nat };
        let most = 4 + rng.below(28);
        match kinds[n % kinds.len()] {
            Kind::Udp => plain::udp(&mut rng, ends, most),
            Kind::Icmp => plain::icmp(&mut rng, ends, most),
            Kind::Sctp => plain::sctp(&mut rng, ends, most),
            kind => tcp::talk(&mut rng, kind, ends, most),
        }
    };
    (0..SIDE_BY_SIDE).map(&mut talk).collect()
}

/// Where the EtherType stands in a frame in hexadecimal.
const MACS: usize = 24;

/// From where on frames are compared: Open vSwitch cannot tell in an action the connection of a related packet that is no reply, nor of
/// one that it calls other names.
fn first_compared(states: [&[String]; 2], at: usize) -> usize {
    let state = &states[0][at];
    let is_shown = states[1][at] == *state && (!state.contains("rel") || state.contains("rpl"));
    if is_shown { 0 } else { MACS }
}

/// What came of a comparison.
#[derive(Default)]
struct Tally {
    same: usize,
    /// Conversations after which both remember the same.
    remembered: usize,
    differing: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

impl Tally {
    /// Compares what was said of a conversation; whether nothing but names differs.
    fn compare(&mut self, talk: &Talk, said: [&Said; 2], peer: Peer) -> bool {
        let states = said.map(|said| &said.states[..]);
        for at in 0..talk.steps.len() {
            if states[0][at] == states[1][at] {
                assert_ne!(states[0][at], "lost", "{}", talk.show(states, at));
                self.same += 1;
            } else {
                let Some(reason) = explain(peer, talk, states, at) else {
                    self.unexplained.push(talk.show(states, at));
                    return false;
                };
                *self.differing.entry(reason.name).or_default() += 1;
                if reason.parts {
                    return false;
                }
            }
            let frames = said.map(|said| &said.frames[at][first_compared(states, at)..]);
            if peer == Peer::OpenVswitch && frames[0] != frames[1] {
                let Some(reason) = explain_frame(talk, said[0], at) else {
                    let [ours, theirs] = frames;
                    self.unexplained.push(format!("{}\n  {ours}\n  {theirs}", talk.show(states, at)));
                    return false;
                };
                *self.differing.entry(reason.name).or_default() += 1;
                if reason.parts {
                    return false;
                }
            }
        }
        true
    }

    /// Compares what is remembered of a conversation.
    fn compare_tables(&mut self, talk: &Talk, said: &[String], dumps: [&str; 2], peer: Peer) {
        match (table::difference(peer, talk, dumps), explain_table(peer, talk, said)) {
            (None, _) => self.remembered += 1,
            (Some(_), Some(name)) => *self.differing.entry(name).or_default() += 1,
            (Some(difference), None) => {
                let story = talk.show([said, said], talk.steps.len() - 1);
                self.unexplained.push(format!("{difference}\n{story}"));
            }
        }
    }

    fn finish(self, peer: Peer) {
        let report = format!(
            "{peer:?}: {} packets and {} tables the same, {:?}",
            self.same, self.remembered, self.differing
        );
        let wrong = &self.unexplained;
        let some = wrong[..wrong.len().min(8)].join("\n");
        assert!(wrong.is_empty(), "{some}\n{report}; {} conversations unexplained", wrong.len());
        for name in self.differing.keys() {
            assert!(DIFFERENCES.contains(&format!("\n| {name} |")), "{name} is not in the reviewed file");
        }
        // Or nothing was compared.
        assert!(self.same > 5000 && self.remembered > 200, "{report}");
        let _ = writeln!(std::io::stderr(), "{report}");
    }
}

/// Plays the same to ours and to a peer, and compares what they say and what they remember.
fn compare(peer: Peer, kinds: &[Kind], setting: Setting) {
    let ours = Rig::switch(Flavor::Turnout, setting);
    let theirs = match peer {
        Peer::OpenVswitch => Rig::switch(Flavor::OpenVswitch, setting),
        Peer::Kernel => Rig::kernel(),
    };
    let mut tally = Tally::default();
    for wave in 0..8 {
        let talks = talks(wave, kinds, setting == Setting::Translating);
        let (mut mine, other) = thread::scope(|scope| {
            let other = scope.spawn(|| theirs.play(&talks));
            (ours.play(&talks), other.join().unwrap())
        });
        let dumps = [&ours, &theirs].map(Rig::connections);
        for (n, talk) in talks.iter().enumerate() {
            if peer == Peer::Kernel {
                mine[n].states.iter_mut().for_each(|state| *state = differences::as_kernel(state));
            }
            if tally.compare(talk, [&mine[n], &other[n]], peer) && table::is_comparable(peer, talk) {
                tally.compare_tables(talk, &mine[n].states, [&dumps[0], &dumps[1]], peer);
            }
        }
    }
    tally.finish(peer);
}

#[test]
fn open_vswitch_says_the_same() {
    compare(Peer::OpenVswitch, &KINDS, Setting::Plain);
}

#[test]
fn open_vswitch_says_the_same_without_windows() {
    compare(Peer::OpenVswitch, &KINDS[..9], Setting::Liberal);
}

/// The packets that go out, too, are the same: addresses, ports, sums, and the packets inside of errors.
#[test]
fn open_vswitch_translates_the_same() {
    // It has no ports of SCTP to translate.
    compare(Peer::OpenVswitch, &KINDS[..11], Setting::Translating);
}

#[test]
fn the_kernel_says_the_same() {
    // It has no SCTP.
    compare(Peer::Kernel, &KINDS[..11], Setting::Plain);
}
