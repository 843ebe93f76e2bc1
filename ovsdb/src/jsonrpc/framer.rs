//! Cuts a stream of bytes into JSON texts.
//!
//! # Algorithm
//!
//! Bytes are looked at once, as they come: the framer tracks how many brackets are open and whether it is inside a
//! string. When the last bracket closes, the text is parsed as a whole. So a message that comes in many pieces costs
//! linear time, and its end is known without parsing it twice.
//!
//! # Limits
//!
//! A text longer than the limit given, or nested deeper than [`MAX_DEPTH`], is an error, after which the stream is of no
//! further use: the caller drops the connection.

use serde_json::Value;
use thiserror::Error;

/// How deep brackets may nest; below what the JSON parser refuses by itself.
pub(super) const MAX_DEPTH: u32 = 100;

/// What is wrong with the stream.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// message is longer than {0} bytes
    #[error("message is longer than {0} bytes")]
    TooLong(usize),
    /// message nests deeper than the limit
    #[error("message nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// a byte that starts no object or array
    #[error("unexpected byte 0x{0:02x} between messages")]
    Stray(u8),
    /// not JSON
    #[error("syntax error: {0}")]
    Syntax(String),
}

/// The state of one direction of one connection.
#[derive(Debug)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the unfinished (or next) text begins.
    start: usize,
    /// How far the scan has come.
    scanned: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    limit: usize,
}

impl Framer {
    /// A framer for texts of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, scanned: 0, depth: 0, in_string: false, escaped: false, limit }
    }

    /// Takes what was read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete text, `None` until more bytes are there.
    ///
    /// # Errors
    ///
    /// The stream holds something else than JSON objects and arrays, or one past the limits; it cannot be read further.
    pub fn next_value(&mut self) -> Result<Option<Value>, FrameError> {
        while self.scanned < self.buffer.len() {
            let byte = self.buffer[self.scanned];
            self.scanned += 1;
            if self.depth == 0 && byte.is_ascii_whitespace() {
                self.start = self.scanned;
                continue;
            }
            if self.ends_text(byte)? {
                let text = &self.buffer[self.start..self.scanned];
                let value =
                    serde_json::from_slice(text).map_err(|error| FrameError::Syntax(error.to_string()))?;
                self.start = self.scanned;
                return Ok(Some(value));
            }
            if self.scanned - self.start > self.limit {
                return Err(FrameError::TooLong(self.limit));
            }
        }
        Ok(None)
    }

    /// Accounts for one byte; whether it closes the text.
    fn ends_text(&mut self, byte: u8) -> Result<bool, FrameError> {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(FrameError::TooDeep);
                }
            }
            _ if self.depth == 0 => return Err(FrameError::Stray(byte)),
            b'"' => self.in_string = true,
            b'}' | b']' => {
                self.depth -= 1;
                return Ok(self.depth == 0);
            }
            _ => {}
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn all(framer: &mut Framer) -> Vec<Value> {
        std::iter::from_fn(|| framer.next_value().unwrap()).collect()
    }

    #[test]
    fn texts_follow_each_other_with_or_without_blanks() {
        let mut framer = Framer::new(100);
        framer.push(b"{\"a\":1}[2] \n {\"b\":\"}\\\"]\"}");
        assert_eq!(all(&mut framer), [json!({"a":1}), json!([2]), json!({"b":"}\"]"})]);
    }

    #[test]
    fn a_text_past_the_limit_is_refused_before_it_ends() {
        let mut framer = Framer::new(10);
        framer.push(b"[\"0123456789abc");
        assert_eq!(framer.next_value(), Err(FrameError::TooLong(10)));
    }

    #[test]
    fn strays_depth_and_bad_syntax_are_errors() {
        let fail = |bytes: &[u8]| {
            let mut framer = Framer::new(10_000);
            framer.push(bytes);
            framer.next_value().unwrap_err()
        };
        assert_eq!(fail(b"x"), FrameError::Stray(b'x'));
        assert_eq!(fail(b"]"), FrameError::Stray(b']'));
        assert_eq!(fail(&[b'['; 101]), FrameError::TooDeep);
        assert!(matches!(fail(b"[1}"), FrameError::Syntax(_)));
        assert!(matches!(fail(b"[\"\xff\"]"), FrameError::Syntax(_)));
    }

    fn json_text() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from)
        ];
        let tree = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,5}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect()))
            ]
        });
        prop::collection::vec(tree, 0..4).prop_map(Value::from)
    }

    proptest! {
        #[test]
        fn cutting_the_stream_anywhere_changes_nothing(
            texts in prop::collection::vec(json_text(), 1..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream: Vec<u8> = texts.iter().flat_map(|text| text.to_string().into_bytes()).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let mut framer = Framer::new(1 << 20);
            let mut found = Vec::new();
            for piece in cuts.windows(2) {
                framer.push(&stream[piece[0]..piece[1]]);
                found.extend(all(&mut framer));
            }
            prop_assert_eq!(found, texts);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framer = Framer::new(64);
            framer.push(&noise);
            while let Ok(Some(_)) = framer.next_value() {}
        }
    }
}
