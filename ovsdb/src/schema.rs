//! The server's idea of its database (RFC 7047 section 3.2), as far as a client needs it: tables, columns, types.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use thiserror::Error;

/// A schema that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SchemaError {
    /// a member is missing or of the wrong kind
    #[error("schema: {0}")]
    Malformed(String),
}

/// The type of an atom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtomType {
    /// 64-bit signed integer
    Integer,
    /// 64-bit floating point
    Real,
    /// truth value
    Boolean,
    /// Unicode text
    String,
    /// name of a row
    Uuid,
}

impl fmt::Display for AtomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Uuid => "uuid",
        })
    }
}

/// The type of a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ColumnType {
    /// Of the atoms of a set, or the keys of a map.
    pub key: AtomType,
    /// Of the values of a map.
    pub value: Option<AtomType>,
    /// Fewest atoms or pairs: 0 or 1.
    pub min: usize,
    /// Most atoms or pairs; `usize::MAX` for any number.
    pub max: usize,
}

/// Tables and the types of their columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// The version, three numbers with dots between.
    pub version: String,
    /// By name of table, then of column.
    pub tables: BTreeMap<String, BTreeMap<String, ColumnType>>,
}

impl Schema {
    /// Reads the answer to `get_schema`. A column whose type is not understood is left out, as if the server had none:
    /// it belongs to a schema newer than this client.
    ///
    /// # Errors
    ///
    /// It has not the shape of a schema.
    pub fn from_json(value: &Value) -> Result<Self, SchemaError> {
        let version = value["version"].as_str().unwrap_or_default().to_owned();
        let tables = members(value, "tables")?.iter().map(|(table, body)| {
            let columns = members(body, "columns")?.iter();
            let known = columns
                .filter_map(|(column, body)| Some((column.clone(), ColumnType::from_json(&body["type"])?)));
            Ok((table.clone(), known.collect()))
        });
        Ok(Self { version, tables: tables.collect::<Result<_, SchemaError>>()? })
    }

    /// Whether the server knows this column.
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.contains_key(column))
    }
}

impl ColumnType {
    fn from_json(value: &Value) -> Option<Self> {
        if let Some(name) = value.as_str() {
            return Some(Self { key: atom_type(name)?, value: None, min: 1, max: 1 });
        }
        let second = match value.get("value") {
            Some(second) => Some(base_type(second)?),
            None => None,
        };
        let max = match value.get("max") {
            None => 1,
            Some(Value::String(text)) if text == "unlimited" => usize::MAX,
            Some(number) => usize::try_from(number.as_u64()?).ok()?,
        };
        let min = value.get("min").map_or(Some(1), Value::as_u64)?;
        Some(Self { key: base_type(value.get("key")?)?, value: second, min: usize::try_from(min).ok()?, max })
    }
}

/// `"string"` or `{"type": "string", ...}`.
fn base_type(value: &Value) -> Option<AtomType> {
    atom_type(value.as_str().or_else(|| value["type"].as_str())?)
}

fn atom_type(name: &str) -> Option<AtomType> {
    Some(match name {
        "integer" => AtomType::Integer,
        "real" => AtomType::Real,
        "boolean" => AtomType::Boolean,
        "string" => AtomType::String,
        "uuid" => AtomType::Uuid,
        _ => return None,
    })
}

fn members<'a>(value: &'a Value, name: &str) -> Result<&'a serde_json::Map<String, Value>, SchemaError> {
    value[name].as_object().ok_or_else(|| SchemaError::Malformed(format!("\"{name}\" is not an object")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(value: &Value) -> Option<ColumnType> {
        ColumnType::from_json(value)
    }

    #[test]
    fn types_in_all_their_spellings() {
        let single = ColumnType { key: AtomType::String, value: None, min: 1, max: 1 };
        assert_eq!(kind(&json!("string")), Some(single));
        assert_eq!(kind(&json!({"key": {"type": "string", "enum": ["set", ["a"]]}})), Some(single));
        assert_eq!(
            kind(
                &json!({"key": "integer", "value": {"type": "uuid", "refTable": "Queue"}, "min": 0, "max": "unlimited"})
            ),
            Some(ColumnType { key: AtomType::Integer, value: Some(AtomType::Uuid), min: 0, max: usize::MAX })
        );
        assert_eq!(kind(&json!("complex")), None);
        assert_eq!(kind(&json!({"key": "string", "max": -1})), None);
    }

    #[test]
    fn a_schema_is_read_and_asked() {
        let text = json!({"name": "Open_vSwitch", "version": "8.3.1", "tables": {
            "Bridge": {"columns": {"name": {"type": "string", "mutable": false}}}}});
        let schema = Schema::from_json(&text).unwrap();
        assert_eq!(schema.version, "8.3.1");
        assert!(
            schema.has("Bridge", "name") && !schema.has("Bridge", "status") && !schema.has("Port", "name")
        );
    }

    #[test]
    fn columns_of_unknown_type_are_left_out() {
        let text =
            json!({"tables": {"Bridge": {"columns": {"name": {"type": "string"}, "odd": {"type": "text"}}}}});
        let schema = Schema::from_json(&text).unwrap();
        assert!(schema.has("Bridge", "name") && !schema.has("Bridge", "odd"));
    }

    #[test]
    fn an_unreadable_schema_is_an_error() {
        assert!(Schema::from_json(&json!([])).is_err());
        assert!(Schema::from_json(&json!({"tables": {"Bridge": {"columns": []}}})).is_err());
    }
}
