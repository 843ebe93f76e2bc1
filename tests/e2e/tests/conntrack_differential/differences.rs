//! The differences that stand, as `CONNTRACK-DIFFERENCES.md` lists them.

use crate::talk::{Kind, Step, Talk};

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
    let (ours, theirs) = (said[0][at].as_str(), said[1][at].as_str());
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

    /// A side sent a bare SYN after another first segment.
    fn has_other_syn(&self) -> bool {
        [false, true].into_iter().any(|reply| {
            let mut numbers = self.valid().filter(|step| step.reply == reply && step.flags != 0);
            let first = numbers.next().map(|step| step.seq);
            numbers.any(|step| step.flags & (SYN | ACK) == SYN && Some(step.seq) != first)
        })
    }
}

const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
