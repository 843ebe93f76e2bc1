//! The record of a translation, for `ofproto/trace`: a tree of what was looked up, done and found out.

use conntrack::request::Nat;
use openflow::OfPort;
use packet::FlowKey;

use crate::state::BridgeState;

/// What a node of the tree is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A bridge that the packet enters.
    Bridge,
    /// A rule of a table, or what stands in for one.
    Table,
    /// Where a recirculated packet goes on.
    Thaw,
    /// An action.
    Action,
    /// Something worth knowing about the last action.
    Detail,
    /// Something that is likely to be wrong.
    Warn,
    /// Something that is wrong.
    Error,
}

impl Kind {
    /// Whether nothing stands below it, so that it is indented against its parent.
    fn is_leaf(self) -> bool {
        matches!(self, Self::Action | Self::Detail | Self::Warn | Self::Error)
    }
}

#[derive(Debug)]
struct Node {
    kind: Kind,
    text: String,
    below: Vec<usize>,
}

/// A packet that was sent round through the connection tracker, to be traced further.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) id: u32,
    /// The key when it was sent, in terms of OpenFlow ports.
    pub(crate) flow: FlowKey,
    pub(crate) tracking: Tracking,
}

/// What the connection tracker was asked.
#[derive(Clone, Debug)]
pub(crate) struct Tracking {
    pub(crate) zone: u16,
    pub(crate) nat: Option<Nat>,
}

/// A tree in the making. New nodes go below the current one.
#[derive(Debug)]
pub(crate) struct Tracer {
    nodes: Vec<Node>,
    current: usize,
    /// Whether ports are shown by name.
    pub(crate) names: bool,
    /// What is still to be traced.
    pub(crate) rounds: Vec<Round>,
}

/// A place in the tree to come back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(usize);

impl Default for Tracer {
    fn default() -> Self {
        let root = Node { kind: Kind::Bridge, text: String::new(), below: Vec::new() };
        Self { nodes: vec![root], current: 0, names: false, rounds: Vec::new() }
    }
}

impl Tracer {
    /// Adds a node.
    pub(crate) fn add(&mut self, kind: Kind, text: String) -> Place {
        let index = self.nodes.len();
        self.nodes.push(Node { kind, text, below: Vec::new() });
        self.nodes[self.current].below.push(index);
        Place(index)
    }

    /// Where new nodes go now.
    pub(crate) fn place(&self) -> Place {
        Place(self.current)
    }

    /// Has new nodes go below `place`.
    pub(crate) fn go(&mut self, place: Place) {
        self.current = place.0;
    }

    /// The tree as text, as Open vSwitch prints it.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        self.render_below(0, 0, &mut out);
        out
    }

    fn render_below(&self, index: usize, level: usize, out: &mut String) {
        let below = &self.nodes[index].below;
        for (i, child) in below.iter().enumerate() {
            let node = &self.nodes[*child];
            let more = usize::from(i + 1 < below.len() || node.kind.is_leaf());
            let indent = " ".repeat((level + more) * 4);
            let text = &node.text;
            out.push_str(&match node.kind {
                Kind::Bridge => format!("\n{indent}{text}\n{indent}{}\n", "-".repeat(text.len())),
                Kind::Detail => format!("{indent} -> {text}\n"),
                Kind::Warn => format!("{indent} >> {text}\n"),
                Kind::Error => format!("{indent} >>>> {text} <<<<\n"),
                Kind::Table | Kind::Thaw | Kind::Action => format!("{indent}{text}\n"),
            });
            self.render_below(*child, level + more + more, out);
        }
    }
}

/// A text in which the numbers of ports are replaced by their names.
pub(crate) fn name_ports(text: &str, bridge: &BridgeState) -> String {
    let mut out = text.to_owned();
    for label in ["in_port=", "output:", "port="] {
        let mut parts = out.split(label);
        let mut named = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, rest) = part.split_at(end);
            let port = number.parse().ok().and_then(|number| bridge.ports.get(&OfPort(number)));
            named.push_str(label);
            named.push_str(port.map_or(number, |port| port.name.as_str()));
            named.push_str(rest);
        }
        out = named;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_at_the_end_are_not_indented() {
        let mut t = Tracer::default();
        let bridge = t.add(Kind::Bridge, "bridge(\"br0\")".into());
        t.go(bridge);
        let table0 = t.add(Kind::Table, " 0. priority 1".into());
        t.go(table0);
        t.add(Kind::Action, "resubmit(,1)".into());
        let table1 = t.add(Kind::Table, " 1. priority 2".into());
        t.go(table1);
        t.add(Kind::Action, "NORMAL".into());
        t.add(Kind::Detail, "flooding".into());
        let expect = "\nbridge(\"br0\")\n-------------\n 0. priority 1\n    resubmit(,1)\n 1. priority 2\n    NORMAL\n     -> flooding\n";
        assert_eq!(t.render(), expect);
        t.go(table0);
        t.add(Kind::Action, "output:1".into());
        assert!(t.render().contains("    resubmit(,1)\n     1. priority 2\n            NORMAL\n             -> flooding\n    output:1\n"));
    }
}
