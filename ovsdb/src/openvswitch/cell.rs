//! From the cells of a row to Rust's types.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::snapshot::Row;
use crate::value::{Atom, Datum, Uuid};

/// A cell that does not hold what its column should.
#[derive(Debug, Error, PartialEq, Eq, Clone)]
#[error("table {table}, row {row}, column {column}: unexpected value {found}")]
pub struct CellError {
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: Uuid,
    /// The column.
    pub column: &'static str,
    /// What it holds, as JSON.
    pub found: String,
}

/// A type that one atom makes.
pub(crate) trait FromAtom: Sized {
    fn from_atom(atom: &Atom) -> Option<Self>;
}

macro_rules! from_atom {
    ($($type:ty = $variant:ident),*) => {$(
        impl FromAtom for $type {
            fn from_atom(atom: &Atom) -> Option<Self> {
                match atom {
                    Atom::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
        }
    )*};
}

from_atom!(i64 = Integer, bool = Boolean, String = String, Uuid = Uuid);

/// A type that a cell makes.
pub(crate) trait FromDatum: Sized {
    fn from_datum(datum: &Datum) -> Option<Self>;
}

macro_rules! single {
    ($($type:ty),*) => {$(
        impl FromDatum for $type {
            fn from_datum(datum: &Datum) -> Option<Self> {
                Option::<Self>::from_datum(datum)?
            }
        }
    )*};
}

single!(i64, bool, String);

impl<T: FromAtom> FromDatum for Option<T> {
    fn from_datum(datum: &Datum) -> Option<Self> {
        match datum {
            Datum::Set(atoms) if atoms.len() <= 1 => match atoms.first() {
                Some(atom) => T::from_atom(atom).map(Some),
                None => Some(None),
            },
            _ => None,
        }
    }
}

impl<T: FromAtom> FromDatum for Vec<T> {
    fn from_datum(datum: &Datum) -> Option<Self> {
        let Datum::Set(atoms) = datum else { return None };
        atoms.iter().map(T::from_atom).collect()
    }
}

impl<K: FromAtom + Ord, V: FromAtom> FromDatum for BTreeMap<K, V> {
    fn from_datum(datum: &Datum) -> Option<Self> {
        let Datum::Map(pairs) = datum else { return None };
        pairs.iter().map(|(key, value)| Some((K::from_atom(key)?, V::from_atom(value)?))).collect()
    }
}

/// Reads one cell; what it should not hold is noted and reads as the default.
pub(crate) fn read<T: FromDatum + Default>(
    row: Row<'_>,
    table: &'static str,
    column: &'static str,
    errors: &mut Vec<CellError>,
) -> T {
    let Some(datum) = row.cell(column) else { return T::default() };
    T::from_datum(datum).unwrap_or_else(|| {
        errors.push(CellError { table, row: row.uuid, column, found: datum.to_json().to_string() });
        T::default()
    })
}
