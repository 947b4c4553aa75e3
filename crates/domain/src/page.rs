//! Lists in pages.

use crate::{Error, Result};

/// Items on a page unless the caller asks for fewer.
pub const PAGE_DEFAULT: usize = 50;
/// Most items on a page.
pub const PAGE_MAX: usize = 200;
const CURSOR_MAX: usize = 1024;

/// Where a page starts, and how long it may be.
#[derive(Clone, Debug, Default)]
pub struct PageQuery {
    /// The `next` of the page before; from the start when `None`.
    pub after: Option<String>,
    /// [`PAGE_DEFAULT`] when `None`; cut at [`PAGE_MAX`].
    pub limit: Option<usize>,
}

impl PageQuery {
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
    }

    /// The cursor, if it has the form that this list gives out. A cursor is a sort key below a prefix that the
    /// method sets, so that a forged one can never leave the caller's partition.
    pub(crate) fn after(&self, prefix: &str, fits: impl Fn(&str) -> bool) -> Result<Option<String>> {
        match &self.after {
            None => Ok(None),
            Some(raw) if raw.len() <= CURSOR_MAX && fits(raw) => Ok(Some(format!("{prefix}{raw}"))),
            Some(_) => Err(Error::invalid_cursor()),
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` when this was the last page.
    pub next: Option<String>,
}

impl<T> Page<T> {
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(each).collect(), next: self.next }
    }
}
