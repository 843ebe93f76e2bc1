//! The differences that stand, as `CONNTRACK-DIFFERENCES.md` lists them.

use crate::rig::Said;
use crate::talk::{Kind, Nat, Step, Talk};

/// Whom ours is compared with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// Debian's Open vSwitch, userspace.
    OpenVswitch,
    /// This kernel's.
    Kernel,
}

/// Why two trackers differ.
pub(crate) struct Reason {
    /// Its name in `CONNTRACK-DIFFERENCES.md`.
    pub(crate) name: &'static str,
    /// From here on the two remember different things, so nothing more is compared.
    pub(crate) parts: bool,
}

/// Our word for a state in the kernel's: a related packet has no other state there.
pub(crate) fn as_kernel(state: &str) -> String {
    let has = |bit: &str| state.split('|').any(|word| word == bit);
    let word = ["inv", "rel", "est", "new"].into_iter().find(|bit| has(bit)).unwrap_or("");
    format!("{word}{}|trk", if has("rpl") { "|rpl" } else { "" })
}

/// The reason of a difference in the state of packet `at`, if it is one that stands.
pub(crate) fn explain(peer: Peer, talk: &Talk, said: [&[String]; 2], at: usize) -> Option<Reason> {
    let [ours, theirs] = said.map(|said| said[at].replace("|snat", "").replace("|dnat", ""));
    if ours == theirs {
        let stays = peer == Peer::OpenVswitch && said[0][at] == "inv|trk";
        return stays.then_some(Reason { name: "invalid-nat", parts: false });
    }
    let (ours, theirs) = (ours.as_str(), theirs.as_str());
    let story = Story { talk, ours: said[0], at };
    let reason = |name, parts| Some(Reason { name, parts });
    match peer {
        Peer::OpenVswitch if talk.kind == Kind::Sctp && ours == "inv|trk" => reason("sctp", true),
        Peer::OpenVswitch if !story.is_answered() && (ours, theirs) == ("new|trk", "est|trk") => {
            reason("unanswered", false)
        }
        Peer::OpenVswitch if story.has_other_syn() => reason("other-syn", true),
        Peer::OpenVswitch if story.is_opened_by_both() => reason("both-open", true),
        Peer::OpenVswitch if story.valid().any(|step| step.wide) => reason("full-window", true),
        Peer::OpenVswitch => None,
        Peer::Kernel => kernel(&story, ours, theirs).map(|name| Reason { name, parts: true }),
    }
}

/// The reason of a difference in a packet that both call the same, if it is one that stands.
pub(crate) fn explain_frame(talk: &Talk, said: &Said, at: usize) -> Option<Reason> {
    let (state, frame) = (said.states[at].as_str(), &said.frames[at]);
    let story = Story { talk, ours: &said.states, at };
    let octet = |at: usize| u8::from_str_radix(&frame[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..frame.len()).step_by(2).map(octet).collect();
    let name = match talk.ends.nat {
        Nat::None => return None,
        _ if state == "inv|trk" => "invalid-nat",
        _ if frames::verify(&bytes).is_err() => return None,
        _ if talk.ends.v6 && state.contains("rel") => "icmp6-inner",
        _ if state == "new|trk" && story.has_syn() && story.valid().count() > 1 => "nat-again",
        _ => return None,
    };
    Some(Reason { name, parts: name == "nat-again" })
}

/// The reason of a difference in what is remembered of a conversation, if it is one that stands.
pub(crate) fn explain_table(peer: Peer, talk: &Talk, ours: &[String]) -> Option<&'static str> {
    let story = Story { talk, ours, at: talk.steps.len() - 1 };
    match peer {
        Peer::OpenVswitch if story.has_other_syn() => Some("other-syn"),
        Peer::OpenVswitch if !story.begins_with_syn() && story.has_syn() => Some("other-syn"),
        Peer::OpenVswitch if story.is_opened_by_both() => Some("both-open"),
        Peer::OpenVswitch => None,
        Peer::Kernel if matches!(talk.kind, Kind::Udp | Kind::Icmp) => None,
        Peer::Kernel if !story.begins_with_syn() => Some("middle"),
        Peer::Kernel if story.has_other_syn() => Some("other-syn"),
        Peer::Kernel if story.has_late_syn() => Some("late-syn"),
        Peer::Kernel if story.valid().any(|step| step.flags & RST != 0) => Some("reset"),
        Peer::Kernel if talk.kind == Kind::TcpTricks => Some("window"),
        Peer::Kernel => None,
    }
}

