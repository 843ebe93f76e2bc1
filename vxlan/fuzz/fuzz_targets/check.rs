//! What must hold of any frame: reading it as a tunnel packet never panics, and one that was read says the same when it is sent
//! again as it was understood.

use packet::{Offload, Packet, extract, gso};
use vxlan::tunnel::Remote;
use vxlan::{DecapError, EncapError, Fresh, Inner, Kind, Listener, Path, Service, Template, Tunnel, decap};

const PATH: Path = Path { src_mac: [2; 6], dst_mac: [4; 6], mtu: 65535 };

/// Checks a frame as every kind of tunnel packet.
pub(crate) fn frame(bytes: &[u8]) {
    let Ok(packet) = Packet::copy_of(bytes) else { return };
    let layers = extract(bytes, 2).1;
    for kind in [Kind::Vxlan, Kind::Geneve, Kind::Gre] {
        for (gbp, gpe) in [(false, false), (true, false), (false, true)] {
            let listener = Listener { service: Service { kind, dst_port: 0 }, gbp, gpe };
            let Ok(found) = decap(&packet, &layers, &listener) else { continue };
            let mut inner = packet.clone();
            match found.pull(&mut inner) {
                Ok(()) => {}
                Err(DecapError::Congestion) => continue,
                Err(error) => panic!("{error}"),
            }
            let sequence = found.sequence.is_some();
            let tunnel = Tunnel { gpe, sequence, ..Tunnel::new(kind, Remote::Flow) };
            let options = &bytes[found.options.clone()];
            let template = match Template::new(&tunnel, found.inner, &found.meta, options, &PATH) {
                Ok(template) => template,
                Err(EncapError::Source(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            let mut again = inner.clone();
            let fresh =
                Fresh { src_port: found.meta.tp_src, sequence: found.sequence.unwrap_or(0), ident: 0 };
            match template.push(&mut again, fresh) {
                Ok(()) => {}
                Err(EncapError::TooBig { .. }) => continue,
                Err(error) => panic!("{error}"),
            }
            gso::complete(&mut again);
            again.offload = Offload::default();
            let layers = extract(again.data(), 2).1;
            let twice = decap(&again, &layers, &listener).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                (twice.meta.id, twice.meta.policy, twice.inner),
                (found.meta.id, found.meta.policy, found.inner)
            );
            assert_eq!((twice.meta.src, twice.meta.dst), (found.meta.src, found.meta.dst));
            assert_eq!(twice.sequence, found.sequence);
            twice.pull(&mut again).unwrap();
            if found.inner == Inner::Ethernet {
                assert!(again.data() == inner.data());
            }
        }
    }
}
