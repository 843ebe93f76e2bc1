//! Values as OVSDB knows them (RFC 7047 sections 3.2 and 5.1): atoms, and sets and maps of them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde_json::{Value, json};
use thiserror::Error;

use crate::schema::{AtomType, ColumnType};

/// A value that does not fit the type of its column.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ValueError {
    /// an atom of another type, or none at all
    #[error("{found} is not of type {expected}")]
    Atom {
        /// What the column holds.
        expected: AtomType,
        /// The JSON text that came.
        found: String,
    },
    /// neither an atom nor `["set", [...]]` nor `["map", [...]]`, as the column asks for
    #[error("{found} is not a {expected}")]
    Shape {
        /// "set" or "map".
        expected: &'static str,
        /// The JSON text that came.
        found: String,
    },
}

/// The name of a row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// From its 16 bytes, in the order in which they are written.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl FromStr for Uuid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bad = || ValueError::Atom { expected: AtomType::Uuid, found: text.to_owned() };
        let groups: Vec<&str> = text.split('-').collect();
        if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
            return Err(bad());
        }
        let digits = groups.concat();
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
            let nibble = |digit: u8| char::from(digit).to_digit(16).ok_or_else(bad);
            *byte = (nibble(pair[0])? << 4 | nibble(pair[1])?) as u8;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One indivisible value.
#[derive(Clone, Debug)]
pub enum Atom {
    /// `integer`
    Integer(i64),
    /// `real`
    Real(f64),
    /// `boolean`
    Boolean(bool),
    /// `string`
    String(String),
    /// `uuid`
    Uuid(Uuid),
}

impl Atom {
    /// Reads an atom of the given type.
    ///
    /// # Errors
    ///
    /// The JSON value is of another type.
    pub fn from_json(kind: AtomType, value: &Value) -> Result<Self, ValueError> {
        let atom = match kind {
            AtomType::Integer => value.as_i64().map(Self::Integer),
            AtomType::Real => value.as_f64().map(Self::Real),
            AtomType::Boolean => value.as_bool().map(Self::Boolean),
            AtomType::String => value.as_str().map(|text| Self::String(text.to_owned())),
            AtomType::Uuid => match value.as_array().map(Vec::as_slice) {
                Some([Value::String(tag), Value::String(text)]) if tag == "uuid" => {
                    text.parse().ok().map(Self::Uuid)
                }
                _ => None,
            },
        };
        atom.ok_or_else(|| ValueError::Atom { expected: kind, found: value.to_string() })
    }

    /// The atom on the wire.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Integer(number) => json!(number),
            Self::Real(number) => json!(number),
            Self::Boolean(truth) => json!(truth),
            Self::String(text) => json!(text),
            Self::Uuid(uuid) => json!(["uuid", uuid.to_string()]),
        }
    }

    /// What a required column of this type holds when nothing was put there.
    pub fn default_of(kind: AtomType) -> Self {
        match kind {
            AtomType::Integer => Self::Integer(0),
            AtomType::Real => Self::Real(0.0),
            AtomType::Boolean => Self::Boolean(false),
            AtomType::String => Self::String(String::new()),
            AtomType::Uuid => Self::Uuid(Uuid::default()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Integer(_) => 0,
            Self::Real(_) => 1,
            Self::Boolean(_) => 2,
            Self::String(_) => 3,
            Self::Uuid(_) => 4,
        }
    }
}

impl Ord for Atom {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Uuid(a), Self::Uuid(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Atom {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Atom {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Atom {}

/// What a column of a row holds. A single value is a set of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Zero, one or many atoms.
    Set(BTreeSet<Atom>),
    /// Keys and their values.
    Map(BTreeMap<Atom, Atom>),
}

impl Datum {
    /// Reads a value for a column of the given type.
    ///
    /// # Errors
    ///
    /// The JSON value does not fit the type.
    pub fn from_json(kind: &ColumnType, value: &Value) -> Result<Self, ValueError> {
        match kind.value {
            None => Self::set_from_json(kind.key, value),
            Some(second) => Self::map_from_json(kind.key, second, value),
        }
    }

    fn set_from_json(kind: AtomType, value: &Value) -> Result<Self, ValueError> {
        let Some(members) = tagged("set", value) else {
            return Ok(Self::Set(BTreeSet::from([Atom::from_json(kind, value)?])));
        };
        members.iter().map(|member| Atom::from_json(kind, member)).collect::<Result<_, _>>().map(Self::Set)
    }

    fn map_from_json(first: AtomType, second: AtomType, value: &Value) -> Result<Self, ValueError> {
        let bad = || ValueError::Shape { expected: "map", found: value.to_string() };
        let pairs = tagged("map", value).ok_or_else(bad)?;
        let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([key, value]) => Ok((Atom::from_json(first, key)?, Atom::from_json(second, value)?)),
            _ => Err(bad()),
        };
        pairs.iter().map(pair).collect::<Result<_, _>>().map(Self::Map)
    }

    /// The value on the wire.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Set(atoms) if atoms.len() == 1 => atoms.first().map_or(Value::Null, Atom::to_json),
            Self::Set(atoms) => json!(["set", atoms.iter().map(Atom::to_json).collect::<Vec<_>>()]),
            Self::Map(pairs) => {
                let pairs: Vec<_> =
                    pairs.iter().map(|(key, value)| json!([key.to_json(), value.to_json()])).collect();
                json!(["map", pairs])
            }
        }
    }

