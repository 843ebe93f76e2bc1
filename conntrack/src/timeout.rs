//! How long a connection is remembered after its last packet.

/// Where a connection stands in its life, as far as its timeout is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Stage {
    /// TCP: the first SYN (policy attribute `tcp_syn_sent`).
    TcpFirst,
    /// TCP: being opened (`tcp_syn_recv`).
    TcpOpening,
    /// TCP: open (`tcp_established`).
    TcpEstablished,
    /// TCP: one side has closed (`tcp_fin_wait`).
    TcpClosing,
    /// TCP: both sides have closed (`tcp_time_wait`).
    TcpFinWait,
    /// TCP: reset, or all is acknowledged (`tcp_close`).
    TcpClosed,
    /// UDP and others: one packet (`udp_first`).
    OtherFirst,
    /// UDP and others: several packets of one side (`udp_single`).
    OtherMultiple,
    /// UDP and others: packets of both sides (`udp_multiple`).
    OtherBidir,
    /// ICMP: no reply yet (`icmp_first`).
    IcmpFirst,
    /// ICMP: replied (`icmp_reply`).
    IcmpReply,
    /// SCTP: being opened.
    SctpOpening,
    /// SCTP: open.
    SctpEstablished,
    /// SCTP: being shut down.
    SctpClosing,
}

impl Stage {
    /// Number of stages.
    pub const COUNT: usize = 14;
}

/// Timeouts in seconds by [`Stage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts(pub [u32; Stage::COUNT]);

impl Default for Timeouts {
    /// Those of Open vSwitch's userspace tracker; SCTP's are those of Linux.
    fn default() -> Self {
        Self([30, 30, 24 * 60 * 60, 15 * 60, 45, 30, 60, 60, 30, 60, 30, 60, 210, 30])
    }
}

impl Timeouts {
    /// Seconds of a stage.
    pub fn seconds(&self, stage: Stage) -> u32 {
        self.0[stage as usize]
    }
}
