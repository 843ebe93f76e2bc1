//! Conversations from `conversations/*.txt`, frame by frame through the tracker: each packet has the `ct_state` that is written beside
//! it, and each connection the state. What Open vSwitch says of the same packets was recorded with it (`ovs=` where it differs).

mod conversation;

use conntrack::{Config, ConnInfo, Cursor, ProtoInfo, Request, Tracker, state};
use conversation::{Line, Script};
use packet::{FlowKey, Packet};

/// One conversation with its tracker.
struct Play {
    script: Script,
    tracker: Tracker,
}

impl Play {
    fn begin(script: Script) -> Self {
        let tracker = Tracker::new(Config { tcp_seq_check: script.seq_check, ..Config::default() });
        Self { script, tracker }
    }

    /// Tracks a frame and commits what is new, as the recorded switch did.
    fn track(&self, frame: &[u8]) -> String {
        let mut packet = Packet::copy_of(frame).unwrap();
        let mut key = FlowKey::default();
        let mut layers = packet::extract_into(frame, 2, &mut key);
        for commit in [false, true] {
            let request = Request { zone: 1, commit, ..Request::default() };
            if !commit || key.ct_state.get() & state::NEW != 0 {
                self.tracker.track(&request, &mut packet, &mut layers, &mut key, 1_000_000_000);
            }
        }
        assert!(state::is_possible(key.ct_state.get()));
        state::format(key.ct_state.get(), u32::MAX)
    }

    fn states(&self) -> String {
        let mut found = Vec::new();
        self.tracker.dump(&mut Cursor::default(), 1_000_000_000, usize::MAX, &mut found);
        match &found[..] {
            [] => "none".into(),
            [ConnInfo { state: ProtoInfo::Tcp([orig, reply], _), .. }] => {
                format!("{} {}", orig.name(), reply.name())
            }
            [ConnInfo { state: ProtoInfo::Sctp(state), .. }] => state.name().into(),
            others => panic!("{others:?}"),
        }
    }
}

/// Plays all conversations of a file; at least `least` packets.
fn play(text: &str, least: usize) {
    let mut play: Option<Play> = None;
    let mut wrong = Vec::new();
    let mut packets = 0;
    for (at, line) in text.lines().enumerate() {
        let (said, expected) = match (Line::parse(line), &mut play) {
            (Line::Begin(script), _) => {
                play = Some(Play::begin(script));
                continue;
            }
            (Line::Packet { reply, words, expected }, Some(play)) => {
                packets += 1;
                (play.track(&play.script.frame(reply, &words)), expected)
            }
            (Line::Frame { bytes, expected }, Some(play)) => {
                packets += 1;
                (play.track(&bytes), expected)
            }
            (Line::States(expected), Some(play)) => (play.states(), expected),
            _ => continue,
        };
        if said != expected {
            let name = &play.as_ref().unwrap().script.name;
            wrong.push(format!("line {}, {name}: {line}: {said}", at + 1));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(packets >= least, "only {packets} packets");
}

#[test]
fn tcp() {
    play(include_str!("conversations/tcp.txt"), 250);
}

#[test]
fn tcp_at_random() {
    play(include_str!("conversations/tcp-random.txt"), 900);
}

#[test]
fn sctp() {
    play(include_str!("conversations/sctp.txt"), 100);
}

#[test]
fn single_packets() {
    play(include_str!("conversations/packets.txt"), 200);
}
