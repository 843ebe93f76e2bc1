//! JSON-RPC 1.0 as Open vSwitch speaks it: JSON texts one after the other on a byte stream, with nothing between them.
//!
//! No I/O here: [`Framer`] takes bytes and gives JSON values, [`Message`] gives them their meaning.
//!
//! ```
//! use ovsdb::jsonrpc::{Framer, Message};
//! let mut framer = Framer::new(1 << 20);
//! framer.push(br#"{"id":0,"method":"exit","#);
//! assert!(framer.next_value().unwrap().is_none());
//! framer.push(br#""params":[]}"#);
//! let value = framer.next_value().unwrap().unwrap();
//! let Message::Request { method, .. } = Message::from_value(value).unwrap() else { panic!() };
//! assert_eq!(method, "exit");
//! ```

mod framer;
mod message;

pub use framer::{FrameError, Framer};
pub use message::{Message, MessageError};