fn kernel(story: &Story<'_>, ours: &str, theirs: &str) -> Option<&'static str> {
    let (talk, step) = (story.talk, &story.talk.steps[story.at]);
    match talk.kind {
        Kind::Udp | Kind::Icmp if step.cut && ours == "inv|trk" => Some("icmp-inner"),
        Kind::Icmp if ours == "inv|trk" && theirs == "new|trk" => Some("icmp-code"),
        Kind::Icmp if ours == "inv|trk" && theirs == "untracked|trk" => Some("icmp-untracked"),
        Kind::Udp | Kind::Icmp | Kind::Sctp => None,
        _ if story.has_other_syn() => Some("other-syn"),
        _ if story.is_opened_by_both() => Some("both-open"),
        _ if !story.begins_with_syn() => Some("middle"),
        _ if step.flags & SYN != 0 || story.has_late_syn() => Some("late-syn"),
        _ if step.flags & RST != 0 => Some("reset"),
        Kind::TcpTricks => Some("window"),
        _ if ours == "inv|trk" && story.is_old() => Some("window"),
        _ => None,
    }
}

/// A conversation up to a packet, and what ours said of it.
struct Story<'a> {
    talk: &'a Talk,
    ours: &'a [String],
    at: usize,
}

impl Story<'_> {
    /// The steps so far that ours found valid.
    fn valid(&self) -> impl Iterator<Item = &Step> {
        self.talk.steps[..=self.at]
            .iter()
            .zip(self.ours)
            .filter(|(_, state)| *state != "inv|trk")
            .map(|(step, _)| step)
    }

    /// The other side has been heard since the connection began.
    fn is_answered(&self) -> bool {
        let opens = |step: &Step| !step.reply && step.flags & (SYN | ACK) == SYN;
        self.valid().fold(false, |answered, step| !opens(step) && (answered || step.reply))
    }

    /// The first segments of both sides have SYN, the opener's alone.
    fn begins_with_syn(&self) -> bool {
        let first = |reply: bool| self.valid().find(|step| step.reply == reply);
        self.valid().next().is_none_or(|step| step.flags & (SYN | ACK) == SYN)
            && first(true).is_none_or(|step| step.flags & SYN != 0)
    }

    /// The packet's number lies below one that its side has sent before.
    fn is_old(&self) -> bool {
        let step = &self.talk.steps[self.at];
        let mut before = self.valid().filter(|earlier| earlier.reply == step.reply);
        before.any(|earlier| earlier.seq.wrapping_sub(step.seq).cast_signed() > 0)
    }

    /// There is a bare SYN.
    fn has_syn(&self) -> bool {
        self.valid().any(|step| step.flags & (SYN | ACK) == SYN)
    }

    /// A SYN came again after the other side had answered.
    fn has_late_syn(&self) -> bool {
        self.valid().skip_while(|step| !step.reply).any(|step| step.flags & (SYN | ACK) == SYN)
    }

    /// The other side sent a bare SYN.
    fn is_opened_by_both(&self) -> bool {
        self.valid().any(|step| step.reply && step.flags & (SYN | ACK) == SYN)
    }

    /// A side sent a bare SYN with another number than what it had sent before.
    fn has_other_syn(&self) -> bool {
        [false, true].into_iter().any(|reply| {
            let segments: Vec<&Step> =
                self.valid().filter(|step| step.reply == reply && step.flags != 0).collect();
            let is_other = |pair: &[&Step]| {
                pair[1].flags & (SYN | ACK) == SYN
                    && (pair[1].seq != pair[0].seq || pair[1].seq != segments[0].seq)
            };
            segments.windows(2).any(is_other)
        })
    }
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
