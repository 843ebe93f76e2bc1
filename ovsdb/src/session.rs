//! The conversation with one database server: bytes in, bytes out, no I/O and no clock.
//!
//! # The way of a conversation
//!
//! ```text
//! connected ─▶ get_schema ─▶ lock + monitor_cond_since ─▶ live: updates, transactions, echoes
//!                                 │ unknown method
//!                                 ▼
//!                            monitor_cond ─▶ (unknown) ─▶ monitor
//! ```
//!
//! What was learned stays when the connection breaks: the last snapshot serves until the next conversation has a newer
//! one. Where the server remembers the transaction up to which we know the database, it sends only what came after.
//!
//! The lock is asked for and waited for, never stolen. Every transaction asserts it.

use std::collections::BTreeSet;
use std::mem;

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::jsonrpc::{FrameError, Framer, Message, MessageError};
use crate::schema::{Schema, SchemaError};
use crate::snapshot::{Snapshot, UpdateError, WantedTables};
use crate::transaction::{Outcome, Transaction};

/// Longest message taken from the server: a whole database comes in one.
const MAX_MESSAGE: usize = 1 << 30;

/// The transaction id that no transaction has: "send everything".
const NO_TRANSACTION: &str = "00000000-0000-0000-0000-000000000000";

/// Why a conversation cannot go on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SessionError {
    /// the stream is no sequence of JSON texts
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// a text is no JSON-RPC message
    #[error(transparent)]
    Message(#[from] MessageError),
    /// the schema cannot be read
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// an update cannot be applied
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// the server refused what we cannot do without
    #[error("{method} failed: {error}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// The server's words.
        error: String,
    },
}

/// Names a transaction until its outcome is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId(u64);

/// Which of the monitor methods, from the best.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    CondSince,
    Cond,
    Plain,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::CondSince => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::CondSince => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// What the conversation waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Down,
    Schema { id: u64 },
    Monitor { id: u64, method: Method },
    Live,
}

/// Who has the lock, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Not asked for yet in this conversation, or no conversation.
    Unknown,
    /// We have.
    Held,
    /// Another client has.
    Contended,
}

/// The state of the conversation, and what is known from it.
#[derive(Debug)]
pub struct Session {
    database: &'static str,
    lock_name: &'static str,
    wanted: WantedTables,
    framer: Framer,
    output: Vec<u8>,
    next_id: u64,
    phase: Phase,
    lock: Lock,
    lock_id: u64,
    /// The shape for the monitor in progress, from this conversation's schema.
    shape: Option<Snapshot>,
    snapshot: Option<Snapshot>,
    last_transaction: Option<String>,
    seqno: u64,
    in_flight: BTreeSet<TransactionId>,
    outcomes: Vec<(TransactionId, Outcome)>,
}

impl Session {
    /// A session that has not begun, for these tables of `database`, and the lock of that name.
    pub fn new(database: &'static str, lock_name: &'static str, wanted: WantedTables) -> Self {
        Self {
            database,
            lock_name,
            wanted,
            framer: Framer::new(MAX_MESSAGE),
            output: Vec::new(),
            next_id: 1,
            phase: Phase::Down,
            lock: Lock::Unknown,
            lock_id: 0,
            shape: None,
            snapshot: None,
            last_transaction: None,
            seqno: 0,
            in_flight: BTreeSet::new(),
            outcomes: Vec::new(),
        }
    }

    /// Begins a conversation on a fresh connection.
    pub fn connected(&mut self) {
        self.disconnected();
        let id = self.request("get_schema", vec![json!(self.database)]);
        self.phase = Phase::Schema { id };
    }

    /// The connection is gone. What is known stays; transactions in flight are [`Outcome::Lost`].
    pub fn disconnected(&mut self) {
        self.framer = Framer::new(MAX_MESSAGE);
        self.output.clear();
        self.phase = Phase::Down;
        self.lock = Lock::Unknown;
        self.outcomes.extend(mem::take(&mut self.in_flight).into_iter().map(|id| (id, Outcome::Lost)));
    }

