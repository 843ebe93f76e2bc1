//! The execution of `ct()`: packets go through the connection tracker, fragments through its reassembly first.

use conntrack::frag::{Frag, Fragment, Part};
use conntrack::{Request, Tracked, state};

use super::Frame;
use crate::action::{Action, PortNo, clear_ct};
use crate::drops::DropReason;
use crate::worker::Out;

impl Frame<'_> {
    /// Has the tracker judge the packet, and translate its addresses if it is asked to.
    pub(super) fn track(&mut self, out: &Out, request: &Request) {
        // The tracker keeps the layers right. Looking for them again would lose them behind more tags than keys hold.
        let (packet, layers) = (&mut self.packet, &mut self.layers);
        out.tracker().track(request, packet, layers, self.key, out.now_ns);
    }

    /// Keeps a fragment until its datagram is whole. Then the datagram is tracked, and all its fragments go on with `rest`, as they
    /// came, with what the tracker said of the whole. `used`: the fragment has gone somewhere already.
    pub(crate) fn track_fragment(mut self, out: &mut Out, request: &Request, rest: &[Action], used: bool) {
        let port = PortNo(self.packet.in_port);
        let (key, layers, zone) = (&*self.key, &self.layers, request.zone);
        let fragment = Fragment { packet: self.packet, key, layers, zone, context: round_of(rest) };
        match out.tracker().fragments().take(fragment, out.now_ns) {
            // The tracker finds a fragment that was refused invalid.
            Frag::NotOne(packet) | Frag::Refused(packet, _) => {
                self.packet = packet;
                self.track(out, request);
                self.go_on(out, rest, used);
            }
            Frag::Held => {}
            Frag::Dropped(_, count) => out.drop_on(port, DropReason::Fragment, count.into()),
            Frag::Whole(mut whole) => {
                let (packet, layers) = (&mut whole.packet, &mut whole.layers);
                let tracked = out.tracker().track(request, packet, layers, &mut whole.key, out.now_ns);
                let count = whole.parts().len() as u64;
                let Ok(parts) = whole.release(tracked == Tracked::Edited) else {
                    return out.drop_on(port, DropReason::Fragment, count);
                };
                let vlan_limit = self.vlan_limit;
                for Part { packet, mut key, layers, .. } in parts {
                    Frame { packet, layers, key: &mut key, vlan_limit }.go_on(out, rest, used);
                }
            }
        }
    }
}

/// The round in which a fragment that waits in vain goes on: that of a recirculation that follows at once, else 0.
fn round_of(rest: &[Action]) -> u64 {
    match rest {
        [Action::Recirc(id), ..] => u64::from(*id),
        _ => 0,
    }
}

/// Sends on a fragment whose datagram was not completed in time: as an invalid packet, to the round that would have followed.
pub(crate) fn give_up(out: &mut Out, part: Part) {
    let Part { packet, mut key, zone, context, .. } = part;
    let Some(id) = u32::try_from(context).ok().filter(|id| *id != 0) else {
        return out.drop_packet(&packet, DropReason::Fragment);
    };
    clear_ct(&mut key);
    key.ct_state.set(state::TRK | state::INV);
    key.ct_zone.set(zone);
    key.recirc_id.set(id);
    out.recirculate(packet, key);
}
