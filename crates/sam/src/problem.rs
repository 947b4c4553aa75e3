//! What is wrong with a template.

use std::fmt;

use crate::Mark;

/// One error of a template; resolving reports all that it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The JSON pointer of the value.
    pub pointer: String,
    /// Where the nearest key is written; `None` when the template was given as JSON.
    pub mark: Option<Mark>,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mark) = self.mark {
            write!(f, "line {}, column {}: ", mark.line, mark.column)?;
        }
        write!(f, "{}: {}", self.pointer, self.message)
    }
}

impl std::error::Error for Problem {}
