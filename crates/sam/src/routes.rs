//! Which route a request takes, by API Gateway's precedence.

use std::collections::BTreeMap;

use crate::Route;

/// The routes of one API, ready for lookups.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    root: Node,
    /// Routes whose path is `$default`.
    default: Vec<usize>,
    routes: Vec<Route>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    literal: BTreeMap<String, Node>,
    /// `{name}`; each route keeps its own name for it.
    parameter: Option<Box<Node>>,
    /// `{name+}`: takes one or more segments.
    greedy: Vec<usize>,
    ends: Vec<usize>,
}

/// What a table has for a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Match<'a> {
    Found {
        route: &'a Route,
        /// As written in the request; not percent-decoded.
        path_parameters: BTreeMap<String, String>,
    },
    /// The path is known, the method is not.
    MethodNotAllowed {
        allowed: Vec<&'a str>,
    },
    NotFound,
}

impl RouteTable {
    pub fn new(routes: &[Route]) -> Self {
        let mut table = Self { routes: routes.to_vec(), ..Self::default() };
        for (index, route) in routes.iter().enumerate() {
            if route.path == "$default" {
                table.default.push(index);
            } else {
                table.root.insert(&segments(&route.path), index);
            }
        }
        table
    }

    /// The route for `path` (without stage and query). Segment by segment a literal wins over `{name}`, and that over
    /// `{name+}`; then the exact method over `ANY` ("Select an API Gateway route", Developer Guide).
    pub fn find(&self, method: &str, path: &str) -> Match<'_> {
        let segments = segments(path);
        let mut allowed = Vec::new();
        if let Some(index) = self.root.find(&segments, &mut |ends| self.pick(ends, method, &mut allowed)) {
            let route = &self.routes[index];
            return Match::Found { route, path_parameters: bind(&route.path, &segments) };
        }
        if let Some(index) = self.pick(&self.default, method, &mut Vec::new()) {
            return Match::Found { route: &self.routes[index], path_parameters: BTreeMap::new() };
        }
        if allowed.is_empty() {
            return Match::NotFound;
        }
        allowed.sort_unstable();
        allowed.dedup();
        Match::MethodNotAllowed { allowed }
    }

    fn pick<'a>(&'a self, ends: &[usize], method: &str, allowed: &mut Vec<&'a str>) -> Option<usize> {
        allowed.extend(ends.iter().map(|index| self.routes[*index].method.as_str()));
        let with = |wanted: &str| ends.iter().copied().find(|index| self.routes[*index].method == wanted);
        with(method).or_else(|| with("ANY"))
    }
}

/// The parts of a path; a trailing slash makes an empty last part only when it is the whole path.
fn segments(path: &str) -> Vec<&str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() { Vec::new() } else { path.split('/').collect() }
}

impl Node {
    fn insert(&mut self, segments: &[&str], index: usize) {
        let Some((first, rest)) = segments.split_first() else {
            self.ends.push(index);
            return;
        };
        match variable(first) {
            Some((_, true)) => self.greedy.push(index),
            Some((_, false)) => self.parameter.get_or_insert_default().insert(rest, index),
            None => self.literal.entry((*first).to_owned()).or_default().insert(rest, index),
        }
    }

    fn find(&self, segments: &[&str], pick: &mut dyn FnMut(&[usize]) -> Option<usize>) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else {
            return if self.ends.is_empty() { None } else { pick(&self.ends) };
        };
        if let Some(found) = self.literal.get(*first).and_then(|node| node.find(rest, pick)) {
            return Some(found);
        }
        let parameter = self.parameter.as_ref().filter(|_| !first.is_empty());
        if let Some(found) = parameter.and_then(|node| node.find(rest, pick)) {
            return Some(found);
        }
        if self.greedy.is_empty() { None } else { pick(&self.greedy) }
    }
}

/// The name of a `{name}` or, with `true`, `{name+}` segment.
fn variable(segment: &str) -> Option<(&str, bool)> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    Some(name.strip_suffix('+').map_or((name, false), |name| (name, true)))
}

fn bind(route_path: &str, request: &[&str]) -> BTreeMap<String, String> {
    let route = segments(route_path);
    let variables = route.iter().enumerate().filter_map(|(at, part)| variable(part).map(|found| (at, found)));
    variables
        .filter_map(|(at, (name, greedy))| {
            let value = if greedy { request.get(at..)?.join("/") } else { (*request.get(at)?).to_owned() };
            Some((name.to_owned(), value))
        })
        .collect()
}
