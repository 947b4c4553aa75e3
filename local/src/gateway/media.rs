//! Which bodies pass as bytes (`BinaryMediaTypes`).

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE};

/// An API's binary media types.
#[derive(Clone, Debug, Default)]
pub struct BinaryTypes {
    all: bool,
    types: Vec<String>,
}

impl BinaryTypes {
    pub fn new(types: &[String]) -> Self {
        let types: Vec<String> = types.iter().map(|one| one.to_ascii_lowercase()).collect();
        Self { all: types.iter().any(|one| one == "*/*"), types }
    }

    /// A request's body goes to the function in base64.
    pub fn request(&self, headers: &HeaderMap) -> bool {
        self.all || first(headers, CONTENT_TYPE).is_some_and(|kind| self.covers(&kind))
    }

    /// A base64 answer is decoded: the first media type of `Accept` decides.
    pub fn response(&self, headers: &HeaderMap) -> bool {
        self.all || first(headers, ACCEPT).is_some_and(|kind| self.covers(&kind))
    }

    fn covers(&self, kind: &str) -> bool {
        self.types.iter().any(|one| {
            one == kind
                || one.strip_suffix("/*").is_some_and(|main| kind.split('/').next().is_some_and(|part| part == main))
        })
    }
}

fn first(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.split([',', ';']).next()?.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))])
    }

    #[test]
    fn the_first_media_type_decides() {
        let types = BinaryTypes::new(&["image/*".into(), "application/pdf".into()]);
        assert!(types.request(&headers("content-type", "Image/PNG; x=1")));
        assert!(!types.request(&headers("content-type", "application/json")));
        assert!(types.response(&headers("accept", "application/pdf, */*")));
        assert!(!types.response(&headers("accept", "*/*, application/pdf")));
        assert!(BinaryTypes::new(&["*/*".into()]).request(&HeaderMap::new()));
        assert!(!BinaryTypes::default().response(&HeaderMap::new()));
    }
}
