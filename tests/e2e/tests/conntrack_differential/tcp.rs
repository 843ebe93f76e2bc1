//! TCP conversations: two hosts that are nearly right, a network that loses, delays and doubles, and somebody who guesses.

use frames::{L4, Rng};

use crate::talk::{Ends, Kind, Step, Talk};

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// A segment.
#[derive(Clone, Copy, Debug)]
struct Segment {
    reply: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    window: u16,
    scale: Option<u8>,
    len: u16,
}

impl Segment {
    fn end(&self) -> u32 {
        let ones = u32::from(self.flags & SYN != 0) + u32::from(self.flags & FIN != 0);
        self.seq.wrapping_add(u32::from(self.len)).wrapping_add(ones)
    }
}

/// What a host knows.
struct Host {
    first: u32,
    next: u32,
    /// Next number of the other side, once something came from there.
    heard: Option<u32>,
    /// End of what the other side's windows allow.
    allowed: u32,
    window: u16,
    scale: Option<u8>,
    opened: bool,
    closed: bool,
    sent: Vec<Segment>,
}

impl Host {
    fn new(rng: &mut Rng) -> Self {
        let first = rng.bits() as u32;
        let scale = (!rng.one_in(3)).then(|| rng.pick(&[0, 1, 2, 7, 10]));
        let window = rng.pick(&[1000, 8192, 29200, 65535]);
        Self {
            first,
            next: first,
            heard: None,
            allowed: first,
            window,
            scale,
            opened: false,
            closed: false,
            sent: Vec::new(),
        }
    }
}

struct World<'a> {
    rng: &'a mut Rng,
    kind: Kind,
    ends: Ends,
    hosts: [Host; 2],
    /// Segments that are late.
    late: Vec<Segment>,
    /// Somebody has reset the connection.
    reset: bool,
    steps: Vec<Step>,
}

/// A conversation of at most `most` packets.
pub(crate) fn talk(rng: &mut Rng, kind: Kind, ends: Ends, most: usize) -> Talk {
    let hosts = [Host::new(rng), Host::new(rng)];
    let mut world = World { rng, kind, ends, hosts, late: Vec::new(), reset: false, steps: Vec::new() };
    if kind == Kind::TcpMiddle {
        world.be_open();
    }
    while world.steps.len() < most && !world.reset {
        let host = world.who();
        if kind == Kind::TcpTricks && world.rng.one_in(3) {
            world.trick(host);
        } else {
            world.act(host);
        }
        if !world.late.is_empty() && world.rng.one_in(2) {
            let at = world.rng.below(world.late.len());
            let segment = world.late.swap_remove(at);
            world.pass(&segment, true);
        }
    }
    Talk { kind, ends, steps: world.steps }
}

