//! Numbers for sockets in the loop's registry: the lowest free one of a range.

use std::collections::BTreeSet;
use std::ops::Range;

use mio::Token;

/// Gives out tokens of a range.
#[derive(Debug)]
pub(crate) struct Tokens {
    range: Range<usize>,
    used: BTreeSet<usize>,
}

impl Tokens {
    /// Tokens of `range`.
    pub(crate) fn new(range: Range<usize>) -> Self {
        Self { range, used: BTreeSet::new() }
    }

    /// Whether `token` is of this range.
    pub(crate) fn owns(&self, token: Token) -> bool {
        self.range.contains(&token.0)
    }

    /// A free token; `None` when all are in use.
    pub(crate) fn take(&mut self) -> Option<Token> {
        // The first hole in an ordered set, else the number after the last.
        let free = self.range.clone().zip(self.used.iter()).find(|(n, used)| n != *used).map(|(n, _)| n);
        let token = free.unwrap_or(self.range.start + self.used.len());
        (token < self.range.end && self.used.insert(token)).then_some(Token(token))
    }

    /// Takes a token back.
    pub(crate) fn give_back(&mut self, token: Token) {
        self.used.remove(&token.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_free_within_the_range() {
        let mut tokens = Tokens::new(10..13);
        assert_eq!([tokens.take(), tokens.take(), tokens.take()].map(|t| t.unwrap().0), [10, 11, 12]);
        assert_eq!(tokens.take(), None);
        tokens.give_back(Token(11));
        assert_eq!(tokens.take(), Some(Token(11)));
        assert!(tokens.owns(Token(12)) && !tokens.owns(Token(13)));
    }
}
