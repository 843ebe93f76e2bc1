//! Why packets are dropped: the one list of reasons, counted per port (design contract 6).

/// Where a reason belongs: which of a port's totals it is part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    /// The frame never came in.
    Receive,
    /// The tables said so, or could not say more.
    Pipeline,
    /// The frame never went out.
    Transmit,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident, $side:ident, $name:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name: that of its coverage counter, where Open vSwitch has one the same.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)* }
            }
        }
    };
}

reasons! {
    /// The OpenFlow tables gave it no output.
    NoOutput, Pipeline, "drop_action_of_pipeline";
    /// Flows are being restored after a restart: nothing is forwarded yet (`other_config:flow-restore-wait`).
    FlowRestoreWait, Pipeline, "drop_action_flow_restore_wait";
    /// A patch port leads to no bridge.
    BridgeNotFound, Pipeline, "drop_action_bridge_not_found";
    /// Tables call each other too deeply.
    RecursionTooDeep, Pipeline, "drop_action_recursion_too_deep";
    /// Too many resubmits in one translation.
    TooManyResubmits, Pipeline, "drop_action_too_many_resubmit";
    /// The stack of a translation grew too large.
    StackTooDeep, Pipeline, "drop_action_stack_too_deep";
    /// The state of a recirculated packet is gone.
    NoRecircContext, Pipeline, "drop_action_no_recirculation_context";
    /// A packet was to be recirculated in two ways at once.
    RecircConflict, Pipeline, "drop_action_recirculation_conflict";
    /// More MPLS labels than the datapath can push.
    TooManyMplsLabels, Pipeline, "drop_action_too_many_mpls_labels";
    /// Tunnel metadata that cannot be.
    InvalidTunnelMetadata, Pipeline, "drop_action_invalid_tunnel_metadata";
    /// A packet type that the port cannot carry.
    UnsupportedPacketType, Pipeline, "drop_action_unsupported_packet_type";
    /// Explicit congestion notification asks for it.
    Congestion, Pipeline, "drop_action_congestion";
    /// The port of arrival does not forward (port configuration, spanning tree, bond member).
    ForwardingDisabled, Pipeline, "drop_action_forwarding_disabled";
    /// The port of arrival belongs to no bridge.
    NoBridge, Pipeline, "drop_action_port_without_bridge";
    /// Fragments, where the switch was told to drop them.
    Fragment, Pipeline, "drop_action_fragment";
    /// A translation came to more than the datapath can do.
    TooManyActions, Pipeline, "drop_action_too_many_actions";
    /// An action that does not fit the packet (a header it does not have).
    ActionMismatch, Pipeline, "datapath_drop_action_mismatch";
    /// It was recirculated too often.
    RecircTooDeep, Pipeline, "datapath_drop_recirc_error";
    /// The packets of one batch were recirculated more often than a batch may have it.
    RecircLimit, Pipeline, "datapath_drop_recirc_limit";
    /// The owner took too long or had no room for it.
    UpcallError, Pipeline, "datapath_drop_upcall_error";
    /// A packet from a controller found the queue of the worker full.
    PacketOutFull, Pipeline, "datapath_drop_packet_out_full";
    /// No Ethernet frame: shorter than its header, or offload state that makes no sense.
    RxInvalid, Receive, "datapath_drop_rx_invalid_packet";
    /// The receive queue had no room or no buffer.
    RxOverrun, Receive, "datapath_drop_rx_overrun";
    /// Longer than any buffer.
    RxTooLong, Receive, "datapath_drop_rx_too_long";
    /// An output to a port that does not exist.
    InvalidPort, Transmit, "datapath_drop_invalid_port";
    /// Longer than the port's MTU, and no super-frame.
    MtuExceeded, Transmit, "datapath_drop_mtu_exceeded";
    /// A super-frame that cannot be cut into segments.
    SegmentError, Transmit, "datapath_drop_segmentation_error";
    /// The transmit queue had no room for long.
    TxFull, Transmit, "datapath_drop_tx_full";
    /// The device refused it: it is down, or gone.
    TxError, Transmit, "datapath_drop_tx_error";
    /// It reached a null port with a wrong checksum (one frame in a thousand is looked at).
    BadChecksum, Transmit, "datapath_drop_bad_checksum";
    /// The headers that an action was to add did not fit any buffer.
    TooLong, Transmit, "datapath_drop_too_long";
}

impl DropReason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether the frame never came in.
    pub fn is_receive(self) -> bool {
        self.side() == Side::Receive
    }

    /// Whether the frame never went out.
    pub fn is_transmit(self) -> bool {
        self.side() == Side::Transmit
    }
}
