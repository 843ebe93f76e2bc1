//! Changes to be made together.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::value::{Datum, Uuid};

/// Updates of rows, gathered by row, that take effect together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transaction {
    updates: BTreeMap<(&'static str, Uuid), Map<String, Value>>,
    comment: Option<String>,
}

impl Transaction {
    /// Sets one column of one row. A row that is gone when the server gets here is passed over by it.
    pub fn set(&mut self, table: &'static str, row: Uuid, column: &str, value: &Datum) {
        self.updates.entry((table, row)).or_default().insert(column.to_owned(), value.to_json());
    }

    /// A remark for the server's log.
    pub fn comment(&mut self, text: &str) {
        self.comment = Some(text.to_owned());
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty()
    }

    /// Number of rows touched.
    pub fn len(&self) -> usize {
        self.updates.len()
    }

    /// The parameters of `transact` (RFC 7047 section 4.1.3), refused by the server unless the lock is held.
    pub(crate) fn params(&self, database: &str, lock: Option<&str>) -> Vec<Value> {
        let mut params = vec![json!(database)];
        params.extend(lock.map(|lock| json!({"op": "assert", "lock": lock})));
        params.extend(self.updates.iter().map(|((table, row), columns)| {
            let this_row = json!(["_uuid", "==", ["uuid", row.to_string()]]);
            json!({"op": "update", "table": table, "where": [this_row], "row": columns})
        }));
        params.extend(self.comment.as_ref().map(|comment| json!({"op": "comment", "comment": comment})));
        params
    }
}

/// How a transaction ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Made; the copy of the database shows it.
    Committed,
    /// Refused: nothing of it was done. The server's words.
    Refused(String),
    /// The connection broke first: whether it was made is not known.
    Lost,
}

impl Outcome {
    /// From the reply to `transact`: one result per operation, the first that has an error is the cause.
    pub(crate) fn from_result(result: &Value) -> Self {
        let Some(results) = result.as_array() else {
            return Self::Refused(format!("unexpected reply {result}"));
        };
        let cause = results.iter().find_map(|result| {
            let error = result.get("error")?.as_str()?;
            let details = result.get("details").and_then(Value::as_str);
            Some(details.map_or_else(|| error.to_owned(), |details| format!("{error}: {details}")))
        });
        cause.map_or(Self::Committed, Self::Refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Atom;
    use std::collections::BTreeSet;

    #[test]
    fn columns_of_one_row_go_into_one_update() {
        let mut transaction = Transaction::default();
        let row = Uuid::from_bytes([1; 16]);
        let one = Datum::Set(BTreeSet::from([Atom::Integer(1)]));
        transaction.set("Interface", row, "ofport", &one);
        transaction.set("Interface", row, "mtu", &one);
        assert_eq!(transaction.len(), 1);
        let params = transaction.params("Open_vSwitch", Some("ovs_vswitchd"));
        assert_eq!(params[1], json!({"op": "assert", "lock": "ovs_vswitchd"}));
        assert_eq!(params[2]["row"], json!({"mtu": 1, "ofport": 1}));
        assert_eq!(params[2]["where"], json!([["_uuid", "==", ["uuid", row.to_string()]]]));
    }

    #[test]
    fn the_first_error_is_the_outcome() {
        assert_eq!(Outcome::from_result(&json!([{}, {"count": 1}])), Outcome::Committed);
        let refused = json!([{}, {"error": "not owner", "details": "lock"}, null]);
        assert_eq!(Outcome::from_result(&refused), Outcome::Refused("not owner: lock".into()));
        assert!(matches!(Outcome::from_result(&json!({})), Outcome::Refused(_)));
    }
}
