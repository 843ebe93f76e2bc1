//! What the datapath can do, in the words of `dpif/show-dp-features` and of `Datapath.capabilities`. What is not there yet says so.

use std::collections::BTreeMap;

use datapath::Datapath;

/// A feature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feature {
    /// Its name in `dpif/show-dp-features`.
    pub name: &'static str,
    /// Its name in the database.
    pub key: &'static str,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// It is there, or not.
    Is(bool),
    /// There are so many.
    Count(usize),
    /// As many as are configured.
    VlanLimit,
}

const fn feature(name: &'static str, key: &'static str, how: How) -> Feature {
    Feature { name, key, how }
}

/// All features, in order.
pub const ALL: [Feature; 26] = [
    feature("Masked set action", "masked_set_action", How::Is(true)),
    feature("Tunnel push pop", "tnl_push_pop", How::Is(false)),
    feature("Ufid", "ufid", How::Is(true)),
    feature("Truncate action", "trunc", How::Is(true)),
    feature("Clone action", "clone", How::Is(true)),
    feature("Sample nesting", "sample_nesting", How::Count(0)),
    feature("Conntrack eventmask", "ct_eventmask", How::Is(true)),
    feature("Conntrack clear", "ct_clear", How::Is(true)),
    feature("Max dp_hash algorithm", "max_hash_alg", How::Count(0)),
    feature("Check pkt length action", "check_pkt_len", How::Is(false)),
    feature("Conntrack timeout policy", "ct_timeout", How::Is(true)),
    feature("Explicit Drop action", "explicit_drop_action", How::Is(true)),
    feature("Optimized Balance TCP mode", "lb_output_action", How::Is(false)),
    feature("Conntrack all-zero IP SNAT", "ct_zero_snat", How::Is(true)),
    feature("MPLS Label add", "add_mpls", How::Is(false)),
    feature("Max VLAN headers", "max_vlan_headers", How::VlanLimit),
    feature("Max MPLS depth", "max_mpls_depth", How::Count(3)),
    feature("Recirc", "recirc", How::Is(true)),
    feature("CT state", "ct_state", How::Is(true)),
    feature("CT zone", "ct_zone", How::Is(true)),
    feature("CT mark", "ct_mark", How::Is(true)),
    feature("CT label", "ct_label", How::Is(true)),
    feature("CT state NAT", "ct_state_nat", How::Is(true)),
    feature("CT orig tuple", "ct_orig_tuple", How::Is(true)),
    feature("CT orig tuple for IPv6", "ct_orig_tuple6", How::Is(true)),
    feature("IPv6 ND Extension", "nd_ext", How::Is(false)),
];

/// All features, as the database has them.
pub fn stored(datapath: &Datapath) -> BTreeMap<String, String> {
    let all = ALL.iter().map(|feature| (feature.key.to_owned(), feature.stored(datapath)));
    // This one is a feature of the switch, not of its datapath.
    all.chain([("ct_flush".to_owned(), true.to_string())]).collect()
}

impl Feature {
    /// Its value in `dpif/show-dp-features`.
    pub fn shown(&self, datapath: &Datapath) -> String {
        match self.how {
            How::Is(true) => "Yes".into(),
            How::Is(false) => "No".into(),
            How::Count(_) | How::VlanLimit => self.stored(datapath),
        }
    }

    /// Its value in the database.
    pub fn stored(&self, datapath: &Datapath) -> String {
        match self.how {
            How::Is(is) => is.to_string(),
            How::Count(count) if self.key == "sample_nesting" => (count > 0).to_string(),
            How::Count(count) => count.to_string(),
            How::VlanLimit => datapath.config().vlan_limit.to_string(),
        }
    }
}
