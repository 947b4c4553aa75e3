//! Pages of keys.

use cloud::{BlobMeta, BlobPage, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::{LocalBlobs, index};
use crate::store::database::During;
use crate::store::{PAGE_MAX, page_limit, prefix_end};

/// A page in which keys that share what is before a delimiter count as one (`ListObjectsV2`, `Delimiter`).
#[derive(Clone, Debug, Default)]
pub struct DelimitedPage {
    pub blobs: Vec<BlobMeta>,
    /// What is shared, up to and with the delimiter; in byte order.
    pub prefixes: Vec<String>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<String>,
}

impl LocalBlobs {
    /// Blobs and common prefixes after `after`, which is a key or one of `prefixes`; together at most `limit`.
    pub async fn list_delimited(
        &self,
        prefix: &str,
        delimiter: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<DelimitedPage> {
        page_limit(limit, PAGE_MAX)?;
        let bucket = self.bucket.clone();
        let (prefix, delimiter, after) = (prefix.to_owned(), delimiter.to_owned(), after.map(str::to_owned));
        let work =
            move |connection: &Connection| delimited(connection, &bucket, &prefix, &delimiter, after.as_deref(), limit);
        self.inner.main.read(work).await
    }
}

pub(super) fn page(
    connection: &Connection,
    bucket: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<BlobPage> {
    let what = || format!("listing `{prefix}`");
    let rows = page_limit(limit, PAGE_MAX)? + 1;
    let sql = format!(
        "SELECT {} FROM blob WHERE bucket = ?1 AND key >= ?2 AND key > ?3 AND (?4 IS NULL OR key < ?4)
         ORDER BY key LIMIT ?5",
        index::META
    );
    let mut sql = connection.prepare_cached(&sql).during(what())?;
    let values = params![bucket, prefix, after.unwrap_or_default(), prefix_end(prefix), rows];
    let found = sql.query_map(values, index::meta).during(what())?;
    let mut blobs = found.collect::<rusqlite::Result<Vec<BlobMeta>>>().during(what())?;
    let more = blobs.len() > limit;
    blobs.truncate(limit);
    let next = blobs.last().filter(|_| more).map(|last| last.key.to_string());
    Ok(BlobPage { blobs, next })
}

/// Goes from key to key and jumps over everything that a common prefix covers.
fn delimited(
    connection: &Connection,
    bucket: &str,
    prefix: &str,
    delimiter: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<DelimitedPage> {
    let what = || format!("listing `{prefix}`");
    let snapshot = connection.unchecked_transaction().during(what())?;
    let mut page = DelimitedPage::default();
    {
        let step = |bound: &str| {
            format!(
                "SELECT {} FROM blob WHERE bucket = ?1 AND key {bound} ?2 AND (?3 IS NULL OR key < ?3)
                 ORDER BY key LIMIT 1",
                index::META
            )
        };
        let mut find_from = snapshot.prepare_cached(&step(">=")).during(what())?;
        let mut find_after = snapshot.prepare_cached(&step(">")).during(what())?;
        let end = prefix_end(prefix);
        let mut at = start(prefix, delimiter, after);
        let mut last = String::new();
        while let Some((bound, including)) = at.take() {
            let find = if including { &mut find_from } else { &mut find_after };
            let values = params![bucket, bound, end];
            let Some(meta) = find.query_row(values, index::meta).optional().during(what())? else { break };
            if page.blobs.len() + page.prefixes.len() == limit {
                page.next = Some(last);
                break;
            }
            match common_prefix(meta.key.as_str(), prefix, delimiter) {
                Some(common) => {
                    last = common.to_owned();
                    at = prefix_end(common).map(|end| (end, true));
                    page.prefixes.push(last.clone());
                }
                None => {
                    last = meta.key.to_string();
                    at = Some((last.clone(), false));
                    page.blobs.push(meta);
                }
            }
        }
    }
    snapshot.finish().during(what())?;
    Ok(page)
}

/// Where to begin: the bound, and whether it belongs to the page.
fn start(prefix: &str, delimiter: &str, after: Option<&str>) -> Option<(String, bool)> {
    match after {
        Some(after) if after >= prefix => match common_prefix(after, prefix, delimiter) {
            Some(common) if common == after => prefix_end(common).map(|end| (end, true)),
            _ => Some((after.to_owned(), false)),
        },
        _ => Some((prefix.to_owned(), true)),
    }
}

fn common_prefix<'a>(key: &'a str, prefix: &str, delimiter: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix)?;
    let at = rest.find(delimiter).filter(|_| !delimiter.is_empty())?;
    key.get(..prefix.len() + at + delimiter.len())
}
