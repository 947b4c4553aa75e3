//! YAML as CloudFormation reads it, into JSON: short intrinsic tags become their long form.
//!
//! Scalars follow YAML 1.1 as PyYAML (and so `sam`) reads them, except that dates, numbers with a leading zero and
//! base-60 numbers stay text.

use std::collections::{BTreeMap, HashMap};
use std::iter::Peekable;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Number, Value};

use crate::Mark;
use crate::places::{Inner, Place, Span as Written};
use crate::template::TemplateError;

/// Deepest nesting of maps and lists.
const DEPTH_MAX: usize = 64;
/// Most nodes (scalars, lists, maps), each use of an alias counted in full.
const NODES_MAX: usize = 100_000;
/// Most bytes of scalars, each use of an alias counted in full.
const SCALAR_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The functions that have a short form; `Ref` and `Condition` have no `Fn::`.
pub(crate) const FUNCTIONS: [&str; 24] = [
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// The document as JSON, and where its values are.
pub fn parse(text: &str) -> Result<(Value, Place), TemplateError> {
    let mut reader =
        Reader { events: Parser::new_from_str(text).peekable(), anchors: HashMap::new(), spent: Size::default() };
    reader.document()
}

#[derive(Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

struct Reader<'a> {
    events: Peekable<Parser<'a, StrInput<'a>>>,
    /// Finished anchored nodes, with what they cost.
    anchors: HashMap<usize, (Value, Size)>,
    spent: Size,
}

fn mark(marker: Marker) -> Mark {
    Mark { line: marker.line(), column: marker.col() + 1 }
}

fn written(span: Span) -> Written {
    Written { start: mark(span.start), end: mark(span.end) }
}

