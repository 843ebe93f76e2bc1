//! Conversations that Open vSwitch has judged (`tests/conversations`), judged by the machines alone.

use proptest::prelude::*;

use super::tcp::{State, Tcp};
use super::{Judgement, Rules};
use crate::timeout::Stage;
use crate::view::TcpView;

const TCP: &str = include_str!("../../tests/conversations/tcp.txt");
const TCP_RANDOM: &str = include_str!("../../tests/conversations/tcp-random.txt");

/// A connection as an engine keeps it: its state, and whether the one called "original" is the script's reply side.
struct Connection {
    tcp: Tcp,
    swapped: bool,
}

struct Script {
    isn: [u32; 2],
    rules: Rules,
    connection: Option<Connection>,
}

impl Script {
    fn begin(line: &str) -> Self {
        let isn = line.split_once("isn=").map_or([0, 0], |(_, rest)| {
            let pair = rest.split_whitespace().next().unwrap();
            let (orig, reply) = pair.split_once(',').unwrap();
            [orig, reply].map(|number| number.parse().unwrap())
        });
        let rules = Rules { tcp_seq_check: !line.contains("seq-check=off") };
        Self { isn, rules, connection: None }
    }

    fn segment(&self, words: &[&str], reply: bool) -> TcpView {
        let option = |name: &str| {
            words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse::<i64>().ok())
        };
        let number = |name: &str| option(name).unwrap_or(0) as u32;
        let flags =
            words[0].chars().filter_map(|flag| "FSRPAUEC".find(flag)).fold(0, |set, bit| set | 1 << bit);
        let other = self.isn[usize::from(!reply)];
        TcpView {
            seq: self.isn[usize::from(reply)].wrapping_add(number("seq")),
            ack: if flags & 16 != 0 { other.wrapping_add(number("ack")) } else { 0 },
            flags,
            window: option("win").unwrap_or(8192) as u16,
            wscale: option("ws").map(|shift| shift as u8),
            payload: number("len"),
        }
    }

    /// What an engine would say, committing every new connection.
    fn judge(&mut self, segment: &TcpView, from_reply: bool) -> &'static str {
        if let Some(known) = &mut self.connection {
            let reply = from_reply != known.swapped;
            match known.tcp.judge(segment, reply, self.rules).0 {
                Judgement::Established if reply => return "est|rpl|trk",
                Judgement::Established => return "est|trk",
                Judgement::New => return "new|trk",
                Judgement::Invalid => return "inv|trk",
                Judgement::Restart => self.connection = None,
            }
        }
        match Tcp::start(segment) {
            Some(tcp) => {
                self.connection = Some(Connection { tcp, swapped: from_reply });
                "new|trk"
            }
            None => "inv|trk",
        }
    }

    fn states(&self) -> String {
        self.connection.as_ref().map_or("none".into(), |known| {
            let [orig, reply] = known.tcp.states().map(State::name);
            format!("{orig} {reply}")
        })
    }
}

/// Plays all conversations; the lines that came out otherwise.
fn play(text: &str) -> Vec<String> {
    let mut script = Script::begin("");
    let mut wrong = Vec::new();
    let mut name = "";
    for (at, line) in text.lines().enumerate() {
        let said = match line.split_once(' ') {
            Some(("tcp", rest)) => {
                (script, name) = (Script::begin(line), rest);
                continue;
            }
            Some(("=", expected)) => {
                let expected = expected.split(" ovs=").next().unwrap();
                (script.states(), expected)
            }
            Some((side @ (">" | "<"), rest)) => {
                let (sent, expected) = rest.split_once(" : ").unwrap();
                let words: Vec<&str> = sent.split_whitespace().collect();
                let segment = script.segment(&words, side == "<");
                let said = script.judge(&segment, side == "<");
                (said.to_owned(), expected.split(" ovs=").next().unwrap())
            }
            _ => continue,
        };
        if said.0 != said.1 {
            wrong.push(format!("{}: {name}: {line}: {}", at + 1, said.0));
        }
    }
    wrong
}

#[test]
fn conversations_are_judged_as_written() {
    for text in [TCP, TCP_RANDOM] {
        let wrong = play(text);
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
        assert!(text.lines().filter(|line| line.contains(" : ")).count() > 250);
    }
}

fn segment() -> impl Strategy<Value = TcpView> {
    let number = prop_oneof![0u32..300, any::<u32>(), u32::MAX - 300..=u32::MAX];
    let flags = prop_oneof![Just(2u8), Just(16), Just(18), Just(17), Just(4), Just(20), any::<u8>()];
    let sizes = (prop_oneof![0u16..3, any::<u16>()], proptest::option::of(any::<u8>()), 0u32..65536);
    (number.clone(), number, flags, sizes).prop_map(|(seq, ack, flags, (window, wscale, payload))| TcpView {
        seq,
        ack,
        flags,
        window,
        wscale,
        payload,
    })
}

proptest! {
    #[test]
    fn one_side_alone_never_establishes(
        first in segment(),
        rest in prop::collection::vec(segment(), 0..40),
        tcp_seq_check: bool,
    ) {
        let Some(mut tcp) = Tcp::start(&first) else { return Ok(()) };
        for segment in rest {
            match tcp.judge(&segment, false, Rules { tcp_seq_check }).0 {
                Judgement::Established => prop_assert!(false, "{segment:?}"),
                Judgement::Restart => tcp = Tcp::start(&segment).unwrap(),
                Judgement::New | Judgement::Invalid => {}
            }
            prop_assert!(tcp.is_half_open());
        }
    }

    #[test]
    fn a_stage_follows_from_the_states(
        first in segment(),
        rest in prop::collection::vec((segment(), any::<bool>()), 0..40),
    ) {
        let Some(mut tcp) = Tcp::start(&first) else { return Ok(()) };
        for (segment, reply) in rest {
            let before = tcp;
            let (judgement, stage) = tcp.judge(&segment, reply, Rules { tcp_seq_check: true });
            let [orig, answer] = tcp.states();
            let open = (orig, answer) == (State::Established, State::Established);
            prop_assert!(stage != Some(Stage::TcpEstablished) || open);
            match judgement {
                Judgement::Invalid | Judgement::Restart => prop_assert!(tcp == before && stage.is_none()),
                // States only go up.
                _ => prop_assert!(before.states().into_iter().zip(tcp.states()).all(|(was, is)| was <= is)),
            }
            if judgement == Judgement::Restart {
                tcp = Tcp::start(&segment).unwrap();
            }
        }
    }
}
