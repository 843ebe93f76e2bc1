//! Actions that read and write fields by their description.

use conntrack::state;
use openflow::action::SetField;
use openflow::field::{Format, Prereq, SubField};
use openflow::text::value_text;
use openflow::{FieldId, OfPort};
use packet::key::VLAN_PRESENT;

use super::Xlate;
use super::trace::Kind;

/// `ct_state` bits of which one shows that the tracker knows the original direction: new, est, rpl. A valid packet has one of them.
const CT_VALID: u32 = state::NEW | state::EST | state::RPL;

impl Xlate<'_> {
    /// Un-wildcards bits of a field.
    pub(super) fn look_at(&mut self, field: FieldId, bits: u128) {
        let old = field.get(&self.mask.0);
        field.set(&mut self.mask.0, old | bits);
    }

    /// Un-wildcards bits that are written, since what is written and what was there come to one value. Within a `ct()` they are the
    /// connection's, and noted as such.
    fn look_at_written(&mut self, field: FieldId, bits: u128) {
        match (&mut self.on_connection, field) {
            (Some((mark, _)), FieldId::CtMark) => *mark |= bits as u32,
            (Some((_, label)), FieldId::CtLabel) => *label |= bits,
            _ => self.look_at(field, bits),
        }
    }

    /// Un-wildcards bits that are read, and what tells whether the field is there.
    fn look_at_with_prereqs(&mut self, sub: SubField) {
        self.look_at(sub.field, sub.mask());
        self.has(sub.field);
    }

    /// Reads bits of a field.
    pub(super) fn read(&mut self, src: SubField) -> u128 {
        self.look_at_with_prereqs(src);
        src.get(&self.flow)
    }

    /// Whether the packet has a field. What tells so is un-wildcarded; EtherType and fragment bits always are.
    fn has(&mut self, field: FieldId) -> bool {
        let prereq = field.info().prereq;
        let nd = matches!(prereq, Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert);
        if nd || matches!(prereq, Prereq::Tcp | Prereq::Udp | Prereq::Sctp | Prereq::Icmp | Prereq::Icmpv6) {
            self.mask.0.nw_proto = 0xff;
        }
        if nd {
            self.mask.0.tp_src.set(u16::MAX);
            self.mask.0.tp_dst.set(u16::MAX);
        }
        if prereq == Prereq::Ct {
            let state = &mut self.mask.0.ct_state;
            state.set(state.get() | CT_VALID);
            return self.flow.ct_state.get() & CT_VALID != 0;
        }
        if matches!(field, FieldId::VlanVid | FieldId::VlanPcp | FieldId::DlVlan | FieldId::DlVlanPcp) {
            let tci = &mut self.mask.0.vlan[0].tci;
            tci.set(tci.get() | VLAN_PRESENT);
        }
        match field {
            FieldId::VlanVid | FieldId::VlanPcp => self.flow.vlan[0].tci.get() & VLAN_PRESENT != 0,
            _ => prereq.holds(&self.flow),
        }
    }

    /// Whether a field is an ARP opcode that is in no key, because it is above 255: it could not be set back, so it is not
    /// written; nor is an opcode of 0, which looks the same.
    fn is_hidden_opcode(&mut self, field: FieldId) -> bool {
        let hidden = field == FieldId::ArpOp && self.flow.nw_proto == 0;
        if hidden {
            self.mask.0.nw_proto = 0xff;
        }
        hidden
    }

    pub(super) fn set_field(&mut self, set: &SetField) {
        if !self.has(set.field) || self.is_hidden_opcode(set.field) {
            let name = set.field.name();
            self.note(Kind::Warn, || format!("unmet prerequisites for {name}, set_field ignored"));
            return;
        }
        self.look_at_written(set.field, set.mask);
        set.field.info().set_masked(&mut self.flow, set.value, set.mask);
        self.default_tpid();
    }

    /// A tag that was made by writing its bits is an 802.1Q tag.
    fn default_tpid(&mut self) {
        let tag = &mut self.flow.vlan[0];
        if tag.tci.get() & VLAN_PRESENT != 0 && tag.tpid.get() == 0 {
            tag.tpid.set(0x8100);
        }
    }

    pub(super) fn write(&mut self, dst: SubField, value: u128) {
        if self.is_hidden_opcode(dst.field) {
            return;
        }
        self.look_at_written(dst.field, dst.mask());
        dst.set(&mut self.flow, value);
        self.default_tpid();
        self.note_value(dst);
    }

    fn note_value(&mut self, sub: SubField) {
        if self.tracer.is_some() {
            let value = sub.get(&self.flow);
            let info = sub.field.info();
            let text = match value {
                _ if sub.is_whole() && !info.is_register() => value_text(sub.field, value, info.exact()),
                0 => "0".to_owned(),
                _ => format!("{value:#x}"),
            };
            self.note(Kind::Detail, || format!("{sub} is now {text}"));
        }
    }

    pub(super) fn move_field(&mut self, src: SubField, dst: SubField) {
        if self.has(dst.field) && self.has(src.field) && !self.is_hidden_opcode(dst.field) {
            self.look_at(src.field, src.mask());
            self.look_at_written(dst.field, dst.mask());
            let value = src.get(&self.flow);
            dst.set(&mut self.flow, value);
            self.default_tpid();
        }
        self.note_value(dst);
    }

    pub(super) fn stack_push(&mut self, src: SubField) {
        let value = self.read(src);
        self.stack.push((value, src.n_bits));
    }

    pub(super) fn stack_pop(&mut self, dst: SubField) {
        match self.stack.pop() {
            Some((value, _)) => self.write(dst, value),
            None => self.note(Kind::Error, || "stack underflow".into()),
        }
    }

    pub(super) fn output_reg(&mut self, src: SubField, max_len: u16) {
        let value = self.read(src);
        let Ok(number) = u32::try_from(value) else {
            self.note(Kind::Warn, || format!("output port {value} is out of range"));
            return;
        };
        let narrow = src.n_bits <= 16 || src.field.info().format == Format::Port16;
        let port = if narrow { OfPort::from_u16(number as u16) } else { OfPort(number) };
        self.note(Kind::Detail, || format!("output port is {port}"));
        self.output(port, max_len);
    }
}
