//! The difference between the interfaces that a bridge has and those that it is to have. Pure.
//!
//! # Numbers
//!
//! An interface that asks for another number than it has is closed and opened again, and so is one that sits on a number
//! that another asks for, unless it asked for that number itself. Those that ask are opened before those that do not, so
//! that nobody takes their number.

use std::collections::{BTreeMap, BTreeSet};

use super::spec::{InterfaceKind, InterfaceSpec};

/// An interface that is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Present<'a> {
    pub(super) spec: &'a InterfaceSpec,
    pub(super) ofport: u16,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InterfaceDiff {
    /// To be closed, and the device of ours behind it removed.
    pub(super) delete: BTreeSet<String>,
    /// To be closed; it is opened again.
    pub(super) close: BTreeSet<String>,
    /// To be opened, in this order.
    pub(super) open: Vec<String>,
}

impl InterfaceDiff {
    /// Works it out.
    pub(super) fn between(
        actual: &BTreeMap<&str, Present<'_>>,
        desired: &BTreeMap<String, InterfaceSpec>,
    ) -> Self {
        let mut diff = Self::default();
        for (&name, present) in actual {
            match desired.get(name) {
                None => drop(diff.delete.insert(name.to_owned())),
                Some(spec) if !same_device(present.spec, spec) => drop(diff.delete.insert(name.to_owned())),
                Some(spec) if present.spec.n_rxq != spec.n_rxq => drop(diff.close.insert(name.to_owned())),
                Some(_) => {}
            }
        }
        diff.renumber(actual, desired);
        let gone = |name: &str| diff.delete.contains(name) || diff.close.contains(name);
        let mut open: Vec<&InterfaceSpec> = desired
            .values()
            .filter(|spec| !actual.contains_key(spec.name.as_str()) || gone(&spec.name))
            .collect();
        open.sort_by_key(|spec| {
            (spec.kind != InterfaceKind::Local, spec.ofport_request.is_none(), spec.name.as_str())
        });
        diff.open = open.into_iter().map(|spec| spec.name.clone()).collect();
        diff
    }

    fn renumber(&mut self, actual: &BTreeMap<&str, Present<'_>>, desired: &BTreeMap<String, InterfaceSpec>) {
        let holders: BTreeMap<u16, &str> =
            actual.iter().map(|(&name, present)| (present.ofport, name)).collect();
        for (name, spec) in desired {
            let Some(request) = spec.ofport_request.filter(|_| spec.kind != InterfaceKind::Local) else {
                continue;
            };
            if actual.get(name.as_str()).is_some_and(|present| present.ofport == request) {
                continue;
            }
            let holder = holders.get(&request).copied();
            let entitled = holder
                .and_then(|holder| desired.get(holder))
                .is_some_and(|other| other.ofport_request == Some(request));
            if entitled {
                continue;
            }
            let movers =
                holder.into_iter().chain(actual.contains_key(name.as_str()).then_some(name.as_str()));
            self.close.extend(movers.filter(|mover| !self.delete.contains(*mover)).map(str::to_owned));
        }
    }
}

/// Whether what is there serves for what is wanted, settings apart.
fn same_device(there: &InterfaceSpec, wanted: &InterfaceSpec) -> bool {
    match (&there.kind, &wanted.kind) {
        (InterfaceKind::Patch { .. }, InterfaceKind::Patch { .. }) => true,
        (there, wanted) => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ovsdb::value::Uuid;

    fn spec(name: &str, kind: InterfaceKind, ofport_request: Option<u16>) -> InterfaceSpec {
        let name = name.to_owned();
        InterfaceSpec {
            uuid: Uuid::default(),
            name,
            kind,
            ofport_request,
            mac: None,
            mtu_request: None,
            n_rxq: None,
        }
    }

    fn system(name: &str, request: Option<u16>) -> InterfaceSpec {
        spec(name, InterfaceKind::System, request)
    }

    fn between(actual: &[(InterfaceSpec, u16)], desired: &[InterfaceSpec]) -> InterfaceDiff {
        let actual = actual
            .iter()
            .map(|(spec, ofport)| (spec.name.as_str(), Present { spec, ofport: *ofport }))
            .collect();
        InterfaceDiff::between(
            &actual,
            &desired.iter().map(|spec| (spec.name.clone(), spec.clone())).collect(),
        )
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn nothing_changes_nothing() {
        let port = system("p0", Some(5));
        assert_eq!(between(&[(port.clone(), 5)], &[port]), InterfaceDiff::default());
    }

    #[test]
    fn the_local_port_is_first_and_then_those_that_ask() {
        let wanted = [system("a", None), system("z", Some(9)), spec("m", InterfaceKind::Local, None)];
        assert_eq!(between(&[], &wanted).open, ["m", "z", "a"]);
    }

    #[test]
    fn another_kind_is_another_device_but_another_peer_is_not() {
        let patch = |peer: &str| spec("p", InterfaceKind::Patch { peer: peer.into() }, None);
        assert_eq!(between(&[(patch("a"), 1)], &[patch("b")]), InterfaceDiff::default());
        let diff = between(&[(patch("a"), 1), (system("q", None), 2)], &[system("p", None)]);
        assert_eq!((diff.delete, diff.open), (names(&["p", "q"]), vec!["p".to_owned()]));
    }

    #[test]
    fn whoever_asks_for_a_number_moves_and_makes_its_holder_move() {
        let actual = [(system("a", None), 1), (system("b", None), 2)];
        let diff = between(&actual, &[system("a", Some(2)), system("b", None)]);
        assert_eq!((diff.close, diff.open), (names(&["a", "b"]), vec!["a".to_owned(), "b".to_owned()]));
        let diff = between(&actual, &[system("a", None), system("b", None), system("c", Some(1))]);
        assert_eq!((diff.close, diff.open), (names(&["a"]), vec!["c".to_owned(), "a".to_owned()]));
    }

    #[test]
    fn a_holder_that_asked_itself_stays() {
        let actual = [(system("a", Some(5)), 5), (system("b", None), 2)];
        let diff = between(&actual, &[system("a", Some(5)), system("b", Some(5))]);
        assert_eq!(diff, InterfaceDiff::default());
    }
}