fn at(marker: Marker, message: impl Into<String>) -> TemplateError {
    TemplateError { line: marker.line(), column: marker.col() + 1, message: message.into() }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), TemplateError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(at(*error.marker(), error.info())),
            None => Err(TemplateError { line: 1, column: 1, message: "the document ends too early".into() }),
        }
    }

    fn document(&mut self) -> Result<(Value, Place), TemplateError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => {}
                Event::StreamEnd => return Err(at(span.start, "the document is empty")),
                other => {
                    let node = self.node(other, span, 0)?;
                    return self.end().map(|()| node);
                }
            }
        }
    }

    fn end(&mut self) -> Result<(), TemplateError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(()),
                Event::DocumentStart(_) => return Err(at(span.start, "there is a second document")),
                _ => {}
            }
        }
    }

    fn spend(&mut self, cost: Size, marker: Marker) -> Result<(), TemplateError> {
        self.spent.nodes += cost.nodes;
        self.spent.bytes += cost.bytes;
        if self.spent.nodes > NODES_MAX || self.spent.bytes > SCALAR_BYTES_MAX {
            return Err(at(marker, format!("the document has more than {NODES_MAX} values, aliases written out")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Value, Place), TemplateError> {
        if depth > DEPTH_MAX {
            return Err(at(span.start, format!("values are nested deeper than {DEPTH_MAX}")));
        }
        let before = self.spent;
        let leaf = || Place::new(written(span), Inner::Leaf);
        let ((value, place), anchor, tag) = match event {
            Event::Alias(anchor) => {
                let Some((value, cost)) = self.anchors.get(&anchor) else {
                    return Err(at(span.start, "an alias refers to a value that is not complete"));
                };
                let (value, cost) = (value.clone(), *cost);
                self.spend(cost, span.start)?;
                return Ok((value, leaf()));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(Size { nodes: 1, bytes: text.len() }, span.start)?;
                ((scalar(&text, style, tag.as_deref(), span.start)?, leaf()), anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (self.sequence(span, depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.mapping(span, depth)?, anchor, tag),
            _ => return Err(at(span.start, "a value is missing")),
        };
        let (value, place) = tagged(value, place, tag.as_deref(), span.start)?;
        if anchor > 0 {
            let cost = Size { nodes: self.spent.nodes - before.nodes, bytes: self.spent.bytes - before.bytes };
            self.anchors.insert(anchor, (value.clone(), cost));
        }
        Ok((value, place))
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<(Value, Place), TemplateError> {
        self.spend(Size { nodes: 1, bytes: 0 }, start.start)?;
        let (mut items, mut places) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let value = whole(start, span, places.last());
                return Ok((Value::Array(items), Place::new(value, Inner::List(places))));
            }
            let (item, place) = self.node(event, span, depth + 1)?;
            items.push(item);
            places.push(place);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<(Value, Place), TemplateError> {
        self.spend(Size { nodes: 1, bytes: 0 }, start.start)?;
        let (mut entries, mut places) = (Map::new(), BTreeMap::new());
        let mut merged = Vec::new();
        let mut last: Option<Place> = None;
        let value = loop {
            let (event, key_span) = self.next()?;
            let key = match event {
                Event::MappingEnd => break whole(start, key_span, last.as_ref()),
                Event::Scalar(text, _, _, _) => text.into_owned(),
                _ => return Err(at(key_span.start, "a key must be text")),
            };
            self.spend(Size { nodes: 1, bytes: key.len() }, key_span.start)?;
            let (event, value_span) = self.next()?;
            let (value, mut place) = self.node(event, value_span, depth + 1)?;
            place.key = Some(written(key_span));
            last = Some(Place::new(place.value, Inner::Leaf));
            if key == "<<" {
                merged.push((value, key_span.start));
            } else if entries.insert(key.clone(), value).is_some() {
                return Err(at(key_span.start, format!("the key `{key}` appears twice")));
            } else {
                places.insert(key, place);
            }
        };
        for (value, marker) in merged {
            merge(&mut entries, value, marker)?;
        }
        Ok((Value::Object(entries), Place::new(value, Inner::Map(places))))
    }
}

/// A collection from its start to its end. One without brackets ends where its last value does.
fn whole(start: Span, end: Span, last: Option<&Place>) -> Written {
    let end = match last {
        Some(last) if end.is_empty() => last.value.end,
        _ => mark(end.end),
    };
    Written { start: mark(start.start), end }
}

/// Adds what a merge key (`<<`) brings and the map does not say itself.
fn merge(entries: &mut Map<String, Value>, value: Value, marker: Marker) -> Result<(), TemplateError> {
    let maps = match value {
        Value::Array(maps) => maps,
        map => vec![map],
    };
    for map in maps {
        let Value::Object(map) = map else {
            return Err(at(marker, "`<<` takes a map or a list of maps"));
        };
        for (key, value) in map {
            entries.entry(key).or_insert(value);
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, marker: Marker) -> Result<Value, TemplateError> {
    let core = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    let value = plain(text);
    match core {
        Some("str") => Ok(Value::String(text.to_owned())),
        Some("bool") if value.is_boolean() => Ok(value),
        Some("int") if value.is_i64() || value.is_u64() => Ok(value),
        Some("float") if value.is_number() => Ok(value),
        Some("null") if value.is_null() => Ok(value),
        Some(other) => Err(at(marker, format!("`{text}` is not a value of the type `!!{other}`"))),
        // The text of a tagged scalar (`!Ref 1`) is an argument, hence text.
        None if tag.is_some() || style != ScalarStyle::Plain => Ok(Value::String(text.to_owned())),
        None => Ok(value),
    }
}

/// What a plain scalar means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !numeric || leading_zero {
        return None;
    }
    if let Ok(integer) = text.trim_start_matches('+').parse::<i64>() {
        return Some(integer.into());
    }
    // An exponent needs a point (YAML 1.1), so that a commit id such as 1e10 stays text.
    if !digits.contains('.') {
        return None;
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

fn tagged(value: Value, place: Place, tag: Option<&Tag>, marker: Marker) -> Result<(Value, Place), TemplateError> {
    let Some(tag) = tag else { return Ok((value, place)) };
    if tag.is_yaml_core_schema() {
        return match (tag.suffix.as_str(), &value) {
            ("map", Value::Object(_)) | ("seq", Value::Array(_)) => Ok((value, place)),
            ("str" | "bool" | "int" | "float" | "null", Value::Object(_) | Value::Array(_)) | ("map" | "seq", _) => {
                Err(at(marker, format!("the value is not of the type `!!{}`", tag.suffix)))
            }
            ("str" | "bool" | "int" | "float" | "null", _) => Ok((value, place)),
            (other, _) => Err(at(marker, format!("the tag `!!{other}` is not allowed"))),
        };
    }
    let name = tag.suffix.as_str();
    let key = match (tag.handle.as_str(), name) {
        ("!", "Ref" | "Condition") => name.to_owned(),
        ("!", _) if FUNCTIONS.contains(&name) => format!("Fn::{name}"),
        // `! text` is YAML's non-specific tag.
        ("!", "") | ("", "!") => return Ok((value, place)),
        (handle, _) => return Err(at(marker, format!("the tag `{handle}{name}` is not known"))),
    };
    let argument = match (key.as_str(), value) {
        ("Fn::GetAtt", Value::String(text)) => match text.split_once('.') {
            Some((logical, attribute)) => serde_json::json!([logical, attribute]),
            None => return Err(at(marker, "`!GetAtt` takes `LogicalId.Attribute`")),
        },
        (_, value) => value,
    };
    let span = place.value;
    let inner = Inner::Map(BTreeMap::from([(key.clone(), place)]));
    Ok((Value::Object(Map::from_iter([(key, argument)])), Place::new(span, inner)))
}
