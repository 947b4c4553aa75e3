//! Lines out of a streamed answer.

use bytes::{Buf, BytesMut};

use super::order::Said;

/// The longest line (bytes): the outcome of an app with hundreds of functions.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A function's streamed answer begins with a head and this ("Writing response streaming-enabled Lambda functions").
const HEAD_END: [u8; 8] = [0; 8];

/// What is no line of an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("a line of the build function's answer is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a line of the build function's answer cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Cuts what arrives into lines.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: BytesMut,
    begun: bool,
}

impl Lines {
    pub fn push(&mut self, part: &[u8]) -> Result<Vec<Said>, AnswerError> {
        self.waiting.extend_from_slice(part);
        let mut said = Vec::new();
        if !self.begun {
            let head = self.waiting.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END);
            match (head, self.waiting.contains(&b'\n')) {
                (Some(end), _) => self.waiting.advance(end + HEAD_END.len()),
                (None, true) => {}
                (None, false) => return self.within().map(|()| said),
            }
            self.begun = true;
        }
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line = self.waiting.split_to(end + 1);
            said.push(serde_json::from_slice(&line)?);
        }
        self.within().map(|()| said)
    }

    fn within(&self) -> Result<(), AnswerError> {
        if self.waiting.len() > LINE_BYTES_MAX { Err(AnswerError::TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Said {
        Said::Line(text.into())
    }

    #[test]
    fn lines_are_found_however_they_are_cut() {
        let whole = b"{\"statusCode\":200,\"headers\":{},\"cookies\":[]}\0\0\0\0\0\0\0\0{\"line\":\"a\"}\n\"alive\"\n{\"line\":\"b\"}\n";
        for size in [1, 2, 7, 11, 1000] {
            let mut lines = Lines::default();
            let said: Vec<Said> = whole.chunks(size).flat_map(|part| lines.push(part).unwrap()).collect();
            assert_eq!(said, [line("a"), Said::Alive, line("b")], "in parts of {size}");
        }
    }

    #[test]
    fn an_answer_without_a_head_is_read_too() {
        assert_eq!(Lines::default().push(b"{\"line\":\"a\"}\n").unwrap(), [line("a")]);
    }

    #[test]
    fn what_is_no_line_is_refused_and_nothing_grows_without_end() {
        assert!(matches!(Lines::default().push(b"nonsense\n"), Err(AnswerError::Unreadable(_))));
        let mut lines = Lines::default();
        lines.push(b"\"alive\"\n").unwrap();
        assert!(matches!(lines.push(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(AnswerError::TooLong)));
        assert!(matches!(Lines::default().push(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(AnswerError::TooLong)));
    }
}
