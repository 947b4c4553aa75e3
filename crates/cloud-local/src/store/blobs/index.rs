//! The rows that name blobs.

use bytes::Bytes;
use cloud::{BlobKey, BlobMeta, ETag, Error, Millis, PutCondition, Result, Sha256Digest};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::UserMetadata;
use super::body::{Body, Content};
use crate::store::database::During;

/// The columns that `meta` reads, in its order.
pub(super) const META: &str = "key, length, etag, modified, content_type, content_encoding, cache_control";

/// A blob as the index has it.
pub(super) struct Found {
    pub(super) row: i64,
    pub(super) meta: BlobMeta,
    pub(super) user: UserMetadata,
    pub(super) sha256: Sha256Digest,
    /// The body's file; in the row when `None`.
    pub(super) file: Option<String>,
}

/// What a change of the index let go.
pub(super) struct Switched {
    /// Files that nothing names any more.
    pub(super) released: Vec<String>,
    /// The number of the change; `None` when nothing changed.
    pub(super) sequence: Option<u64>,
}

pub(super) fn meta(row: &Row<'_>) -> rusqlite::Result<BlobMeta> {
    let raw: String = row.get(0)?;
    let key = BlobKey::parse(raw)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(BlobMeta {
        key,
        length: row.get::<_, i64>(1).map(|length| u64::try_from(length).unwrap_or_default())?,
        etag: ETag(row.get(2)?),
        modified: Millis(row.get(3)?),
        content_type: row.get(4)?,
        content_encoding: row.get(5)?,
        cache_control: row.get(6)?,
    })
}

/// `Error::NotFound` when there is none.
pub(super) fn find(connection: &Connection, bucket: &str, key: &BlobKey) -> Result<Found> {
    let sql = format!("SELECT {META}, id, sha256, file, metadata FROM blob WHERE bucket = ?1 AND key = ?2");
    let found = |row: &Row<'_>| {
        Ok(Found {
            meta: meta(row)?,
            row: row.get(7)?,
            sha256: Sha256Digest(row.get(8)?),
            file: row.get(9)?,
            user: UserMetadata::from_text(row.get(10)?),
        })
    };
    connection
        .prepare_cached(&sql)
        .and_then(|mut sql| sql.query_row(params![bucket, key.as_str()], found).optional())
        .during(format!("looking up `{key}`"))?
        .ok_or_else(|| Error::NotFound(key.to_string()))
}

/// The body kept in a row; `None` when it has been replaced since.
pub(super) fn body(connection: &Connection, row: i64) -> Result<Option<Bytes>> {
    connection
        .prepare_cached("SELECT body FROM blob WHERE id = ?1")
        .and_then(|mut sql| sql.query_row(params![row], |row| row.get::<_, Vec<u8>>(0)).optional())
        .map(|body| body.map(Bytes::from))
        .during("reading a blob")
}

/// Holds the condition against what is stored; the answer is the file of the blob that is there.
pub(super) fn check(
    connection: &Connection,
    bucket: &str,
    key: &BlobKey,
    condition: &PutCondition,
) -> Result<Option<String>> {
    let old: Option<(String, Option<String>)> = connection
        .prepare_cached("SELECT etag, file FROM blob WHERE bucket = ?1 AND key = ?2")
        .and_then(|mut sql| {
            sql.query_row(params![bucket, key.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .during(format!("looking up `{key}`"))?;
    let holds = match (condition, &old) {
        (PutCondition::Always, _) | (PutCondition::IfAbsent, None) => true,
        (PutCondition::IfMatch(etag), Some((stored, _))) => etag.0 == *stored,
        (PutCondition::IfAbsent, Some(_)) | (PutCondition::IfMatch(_), None) => false,
    };
    match holds {
        true => Ok(old.and_then(|(_, file)| file)),
        false => Err(Error::ConditionFailed { key: key.to_string(), index: None }),
    }
}

/// Points `meta.key` at `body` if the condition holds.
pub(super) fn switch(
    connection: &Connection,
    bucket: &str,
    meta: &BlobMeta,
    user: &UserMetadata,
    body: &Body,
    condition: &PutCondition,
) -> Result<Switched> {
    let what = || format!("storing `{}`", meta.key);
    let released = check(connection, bucket, &meta.key, condition)?.into_iter().collect();
    connection
        .prepare_cached("INSERT OR IGNORE INTO bucket (name, created) VALUES (?1, ?2)")
        .and_then(|mut sql| sql.execute(params![bucket, meta.modified.0]))
        .during(what())?;
    let (file, bytes) = match &body.content {
        Content::Row(bytes) => (None, Some(bytes.as_ref())),
        Content::File(placed) => (Some(placed.name.as_str()), None),
    };
    let sql = format!(
        "INSERT OR REPLACE INTO blob ({META}, bucket, sha256, file, body, metadata)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    let length = i64::try_from(meta.length).during(what())?;
    let values = params![
        meta.key.as_str(),
        length,
        meta.etag.0,
        meta.modified.0,
        meta.content_type,
        meta.content_encoding,
        meta.cache_control,
        bucket,
        body.sha256.0,
        file,
        bytes,
        user.to_text(),
    ];
    connection.prepare_cached(&sql).and_then(|mut sql| sql.execute(values)).during(what())?;
    Ok(Switched { released, sequence: u64::try_from(connection.last_insert_rowid()).ok() })
}

/// Takes a blob out of the index; nothing happens when there is none.
pub(super) fn remove(connection: &Connection, bucket: &str, key: &BlobKey) -> Result<Switched> {
    let file: Option<Option<String>> = connection
        .prepare_cached("DELETE FROM blob WHERE bucket = ?1 AND key = ?2 RETURNING file")
        .and_then(|mut sql| sql.query_row(params![bucket, key.as_str()], |row| row.get(0)).optional())
        .during(format!("deleting `{key}`"))?;
    let Some(file) = file else { return Ok(Switched { released: Vec::new(), sequence: None }) };
    // The number of the next row: greater than that of the blob that went.
    let next: i64 = connection
        .prepare_cached("SELECT seq + 1 FROM sqlite_sequence WHERE name = 'blob'")
        .and_then(|mut sql| sql.query_row([], |row| row.get(0)))
        .during("numbering a deletion")?;
    connection
        .prepare_cached("UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'blob'")
        .and_then(|mut sql| sql.execute(params![next]))
        .during("numbering a deletion")?;
    Ok(Switched { released: file.into_iter().collect(), sequence: u64::try_from(next).ok() })
}