impl World<'_> {
    fn be_open(&mut self) {
        let firsts = [0, 1].map(|n: usize| self.hosts[n].first);
        for (n, host) in self.hosts.iter_mut().enumerate() {
            host.opened = true;
            host.heard = Some(firsts[1 - n]);
            host.allowed = host.next.wrapping_add(1000);
            host.scale = None;
        }
    }

    /// Who acts next.
    fn who(&mut self) -> usize {
        let may_open = match self.kind {
            Kind::TcpBothOpen => true,
            Kind::TcpSilent => false,
            _ => self.hosts[1].opened || self.hosts[1].heard.is_some(),
        };
        // The first packet is the opener's, or it would be the other way round.
        if self.steps.is_empty() || !may_open { 0 } else { self.rng.below(2) }
    }

    /// A segment with the host's present numbers.
    fn segment(&self, host: usize, flags: u8, len: u16) -> Segment {
        let Host { next, heard, window, scale, .. } = self.hosts[host];
        let flags = if heard.is_some() { flags | ACK } else { flags };
        let scale = scale.filter(|_| flags & SYN != 0);
        Segment { reply: host == 1, flags, seq: next, ack: heard.unwrap_or(0), window, scale, len }
    }

    /// What a host might do now.
    fn act(&mut self, host: usize) {
        let both_closed = self.hosts.iter().all(|host| host.closed);
        if both_closed && host == 0 && self.rng.one_in(3) {
            self.open_anew();
        }
        let me = &self.hosts[host];
        if !me.opened {
            let syn = self.segment(host, SYN, 0);
            self.hosts[host].opened = true;
            return self.send(syn);
        }
        if me.heard.is_none() {
            if self.rng.one_in(5) && self.kind != Kind::TcpBothOpen {
                self.hosts[host].next = self.rng.bits() as u32;
                let syn = self.segment(host, SYN, 0);
                return self.send(syn);
            }
            return self.again(host);
        }
        let room = me.allowed.wrapping_sub(me.next).cast_signed().clamp(0, 400) as u16;
        match self.rng.below(16) {
            0..=5 if !me.closed => {
                let len = self.rng.pick(&[1, 100, 400]).min(room);
                let data = self.segment(host, if len == 0 { 0 } else { PSH }, len);
                self.send(data);
            }
            6..=9 => self.ack(host),
            10..=11 => self.again(host),
            12 => {
                self.hosts[host].window = self.rng.pick(&[0, 1, 500, 8192, 65535]);
                self.ack(host);
            }
            13 => {
                let mut probe = self.segment(host, 0, 0);
                probe.seq = probe.seq.wrapping_sub(1);
                probe.len = self.rng.below(2) as u16;
                self.pass(&probe, true);
            }
            14 if !me.closed && room > 0 && self.steps.len() > 5 => {
                let fin = self.segment(host, FIN, 0);
                self.hosts[host].closed = true;
                self.send(fin);
            }
            15 if self.rng.one_in(4) => {
                let reset = self.segment(host, RST, 0);
                self.pass(&reset, true);
                self.reset = true;
            }
            _ => self.ack(host),
        }
    }

    fn ack(&mut self, host: usize) {
        let ack = self.segment(host, 0, 0);
        self.pass(&ack, true);
    }

    /// After both have closed: the same ports, other numbers.
    fn open_anew(&mut self) {
        for host in 0..2 {
            let next = self.hosts[host].next.wrapping_add(100_000);
            self.hosts[host] = Host { first: next, next, allowed: next, ..Host::new(self.rng) };
        }
        self.late.clear();
    }

    /// Sends something again.
    fn again(&mut self, host: usize) {
        let sent = &self.hosts[host].sent;
        if let Some(segment) = sent.get(sent.len().saturating_sub(1 + self.rng.below(3))).copied() {
            let ack = self.hosts[host].heard.filter(|_| segment.flags & ACK != 0);
            self.travel(&Segment { ack: ack.unwrap_or(segment.ack), ..segment });
        }
    }

    /// Sends something that takes sequence numbers.
    fn send(&mut self, segment: Segment) {
        let me = &mut self.hosts[usize::from(segment.reply)];
        me.next = segment.end();
        me.sent.push(segment);
        self.travel(&segment);
    }

    fn travel(&mut self, segment: &Segment) {
        match self.rng.below(20) {
            // Lost before the tracker, and after it.
            0 if !self.steps.is_empty() => {}
            1 => self.pass(segment, false),
            2 if !self.steps.is_empty() => self.late.push(*segment),
            3 => {
                self.pass(segment, true);
                self.pass(segment, true);
            }
            _ => self.pass(segment, true),
        }
    }

    /// Through the tracker, and then to the other side or not.
    fn pass(&mut self, segment: &Segment, arrives: bool) {
        let Segment { reply, flags, seq, ack, window, len, scale } = *segment;
        let names: String =
            "FSRPAU".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1).map(|(_, c)| c).collect();
        let [mine, other] = [usize::from(reply), usize::from(!reply)].map(|n| self.hosts[n].first);
        let (seq, ack) = (seq.wrapping_sub(mine).cast_signed(), ack.wrapping_sub(other).cast_signed());
        let ack = if flags & ACK != 0 { ack } else { 0 };
        let what = format!("{names} seq={seq} ack={ack} win={window} len={len} scale={scale:?}");
        let frame = self.frame(segment);
        let wide = window == u16::MAX && scale.is_some();
        self.steps.push(Step { reply, what, flags, seq: segment.seq, wide, cut: false, frame });
        let peer = &mut self.hosts[usize::from(!reply)];
        let opens = match flags & (SYN | ACK) {
            SYN => !peer.opened || peer.heard.is_none(),
            // An answer to an attempt that was given up is none.
            f => f == SYN | ACK && peer.heard.is_none() && segment.ack == peer.next,
        };
        if arrives && (opens || peer.heard == Some(segment.seq)) {
            peer.heard = Some(segment.end());
        }
        if arrives && flags & ACK != 0 {
            let shift = self.shift(segment);
            let allowed = segment.ack.wrapping_add(u32::from(segment.window) << shift);
            let peer = &mut self.hosts[usize::from(!reply)];
            if allowed.wrapping_sub(peer.allowed).cast_signed() > 0 {
                peer.allowed = allowed;
            }
        }
    }

    /// The scale of a segment's window, once both have offered one.
    fn shift(&self, segment: &Segment) -> u8 {
        let [mine, other] =
            [usize::from(segment.reply), usize::from(!segment.reply)].map(|n| self.hosts[n].scale);
        mine.filter(|_| other.is_some() && segment.flags & SYN == 0).unwrap_or(0)
    }

    fn frame(&self, segment: &Segment) -> Vec<u8> {
        let reply = segment.reply;
        let ports: [u16; 2] = if reply { [80, 1000] } else { [1000, 80] };
        let options = segment.scale.map_or(vec![], |shift| vec![3, 3, shift, 1]);
        let mut bytes = ports.map(u16::to_be_bytes).concat();
        bytes.extend(segment.seq.to_be_bytes());
        bytes.extend(if segment.flags & ACK != 0 { segment.ack } else { 0 }.to_be_bytes());
        bytes.extend([(5 + options.len() as u8 / 4) << 4, segment.flags]);
        bytes.extend(segment.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(options);
        bytes.resize(bytes.len() + usize::from(segment.len), b'x');
        let sum = self.ends.sum(reply, reply, 6, &bytes);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        self.ends.frame(reply, L4::Raw { proto: 6, bytes })
    }

    /// What no host sends.
    fn trick(&mut self, host: usize) {
        let mut segment = self.segment(host, 0, 0);
        let far = self.rng.pick(&[1, 2, 1000, 65_000, 67_100, 200_000, 1 << 30, 1 << 31]);
        match self.rng.below(12) {
            0 => segment.flags = 0,
            1 => segment.flags = FIN | PSH | 32,
            2 => segment.flags = SYN | FIN,
            3 => segment.flags = SYN | RST,
            4 => segment.flags = SYN | ACK,
            5 => (segment.flags, segment.seq) = (RST, segment.seq.wrapping_add(far)),
            6 => (segment.flags, segment.seq) = (RST | ACK, segment.seq.wrapping_sub(far)),
            7 => (segment.len, segment.seq) = (100, segment.seq.wrapping_add(far)),
            8 => (segment.len, segment.seq) = (100, segment.seq.wrapping_sub(far)),
            9 => segment.ack = segment.ack.wrapping_add(far),
            10 => segment.ack = segment.ack.wrapping_sub(far),
            _ => (segment.flags, segment.seq) = (SYN, segment.seq.wrapping_add(far)),
        }
        self.pass(&segment, false);
    }
}
