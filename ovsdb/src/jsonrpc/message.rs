//! The four kinds of JSON-RPC message.

use serde_json::{Value, json};
use thiserror::Error;

/// A JSON text that is no JSON-RPC message.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MessageError {
    /// it is no object
    #[error("message is not a JSON object")]
    NotObject,
    /// `method` is no string
    #[error("message has bad \"method\"")]
    BadMethod,
    /// `params` is no array
    #[error("message \"params\" must be array")]
    BadParams,
    /// a member that no message has
    #[error("message has unexpected member \"{0}\"")]
    Unexpected(String),
    /// neither a request nor a reply
    #[error("message is neither a request nor a reply")]
    Shapeless,
}

/// A JSON-RPC message (RFC 7047 section 4, JSON-RPC 1.0).
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Asks for a reply with the same id.
    Request {
        /// What to do.
        method: String,
        /// With what.
        params: Vec<Value>,
        /// Never null.
        id: Value,
    },
    /// Asks for nothing.
    Notification {
        /// What happened.
        method: String,
        /// With what.
        params: Vec<Value>,
    },
    /// The answer to a request that succeeded.
    Reply {
        /// The answer.
        result: Value,
        /// The request's.
        id: Value,
    },
    /// The answer to a request that failed.
    Error {
        /// Never null.
        error: Value,
        /// The request's.
        id: Value,
    },
}

impl Message {
    /// Reads a JSON text as a message.
    ///
    /// # Errors
    ///
    /// It has not the shape of one; the message says what is wrong, in the words of Open vSwitch.
    pub fn from_value(value: Value) -> Result<Self, MessageError> {
        let Value::Object(mut members) = value else { return Err(MessageError::NotObject) };
        let method = members.remove("method").filter(|value| !value.is_null());
        let params = members.remove("params").filter(|value| !value.is_null());
        let result = members.remove("result").filter(|value| !value.is_null());
        let error = members.remove("error").filter(|value| !value.is_null());
        let id = members.remove("id").filter(|value| !value.is_null());
        if let Some((name, _)) = members.into_iter().next() {
            return Err(MessageError::Unexpected(name));
        }
        let Some(method) = method else { return Self::answer(result, error, id) };
        let Value::String(method) = method else { return Err(MessageError::BadMethod) };
        let Some(Value::Array(params)) = params else { return Err(MessageError::BadParams) };
        if result.is_some() || error.is_some() {
            return Err(MessageError::Shapeless);
        }
        Ok(match id {
            Some(id) => Self::Request { method, params, id },
            None => Self::Notification { method, params },
        })
    }

    /// A message without a method.
    fn answer(result: Option<Value>, error: Option<Value>, id: Option<Value>) -> Result<Self, MessageError> {
        let id = id.ok_or(MessageError::Shapeless)?;
        match (result, error) {
            (result, None) => Ok(Self::Reply { result: result.unwrap_or(Value::Null), id }),
            (None, Some(error)) => Ok(Self::Error { error, id }),
            (Some(_), Some(_)) => Err(MessageError::Shapeless),
        }
    }

    /// The message as a JSON text.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Request { method, params, id } => json!({"method": method, "params": params, "id": id}),
            Self::Notification { method, params } => json!({"method": method, "params": params, "id": null}),
            Self::Reply { result, id } => json!({"result": result, "error": null, "id": id}),
            Self::Error { error, id } => json!({"result": null, "error": error, "id": id}),
        }
    }

    /// The message as bytes for the stream.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_survives_a_round_trip() {
        let messages = [
            Message::Request { method: "echo".into(), params: vec![json!(1)], id: json!("echo") },
            Message::Notification { method: "update3".into(), params: vec![] },
            Message::Reply { result: json!({"locked": true}), id: json!(4) },
            Message::Error { error: json!("unknown method"), id: json!(0) },
        ];
        for message in messages {
            assert_eq!(Message::from_value(message.to_value()), Ok(message));
        }
    }

    #[test]
    fn a_null_result_is_a_reply() {
        let value = json!({"id": 1, "result": null, "error": null});
        assert_eq!(Message::from_value(value), Ok(Message::Reply { result: Value::Null, id: json!(1) }));
    }

    #[test]
    fn misshapen_messages_are_refused() {
        let refusals = [
            (json!([]), MessageError::NotObject),
            (json!({"method": 5, "params": [], "id": 1}), MessageError::BadMethod),
            (json!({"method": "x", "params": {}, "id": 1}), MessageError::BadParams),
            (
                json!({"method": "x", "params": [], "id": 1, "extra": 0}),
                MessageError::Unexpected("extra".into()),
            ),
            (json!({"id": null, "result": 1}), MessageError::Shapeless),
            (json!({"id": 1, "result": 1, "error": 2}), MessageError::Shapeless),
        ];
        for (value, error) in refusals {
            assert_eq!(Message::from_value(value), Err(error));
        }
    }
}