    /// What a column of this type holds when nothing was put there.
    pub fn default_of(kind: &ColumnType) -> Self {
        match kind.value {
            Some(_) => Self::Map(BTreeMap::new()),
            None if kind.min == 0 => Self::Set(BTreeSet::new()),
            None => Self::Set(BTreeSet::from([Atom::default_of(kind.key)])),
        }
    }

    /// Changes this value by the difference that an `update2` or `update3` notification carries: a new value where the
    /// column holds at most one, else the atoms that come or go, or the pairs that come, go or change.
    pub fn apply_difference(&mut self, kind: &ColumnType, difference: Self) {
        match (self, difference) {
            (Self::Set(atoms), Self::Set(toggled)) if kind.max > 1 => {
                for atom in toggled {
                    if !atoms.remove(&atom) {
                        atoms.insert(atom);
                    }
                }
            }
            (Self::Map(pairs), Self::Map(changed)) if kind.max > 1 => {
                for (key, value) in changed {
                    if pairs.get(&key) == Some(&value) {
                        pairs.remove(&key);
                    } else {
                        pairs.insert(key, value);
                    }
                }
            }
            (whole, difference) => *whole = difference,
        }
    }
}

/// The members of `["set", [...]]` or `["map", [...]]`.
fn tagged<'a>(tag: &str, value: &'a Value) -> Option<&'a Vec<Value>> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(found), Value::Array(members)]) if found == tag => Some(members),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBERS: ColumnType = ColumnType { key: AtomType::Integer, value: None, min: 0, max: usize::MAX };
    const OPTION: ColumnType = ColumnType { key: AtomType::Integer, value: None, min: 0, max: 1 };
    const STRINGS: ColumnType =
        ColumnType { key: AtomType::String, value: Some(AtomType::String), min: 0, max: usize::MAX };

    fn datum(kind: &ColumnType, value: &Value) -> Datum {
        Datum::from_json(kind, value).unwrap()
    }

    #[test]
    fn uuids_read_and_print() {
        let text = "550e8400-e29b-41d4-a716-446655440000";
        assert_eq!(text.parse::<Uuid>().unwrap().to_string(), text);
        for bad in
            ["", "550e8400", "550e8400-e29b-41d4-a716-44665544000g", "550e8400e29b-41d4-a716-4466-55440000"]
        {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bare_atom_is_a_set_of_one() {
        assert_eq!(datum(&NUMBERS, &json!(5)), datum(&NUMBERS, &json!(["set", [5]])));
        assert_eq!(datum(&NUMBERS, &json!(["set", [5]])).to_json(), json!(5));
    }

    #[test]
    fn values_of_another_type_are_refused() {
        assert!(Datum::from_json(&NUMBERS, &json!("5")).is_err());
        assert!(Datum::from_json(&NUMBERS, &json!(["set", ["x"]])).is_err());
        assert!(Datum::from_json(&STRINGS, &json!(["set", []])).is_err());
        assert!(Datum::from_json(&STRINGS, &json!(["map", [["a"]]])).is_err());
    }

    #[test]
    fn differences_toggle_sets_and_pairs_but_replace_single_values() {
        let mut numbers = datum(&NUMBERS, &json!(["set", [1, 2]]));
        numbers.apply_difference(&NUMBERS, datum(&NUMBERS, &json!(["set", [2, 3]])));
        assert_eq!(numbers.to_json(), json!(["set", [1, 3]]));

        let mut map = datum(&STRINGS, &json!(["map", [["a", "1"], ["b", "2"]]]));
        map.apply_difference(
            &STRINGS,
            datum(&STRINGS, &json!(["map", [["a", "1"], ["b", "3"], ["c", "4"]]])),
        );
        assert_eq!(map.to_json(), json!(["map", [["b", "3"], ["c", "4"]]]));

        let mut option = datum(&OPTION, &json!(7));
        option.apply_difference(&OPTION, datum(&OPTION, &json!(7)));
        assert_eq!(option.to_json(), json!(7));
        option.apply_difference(&OPTION, datum(&OPTION, &json!(["set", []])));
        assert_eq!(option.to_json(), json!(["set", []]));
    }

    proptest! {
        #[test]
        fn sets_and_maps_survive_the_wire(
            numbers in prop::collection::btree_set(any::<i64>(), 0..5),
            pairs in prop::collection::btree_map(".{0,6}", ".{0,6}", 0..5),
        ) {
            let set = Datum::Set(numbers.into_iter().map(Atom::Integer).collect());
            prop_assert_eq!(&datum(&NUMBERS, &set.to_json()), &set);
            let map = Datum::Map(pairs.into_iter().map(|(k, v)| (Atom::String(k), Atom::String(v))).collect());
            prop_assert_eq!(&datum(&STRINGS, &map.to_json()), &map);
        }
    }
}
