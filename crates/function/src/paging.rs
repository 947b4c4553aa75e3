//! Lists in pages, by cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// Most items on a page, whatever is asked for.
const LIMIT_MAX: usize = domain::PAGE_MAX;
/// Longest cursor (characters).
const CURSOR_CHARS_MAX: usize = 2048;
/// First byte of a cursor: its version.
const CURSOR_VERSION: u8 = 1;

/// `?cursor=&limit=`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The `next` of the page before.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 200.
    pub limit: Option<usize>,
}

impl PageParams {
    /// The page that is asked for. The cursor is only a place in a list: which list is the route's and the caller's to
    /// say, so a forged one shows nothing of others.
    pub fn query(&self) -> Result<domain::PageQuery, Problem> {
        page_query(self.cursor.as_deref(), self.limit)
    }
}

/// As `PageParams::query`, for routes with parameters of their own beside the page's.
pub(crate) fn page_query(cursor: Option<&str>, limit: Option<usize>) -> Result<domain::PageQuery, Problem> {
    if limit.is_some_and(|limit| limit == 0 || limit > LIMIT_MAX) {
        return Err(Problem::malformed(format!("limit is 1 to {LIMIT_MAX}.")).at("limit"));
    }
    let after = cursor.map(read_cursor).transpose()?;
    Ok(domain::PageQuery { after, limit })
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PageView<T> {
    pub items: Vec<T>,
    /// Pass as `cursor` for the next page; absent when this is the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> PageView<T> {
    pub fn of<U>(page: domain::Page<U>, view: impl FnMut(U) -> T) -> Self {
        Self { items: page.items.into_iter().map(view).collect(), next: page.next.as_deref().map(write_cursor) }
    }

    pub fn of_identity<U>(page: identity::Page<U>, view: impl FnMut(U) -> T) -> Self {
        Self::of(domain::Page { items: page.items, next: page.next }, view)
    }
}

fn write_cursor(after: &str) -> String {
    URL_SAFE_NO_PAD.encode([&[CURSOR_VERSION], after.as_bytes()].concat())
}

fn read_cursor(cursor: &str) -> Result<String, Problem> {
    let read = || {
        let bytes = (cursor.len() <= CURSOR_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(cursor).ok())??;
        let (version, after) = bytes.split_first()?;
        let after = String::from_utf8(after.to_vec()).ok()?;
        (*version == CURSOR_VERSION && !after.is_empty() && !after.chars().any(char::is_control)).then_some(after)
    };
    read().ok_or_else(|| Problem::malformed("The cursor is not one of this list.").at("cursor"))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn a_cursor_leads_back_to_where_it_was() {
        for after in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "zażółć/ä.txt", "#"] {
            assert_eq!(read_cursor(&write_cursor(after)).unwrap(), after);
        }
    }

    #[test]
    fn authz_045_a_cursor_that_we_did_not_write_is_refused() {
        let forged = STANDARD.encode(r#"{"pk":"TEAM#other"}"#);
        let unpadded = URL_SAFE_NO_PAD.encode(r#"{"pk":"TEAM#other"}"#);
        let control = URL_SAFE_NO_PAD.encode("\u{1}a\u{0}b");
        let long = "A".repeat(3000);
        for cursor in ["", "AQ", "!", &forged, &unpadded, &control, &long] {
            let problem = page_query(Some(cursor), None).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "validation"), "{cursor}");
        }
    }

    #[test]
    fn a_limit_is_bounded() {
        for bad in [0, LIMIT_MAX + 1] {
            assert_eq!(page_query(None, Some(bad)).unwrap_err().status, 400);
        }
        assert_eq!(page_query(None, Some(LIMIT_MAX)).unwrap().limit, Some(LIMIT_MAX));
    }
}
