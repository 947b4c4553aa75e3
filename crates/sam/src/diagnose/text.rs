//! Places in a text as editors count them.

use std::ops::Range;

use super::{Diagnostic, Severity};
use crate::{Mark, Span};

/// A longest message (characters): what is quoted of a text may be of any length.
const MESSAGE_CHARS_MAX: usize = 500;

/// The lines of a text.
pub(super) struct Lines<'a> {
    lines: Vec<&'a str>,
    /// Where each line starts (bytes).
    starts: Vec<usize>,
}

/// A stretch of one line, from 1, in UTF-16 units.
#[derive(Clone, Copy)]
pub(super) struct OnLine {
    line: usize,
    start: usize,
    end: usize,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (mut lines, mut starts, mut at) = (Vec::new(), Vec::new(), 0);
        for line in text.split_inclusive('\n') {
            lines.push(line.trim_end_matches(['\n', '\r']));
            starts.push(at);
            at += line.len();
        }
        if lines.is_empty() || text.ends_with('\n') {
            lines.push("");
            starts.push(at);
        }
        Self { lines, starts }
    }

    /// The span's part of its first line, which is at least one character where there is one.
    pub fn range(&self, span: Span) -> OnLine {
        let (line, text) = self.line(span.start.line);
        let start = units(text, span.start.column.saturating_sub(1));
        let end = match span.end.line == span.start.line {
            true => units(text, span.end.column.saturating_sub(1)),
            false => units(text.trim_end(), usize::MAX),
        };
        OnLine { line, start: start + 1, end: end.max(start + 1) + usize::from(end > start) }
    }

    /// From a place to the end of its line.
    pub fn from(&self, start: Mark) -> OnLine {
        self.range(Span { start, end: Mark { line: start.line + 1, column: 1 } })
    }

    /// A stretch of bytes.
    pub fn bytes(&self, range: Range<usize>) -> OnLine {
        let index = self.starts.partition_point(|start| *start <= range.start).saturating_sub(1);
        let (start, text) = (self.starts[index], self.lines[index]);
        let column = |at: usize| {
            let within = at.saturating_sub(start).min(text.len());
            text[..text.floor_char_boundary(within)].chars().count() + 1
        };
        let from = Mark { line: index + 1, column: column(range.start) };
        self.range(Span { start: from, end: Mark { line: index + 1, column: column(range.end) } })
    }

    pub fn whole_first(&self) -> OnLine {
        self.from(Mark { line: 1, column: 1 })
    }

    fn line(&self, number: usize) -> (usize, &'a str) {
        let number = number.clamp(1, self.lines.len());
        (number, self.lines[number - 1])
    }

    pub fn diagnostic(&self, place: OnLine, severity: Severity, code: &str, message: &str) -> Diagnostic {
        Diagnostic {
            line: place.line,
            column: place.start,
            end_line: place.line,
            end_column: place.end,
            severity,
            code: code.to_owned(),
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    }
}

/// The UTF-16 units of the first `characters` of a line.
fn units(line: &str, characters: usize) -> usize {
    line.chars().take(characters).map(char::len_utf16).sum()
}
