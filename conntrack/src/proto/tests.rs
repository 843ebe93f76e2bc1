//! What no sequence of packets may do, whatever it is. What given ones do stands in `tests/conversations`.

use proptest::prelude::*;

use super::sctp::{self, Sctp};
use super::tcp::{State, Tcp};
use super::{Judgement, Rules};
use crate::timeout::Stage;
use crate::view::{SctpView, TcpView};

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

/// Packets of few tags, so that they often fit.
fn sctp_packet() -> impl Strategy<Value = SctpView> {
    let chunks = prop_oneof![(0u16..16).prop_map(|kind| 1 << kind), any::<u16>()];
    (0u32..4, chunks, 0u32..4, any::<bool>()).prop_map(|(vtag, chunks, init_tag, reflected)| SctpView {
        vtag,
        chunks,
        count: chunks.count_ones() as u16,
        reflected,
        init_tag,
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

    #[test]
    fn one_side_alone_never_opens_an_association(
        first in sctp_packet(),
        rest in prop::collection::vec(sctp_packet(), 0..60),
    ) {
        let Some(mut sctp) = Sctp::start(&first) else { return Ok(()) };
        for packet in rest {
            match sctp.judge(&packet, false).0 {
                Judgement::Established => prop_assert!(false, "{packet:?}"),
                Judgement::Restart => sctp = Sctp::start(&packet).unwrap(),
                Judgement::New | Judgement::Invalid => {}
            }
            prop_assert!(sctp.is_half_open());
        }
    }

    #[test]
    fn an_association_changes_only_by_packets_that_fit(
        first in sctp_packet(),
        rest in prop::collection::vec((sctp_packet(), any::<bool>()), 0..60),
    ) {
        let Some(mut sctp) = Sctp::start(&first) else { return Ok(()) };
        for (packet, reply) in rest {
            let before = sctp;
            let (judgement, stage) = sctp.judge(&packet, reply);
            prop_assert_eq!(stage == Some(Stage::SctpEstablished), judgement != Judgement::Invalid
                && sctp.state() == sctp::State::Established);
            match judgement {
                Judgement::Invalid => prop_assert_eq!(sctp, before),
                Judgement::Restart => sctp = Sctp::start(&packet).unwrap(),
                Judgement::New | Judgement::Established => {}
            }
        }
    }
}