    /// Takes bytes from the server.
    ///
    /// # Errors
    ///
    /// The conversation cannot go on; the caller drops the connection and calls [`disconnected`](Self::disconnected).
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        self.framer.push(bytes);
        while let Some(value) = self.framer.next_value()? {
            self.message(Message::from_value(value)?)?;
        }
        Ok(())
    }

    /// Bytes for the server; the caller takes away what it has sent.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Asks the server for a sign of life.
    pub fn send_echo(&mut self) {
        self.send(&Message::Request { method: "echo".into(), params: Vec::new(), id: json!("echo") });
    }

    /// The database as last known, also while there is no connection; `None` before the first time.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Grows whenever a monitored column changes that is not ours to write.
    pub fn seqno(&self) -> u64 {
        self.seqno
    }

    /// Whether the snapshot follows the server now.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    /// Who has the lock.
    pub fn lock(&self) -> Lock {
        self.lock
    }

    /// Sends a transaction.
    pub fn transact(&mut self, transaction: &Transaction) -> TransactionId {
        let params = transaction.params(self.database, Some(self.lock_name));
        let id = TransactionId(self.request("transact", params));
        self.in_flight.insert(id);
        id
    }

    /// How transactions ended since the last call.
    pub fn take_outcomes(&mut self) -> Vec<(TransactionId, Outcome)> {
        mem::take(&mut self.outcomes)
    }

    fn message(&mut self, message: Message) -> Result<(), SessionError> {
        match message {
            Message::Request { method, params, id } if method == "echo" => {
                self.send(&Message::Reply { result: Value::Array(params), id });
            }
            Message::Request { id, .. } => {
                self.send(&Message::Error { error: json!({"error": "unknown method"}), id });
            }
            Message::Notification { method, params } => self.notification(&method, &params)?,
            Message::Reply { result, id } => self.reply(id.as_u64(), Ok(result))?,
            Message::Error { error, id } => self.reply(id.as_u64(), Err(error))?,
        }
        Ok(())
    }

    fn notification(&mut self, method: &str, params: &[Value]) -> Result<(), SessionError> {
        match (method, params) {
            ("update", [_, updates]) => self.update(|snapshot| snapshot.apply_v1(updates)),
            ("update2", [_, updates]) => self.update(|snapshot| snapshot.apply_v2(updates)),
            ("update3", [_, transaction, updates]) => {
                self.update(|snapshot| snapshot.apply_v2(updates))?;
                self.last_transaction = transaction.as_str().map(str::to_owned);
                Ok(())
            }
            ("locked", [name]) if name == self.lock_name => {
                self.set_lock(Lock::Held);
                Ok(())
            }
            ("stolen", [name]) if name == self.lock_name => {
                self.set_lock(Lock::Contended);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn set_lock(&mut self, lock: Lock) {
        self.lock = lock;
        self.seqno += 1;
    }

    fn update(
        &mut self,
        apply: impl FnOnce(&mut Snapshot) -> Result<bool, UpdateError>,
    ) -> Result<(), SessionError> {
        let Some(snapshot) = self.snapshot.as_mut() else { return Ok(()) };
        match apply(snapshot) {
            Ok(changed) => self.seqno += u64::from(changed),
            Err(error) => {
                // Half applied: the next conversation has to begin from nothing.
                self.last_transaction = None;
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn reply(&mut self, id: Option<u64>, answer: Result<Value, Value>) -> Result<(), SessionError> {
        let Some(id) = id else { return Ok(()) };
        match self.phase {
            Phase::Schema { id: waiting } if waiting == id => return self.schema(answer),
            Phase::Monitor { id: waiting, method } if waiting == id => return self.monitored(method, answer),
            _ => {}
        }
        if id == self.lock_id {
            let locked = answer.as_ref().is_ok_and(|result| result["locked"] == true);
            self.set_lock(if locked { Lock::Held } else { Lock::Contended });
        } else if self.in_flight.remove(&TransactionId(id)) {
            let outcome = match answer {
                Ok(result) => Outcome::from_result(&result),
                Err(error) => Outcome::Refused(words(&error)),
            };
            self.outcomes.push((TransactionId(id), outcome));
        }
        Ok(())
    }

    fn schema(&mut self, answer: Result<Value, Value>) -> Result<(), SessionError> {
        let schema = answer.map_err(|error| refused("get_schema", &error))?;
        let shape = Snapshot::new(&self.wanted, &Schema::from_json(&schema)?);
        if !self.snapshot.as_ref().is_some_and(|snapshot| snapshot.same_shape(&shape)) {
            self.last_transaction = None;
        }
        self.shape = Some(shape);
        self.lock_id = self.request("lock", vec![json!(self.lock_name)]);
        self.monitor(Method::CondSince);
        Ok(())
    }

    fn monitor(&mut self, method: Method) {
        let tables: Map<String, Value> = self
            .shape
            .iter()
            .flat_map(Snapshot::columns)
            .map(|(table, columns)| (table.to_owned(), json!([{"columns": columns}])))
            .collect();
        let mut params = vec![json!(self.database), json!(["monid", self.database]), Value::Object(tables)];
        if method == Method::CondSince {
            params.push(json!(self.last_transaction.as_deref().unwrap_or(NO_TRANSACTION)));
        }
        let id = self.request(method.name(), params);
        self.phase = Phase::Monitor { id, method };
    }

    fn monitored(&mut self, method: Method, answer: Result<Value, Value>) -> Result<(), SessionError> {
        let result = match (answer, method.next()) {
            (Ok(result), _) => result,
            (Err(error), Some(next)) if words(&error).contains("unknown method") => {
                self.monitor(next);
                return Ok(());
            }
            (Err(error), _) => return Err(refused(method.name(), &error)),
        };
        match (method, result.as_array().map(Vec::as_slice)) {
            (Method::CondSince, Some([found, transaction, updates])) => {
                if found == true {
                    self.update(|snapshot| snapshot.apply_v2(updates))?;
                } else {
                    self.begin(|snapshot| snapshot.apply_v2(updates))?;
                }
                self.last_transaction = transaction.as_str().map(str::to_owned);
            }
            (Method::CondSince, _) => return Err(UpdateError::Malformed("reply is no triple").into()),
            (Method::Cond, _) => self.begin(|snapshot| snapshot.apply_v2(&result))?,
            (Method::Plain, _) => self.begin(|snapshot| snapshot.apply_v1(&result))?,
        }
        self.phase = Phase::Live;
        Ok(())
    }

    /// Puts a whole new snapshot in the place of the last.
    fn begin(
        &mut self,
        apply: impl FnOnce(&mut Snapshot) -> Result<bool, UpdateError>,
    ) -> Result<(), SessionError> {
        self.last_transaction = None;
        if let Some(mut fresh) = self.shape.take() {
            apply(&mut fresh)?;
            self.snapshot = Some(fresh);
            self.seqno += 1;
        }
        Ok(())
    }

    fn request(&mut self, method: &str, params: Vec<Value>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&Message::Request { method: method.to_owned(), params, id: json!(id) });
        id
    }

    fn send(&mut self, message: &Message) {
        self.output.extend(message.to_bytes());
    }
}

fn refused(method: &'static str, error: &Value) -> SessionError {
    SessionError::Refused { method, error: words(error) }
}

/// An error's text, be it a string or an object as RFC 7047 has it.
fn words(error: &Value) -> String {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    match (error.as_str(), text("error"), text("details")) {
        (Some(text), _, _) => text.to_owned(),
        (None, Some(error), Some(details)) => format!("{error}: {details}"),
        (None, Some(error), None) => error.to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
