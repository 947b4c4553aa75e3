//! A text or regular expression, looked for line by line.

use regex::bytes::{Regex, RegexBuilder};

use crate::{Error, FileMatches, LineMatch, Result};

/// A pattern (bytes).
const PATTERN_MAX: usize = 1024;
/// A compiled pattern, and what it makes while it runs (bytes). The time is linear in the text whatever the pattern.
const COMPILED_MAX: usize = 1 << 20;
const LAZY_MAX: usize = 4 << 20;
/// Nested groups.
const NEST_MAX: u32 = 64;
/// Lines told of one file.
const LINES_MAX: usize = 200;
/// Places told of one line.
const RANGES_MAX: usize = 64;
/// A line is cut to this many characters.
const LINE_CHARS_MAX: usize = 500;
/// Characters shown before the first match of a line that is cut.
const LEAD_CHARS: usize = 60;
/// Git calls a file binary that has a NUL in so many first bytes.
const BINARY_LOOK: usize = 8000;

/// How a pattern is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatternOptions {
    /// A regular expression (crate `regex`), not plain text.
    pub regex: bool,
    /// Upper and lower case are told apart.
    pub case: bool,
    /// No word character stands before and after.
    pub word: bool,
}

/// A pattern that is ready to look.
#[derive(Clone, Debug)]
pub struct Matcher {
    regex: Regex,
    /// What is in no file is in none of its lines.
    whole_first: bool,
}

pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(BINARY_LOOK)].contains(&0)
}

impl Matcher {
    pub fn new(pattern: &str, options: PatternOptions) -> Result<Self> {
        if pattern.is_empty() || pattern.len() > PATTERN_MAX {
            return Err(Error::Invalid(format!("a pattern has 1 to {PATTERN_MAX} bytes")));
        }
        let inner = if options.regex { pattern.to_owned() } else { regex::escape(pattern) };
        // Alone first: what is put around it must not make sense of what makes none.
        let builder = |text: &str| {
            let mut builder = RegexBuilder::new(text);
            builder.multi_line(true).case_insensitive(!options.case);
            builder.size_limit(COMPILED_MAX).dfa_size_limit(LAZY_MAX).nest_limit(NEST_MAX);
            builder.build().map_err(|error| Error::Invalid(explain(&error)))
        };
        let mut regex = builder(&inner)?;
        if options.word {
            regex = builder(&format!(r"\b{{start-half}}(?:{inner})\b{{end-half}}"))?;
        }
        let whole_first = !options.regex || !["\\A", "\\z", "(?"].iter().any(|odd| pattern.contains(odd));
        Ok(Self { regex, whole_first })
    }

    /// The lines of a file that fit; `None` when none does, or the file is binary.
    pub fn file(&self, path: &str, bytes: &[u8]) -> Option<FileMatches> {
        if is_binary(bytes) || (self.whole_first && !self.regex.is_match(bytes)) {
            return None;
        }
        let mut found = FileMatches { path: path.to_owned(), matches: Vec::new(), limited: false };
        for (number, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !self.regex.is_match(line) {
                continue;
            }
            if found.matches.len() == LINES_MAX {
                found.limited = true;
                break;
            }
            found.matches.push(self.line(number + 1, line));
        }
        (!found.matches.is_empty()).then_some(found)
    }

    fn line(&self, number: usize, line: &[u8]) -> LineMatch {
        let places: Vec<_> = self.regex.find_iter(line).take(RANGES_MAX).map(|found| found.range()).collect();
        let whole = String::from_utf8_lossy(line);
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().map(char::len_utf16).sum::<usize>();
        let first = places.first().map_or(0, |place| String::from_utf8_lossy(&line[..place.start]).chars().count());
        let length = whole.chars().count();
        let start = if length > LINE_CHARS_MAX && first + LEAD_CHARS > LINE_CHARS_MAX { first - LEAD_CHARS } else { 0 };
        let before = whole.chars().take(start).map(char::len_utf16).sum::<usize>();
        let text: String = whole.chars().skip(start).take(LINE_CHARS_MAX).collect();
        let units = text.chars().map(char::len_utf16).sum::<usize>();
        let mut ranges = Vec::new();
        for place in places.into_iter().filter(|place| !place.is_empty()) {
            let from = lossy(&line[..place.start]) - before;
            let to = (from + lossy(&line[place])).min(units);
            if from < to {
                ranges.push((from, to));
            }
        }
        LineMatch { line: number, offset: before, text, ranges }
    }
}

