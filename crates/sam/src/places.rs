//! Where the values of a document are written.
//!
//! A tree beside the document, not a table of pointers: its size is that of the text, whatever the length of its keys.

use std::collections::BTreeMap;

use crate::Mark;

/// Slashes in a key that is found by a pointer that does not escape them.
const KEY_SLASHES_MAX: usize = 32;

/// A stretch of text; `end` is just after its last character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: Mark,
    pub end: Mark,
}

/// Where one value is written, and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// The key that it has in its map.
    pub key: Option<Span>,
    pub value: Span,
    pub inner: Inner,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Inner {
    /// A scalar, or an alias: its value is written elsewhere.
    Leaf,
    Map(BTreeMap<String, Place>),
    List(Vec<Place>),
}

impl Place {
    pub fn new(value: Span, inner: Inner) -> Self {
        Self { key: None, value, inner }
    }

    pub fn child(&self, key: &str) -> Option<&Self> {
        match &self.inner {
            Inner::Leaf => None,
            Inner::Map(entries) => entries.get(key),
            Inner::List(items) => items.get(key.parse::<usize>().ok()?),
        }
    }

    /// What is at `pointer`, or the nearest place around it; and whether it is the very one. Keys may hold `/`,
    /// escaped (RFC 6901) or not.
    pub fn find(&self, pointer: &str) -> (&Self, bool) {
        let (mut at, mut rest) = (self, pointer.strip_prefix('/').unwrap_or(pointer));
        while !rest.is_empty() {
            let Some((child, left)) = at.step(rest) else { return (at, false) };
            (at, rest) = (child, left);
        }
        (at, true)
    }

    /// The child whose key `rest` starts with, and what is left.
    fn step<'r>(&self, rest: &'r str) -> Option<(&Self, &'r str)> {
        let ends = rest.match_indices('/').map(|(at, _)| at).take(KEY_SLASHES_MAX).chain([rest.len()]);
        for end in ends {
            let key = &rest[..end];
            let child = self.child(key).or_else(|| match key.contains('~') {
                true => self.child(&key.replace("~1", "/").replace("~0", "~")),
                false => None,
            });
            if let Some(child) = child {
                return Some((child, rest[end..].strip_prefix('/').unwrap_or_default()));
            }
        }
        None
    }

    /// What to show of it: a value on one line, otherwise its key.
    pub fn shown(&self) -> Span {
        let one_line = self.value.start.line == self.value.end.line;
        match self.key {
            Some(key) if !one_line || !matches!(self.inner, Inner::Leaf) && key.start.line != self.value.start.line => {
                key
            }
            _ => self.value,
        }
    }
}