/// The parser's last line is what is wrong; the ones before draw the pattern.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too large once it is compiled".into(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the pattern is not a regular expression: {last}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, options: PatternOptions, text: &[u8]) -> Vec<(usize, Vec<(usize, usize)>)> {
        let matcher = Matcher::new(pattern, options).unwrap();
        let found = matcher.file("f", text).map(|file| file.matches).unwrap_or_default();
        found.into_iter().map(|line| (line.line, line.ranges)).collect()
    }

    const PLAIN: PatternOptions = PatternOptions { regex: false, case: false, word: false };

    #[test]
    fn text_is_found_as_it_is_meant() {
        let case = PatternOptions { case: true, ..PLAIN };
        let word = PatternOptions { word: true, ..PLAIN };
        let regex = PatternOptions { regex: true, ..PLAIN };
        assert_eq!(found("a.b", PLAIN, b"xA.B a.b\r\naxb\na.b"), [(1, vec![(1, 4), (5, 8)]), (3, vec![(0, 3)])]);
        assert_eq!(found("a.b", case, b"A.B\na.b"), [(2, vec![(0, 3)])]);
        assert_eq!(found("cat", word, b"concat\ncat_\n(cat)\n"), [(3, vec![(1, 4)])]);
        assert_eq!(found("-x", word, b"a -x b\n-xy\n"), [(1, vec![(2, 4)])]);
        assert_eq!(found("^b+$", regex, b"abb\nbb\r\nb"), [(2, vec![(0, 2)]), (3, vec![(0, 1)])]);
        assert_eq!(found(r"\Ab", regex, b"a\nb"), [(2, vec![(0, 1)])], "each line stands alone");
        assert_eq!(found("a\\nb", regex, b"a\nb"), []);
        assert_eq!(found("x*", regex, b"a"), [(1, vec![])], "the line fits, at no place");
    }

    #[test]
    fn places_count_as_browsers_count() {
        let text = "a\u{1f600}\u{e9}b".as_bytes();
        assert_eq!(found("b", PLAIN, text), [(1, vec![(4, 5)])]);
        assert_eq!(found("\u{1f600}", PLAIN, text), [(1, vec![(1, 3)])]);
        assert_eq!(found("b", PLAIN, b"\xff\xfeb"), [(1, vec![(2, 3)])]);
    }

    #[test]
    fn a_long_line_is_cut_around_its_first_match() {
        let line = format!("{}needle{}", "x".repeat(10_000), "y".repeat(10_000));
        let matcher = Matcher::new("needle", PLAIN).unwrap();
        let line = &matcher.file("f", line.as_bytes()).unwrap().matches[0];
        assert_eq!((line.offset, line.text.len(), line.ranges[0]), (10_000 - LEAD_CHARS, 500, (60, 66)));
    }

    #[test]
    fn binary_files_and_endless_matches_are_bounded() {
        assert!(Matcher::new("a", PLAIN).unwrap().file("f", b"a\0a").is_none());
        let many = Matcher::new("a", PLAIN).unwrap().file("f", &b"a\n".repeat(10_000)).unwrap();
        assert_eq!((many.matches.len(), many.limited), (LINES_MAX, true));
        let wide = Matcher::new("a", PLAIN).unwrap().file("f", &b"a".repeat(10_000)).unwrap();
        assert_eq!(wide.matches[0].ranges.len(), RANGES_MAX);
    }

    #[test]
    fn hostile_patterns_are_refused_or_linear() {
        let regex = PatternOptions { regex: true, ..PLAIN };
        let nested = "(".repeat(500) + "a" + &")".repeat(500);
        let bombs =
            ["(", "a{0,100000}", "(?:a{1000}){1000}", "(a)\\1", "(?=a)", "[z-a]", "*", "", &nested, &"a".repeat(2000)];
        for bad in bombs {
            assert!(matches!(Matcher::new(bad, regex), Err(Error::Invalid(_))), "{bad:.30}");
        }
        for word in [")|(", "a)(b"] {
            assert!(Matcher::new(word, PatternOptions { word: true, ..regex }).is_err(), "{word}");
        }
        let text = b"a".repeat(100_000);
        for slow in ["(a+)+$b", "(a|a)*b", "(.*)*x", "(x+x+)+y"] {
            assert!(Matcher::new(slow, regex).unwrap().file("f", &text).is_none(), "{slow}");
        }
    }
}
