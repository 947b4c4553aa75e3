//! Multipart uploads: parts as bodies of their own until they become one blob.

use bytes::Bytes;
use cloud::limits::BLOB_PUT_MAX;
use cloud::{
    BlobKey, BlobMeta, BlobStream, ETag, Error, Millis, PutCondition, PutOptions, Result, Sha256Digest, UploadId,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::body::{Body, Content, Expected, blocking, receive};
use super::{Files, LocalBlobs, ObjectEventKind, UserMetadata, index};
use crate::store::database::During;
use crate::store::{PAGE_MAX, page_limit, prefix_end};

/// Every part but the last has at least this many bytes (Amazon S3).
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
/// Parts are numbered from 1 to this (Amazon S3).
const PART_NUMBER_MAX: u32 = 10_000;
/// How much of a part is copied at once.
const COPY_CHUNK: usize = 1024 * 1024;

/// An upload that is neither complete nor aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    pub id: UploadId,
    pub key: BlobKey,
    pub created: Millis,
}

#[derive(Clone, Debug)]
pub struct UploadPart {
    pub number: u32,
    pub length: u64,
    pub etag: ETag,
    pub modified: Millis,
}

/// A part as the client names it when it completes an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedPart {
    pub number: u32,
    pub etag: ETag,
}

struct StoredPart {
    length: u64,
    file: String,
}

impl LocalBlobs {
    /// Starts an upload; of `options` only what is stored beside the content counts.
    pub async fn start_upload(&self, key: &BlobKey, options: PutOptions, user: UserMetadata) -> Result<UploadId> {
        let id = UploadId(self.inner.random_hex());
        let (bucket, key, now, upload) = (self.bucket.clone(), key.clone(), self.inner.now(), id.clone());
        let work = move |connection: &Connection| {
            let sql = "INSERT INTO upload (id, bucket, key, created, content_type, content_encoding, cache_control,
                metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let PutOptions { content_type, content_encoding, cache_control, .. } = options;
            let values = params![
                upload.0,
                bucket,
                key.as_str(),
                now.0,
                content_type,
                content_encoding,
                cache_control,
                user.to_text()
            ];
            connection.execute(sql, values).during(format!("starting the upload of `{key}`")).map(drop)
        };
        self.inner.main.write(work).await?;
        Ok(id)
    }

    /// Stores part `number`, in place of an earlier one. `Error::NotFound` when there is no such upload.
    pub async fn put_part(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        number: u32,
        body: BlobStream,
        length: Option<u64>,
        sha256: Option<Sha256Digest>,
    ) -> Result<ETag> {
        check_number(number)?;
        let (bucket, name, id) = (self.bucket.clone(), key.clone(), upload.clone());
        self.inner.main.read(move |connection| find(connection, &bucket, &name, &id).map(drop)).await?;
        let expected = Expected { length, sha256 };
        let body = receive(&self.inner.files, self.inner.random_hex(), key, body, expected, 0).await?;
        let body = self.in_file(body).await?;
        let (etag, now) = (body.etag(), self.inner.now());
        let (bucket, key, id, answer) = (self.bucket.clone(), key.clone(), upload.clone(), etag.clone());
        let work = move |connection: &Connection| {
            find(connection, &bucket, &key, &id)?;
            let released = store_part(connection, &id, number, &body, &etag, now)?;
            if let Content::File(placed) = body.content {
                placed.keep();
            }
            Ok(released)
        };
        let (files, runtime) = (self.inner.files.clone(), tokio::runtime::Handle::current());
        let after = move |released: &Option<String>| {
            if let Some(name) = released.clone() {
                runtime.spawn_blocking(move || files.remove(&name));
            }
        };
        self.inner.main.write_then(work, after).await?;
        Ok(answer)
    }

    /// An empty part still gets a file, so that all parts are alike.
    async fn in_file(&self, body: Body) -> Result<Body> {
        let Content::Row(bytes) = body.content else { return Ok(body) };
        let (files, name) = (self.inner.files.clone(), self.inner.random_hex());
        blocking(move || {
            let mut staged = files.stage(name)?;
            staged.write(&[bytes])?;
            let (length, sha256) = (staged.length(), staged.digest());
            Ok(Body { content: Content::File(staged.place()?), length, sha256 })
        })
        .await
    }

    /// The parts stored so far, by number, after `after`.
    pub async fn parts(&self, key: &BlobKey, upload: &UploadId, after: u32, limit: usize) -> Result<Vec<UploadPart>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let (bucket, key, upload) = (self.bucket.clone(), key.clone(), upload.clone());
        let work = move |connection: &Connection| {
            find(connection, &bucket, &key, &upload)?;
            let sql = "SELECT number, length, etag, modified FROM part WHERE upload = ?1 AND number > ?2
                ORDER BY number LIMIT ?3";
            let part = |row: &Row<'_>| {
                Ok(UploadPart {
                    number: row.get(0)?,
                    length: length(row, 1)?,
                    etag: ETag(row.get(2)?),
                    modified: Millis(row.get(3)?),
                })
            };
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(params![upload.0, after, limit], part)?.collect())
                .during("listing parts")
        };
        self.inner.main.read(work).await
    }

    /// Uploads under `prefix` that are neither complete nor aborted, by key; at most 1,000.
    pub async fn uploads(&self, prefix: &str) -> Result<Vec<Upload>> {
        let (bucket, prefix) = (self.bucket.clone(), prefix.to_owned());
        let work = move |connection: &Connection| {
            let sql = "SELECT id, key, created FROM upload WHERE bucket = ?1 AND key >= ?2
                AND (?3 IS NULL OR key < ?3) ORDER BY key, id LIMIT 1000";
            let rows: Vec<(String, String, i64)> = connection
                .prepare_cached(sql)
                .and_then(|mut sql| {
                    let values = params![bucket, prefix, prefix_end(&prefix)];
                    sql.query_map(values, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
                })
                .during("listing uploads")?;
            rows.into_iter()
                .map(|(id, key, created)| {
                    Ok(Upload { id: UploadId(id), key: BlobKey::parse(key)?, created: Millis(created) })
                })
                .collect()
        };
        self.inner.main.read(work).await
    }

    /// Makes one blob of the parts named, in order. `Error::Invalid` when one is missing, too small or out of order.
    pub async fn join_upload(
        &self,
        key: &BlobKey,
        upload: &UploadId,
        parts: Vec<CompletedPart>,
        condition: PutCondition,
    ) -> Result<BlobMeta> {
        let (bucket, name, id) = (self.bucket.clone(), key.clone(), upload.clone());
        let count = parts.len();
        let work = move |connection: &Connection| {
            let options = find(connection, &bucket, &name, &id)?;
            Ok((options, chosen(connection, &name, &id, &parts)?))
        };
        let ((options, user), chosen) = self.inner.main.read(work).await?;
        self.check_condition(key, &condition).await?;
        let (files, name) = (self.inner.files.clone(), self.inner.random_hex());
        let body = blocking(move || join(&files, name, &chosen)).await?;
        let etag = ETag(format!("{}-{count}", body.etag().0));
        let meta = BlobMeta {
            key: key.clone(),
            length: body.length,
            etag,
            modified: self.inner.now(),
            content_type: options.content_type,
            content_encoding: options.content_encoding,
            cache_control: options.cache_control,
        };
        let (bucket, id, answer) = (self.bucket.clone(), upload.clone(), meta.clone());
        let work = move |connection: &Connection| {
            // Completed or aborted meanwhile: then this one has nothing to complete.
            find(connection, &bucket, &meta.key, &id)?;
            let mut switched = index::switch(connection, &bucket, &meta, &user, &body, &condition)?;
            switched.released.extend(remove_upload(connection, &id)?);
            if let Content::File(placed) = body.content {
                placed.keep();
            }
            Ok(switched)
        };
        self.write_index(ObjectEventKind::Created, answer.clone(), work).await?;
        Ok(answer)
    }

    /// Throws an upload and its parts away. `Error::NotFound` when there is no such upload.
    pub async fn drop_upload(&self, key: &BlobKey, upload: &UploadId) -> Result<()> {
        let (bucket, key, upload) = (self.bucket.clone(), key.clone(), upload.clone());
        let work = move |connection: &Connection| {
            find(connection, &bucket, &key, &upload)?;
            remove_upload(connection, &upload)
        };
        let (files, runtime) = (self.inner.files.clone(), tokio::runtime::Handle::current());
        let after = move |released: &Vec<String>| {
            let released = released.clone();
            runtime.spawn_blocking(move || released.iter().for_each(|name| files.remove(name)));
        };
        self.inner.main.write_then(work, after).await.map(drop)
    }
}

pub(super) fn check_number(number: u32) -> Result<()> {
    match (1..=PART_NUMBER_MAX).contains(&number) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("a part has a number from 1 to {PART_NUMBER_MAX}"))),
    }
}

fn length(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(|length| u64::try_from(length).unwrap_or_default())
}

/// What is stored beside the content of an upload.
fn find(connection: &Connection, bucket: &str, key: &BlobKey, upload: &UploadId) -> Result<(PutOptions, UserMetadata)> {
    let sql = "SELECT content_type, content_encoding, cache_control, metadata FROM upload
        WHERE id = ?1 AND bucket = ?2 AND key = ?3";
    let options = |row: &Row<'_>| {
        let (content_type, content_encoding) = (row.get(0)?, row.get(1)?);
        let options =
            PutOptions { content_type, content_encoding, cache_control: row.get(2)?, ..PutOptions::default() };
        Ok((options, UserMetadata::from_text(row.get(3)?)))
    };
    connection
        .prepare_cached(sql)
        .and_then(|mut sql| sql.query_row(params![upload.0, bucket, key.as_str()], options).optional())
        .during("looking up an upload")?
        .ok_or_else(|| Error::NotFound(format!("upload {} of {key}", upload.0)))
}

/// Writes the row of a part; the answer is the file of the part it replaces.
fn store_part(
    connection: &Connection,
    upload: &UploadId,
    number: u32,
    body: &Body,
    etag: &ETag,
    now: Millis,
) -> Result<Option<String>> {
    let what = || format!("storing part {number}");
    let Content::File(placed) = &body.content else {
        return Err(Error::other(what(), "a part without a file"));
    };
    let old = connection
        .prepare_cached("SELECT file FROM part WHERE upload = ?1 AND number = ?2")
        .and_then(|mut sql| sql.query_row(params![upload.0, number], |row| row.get(0)).optional())
        .during(what())?;
    let sql = "INSERT OR REPLACE INTO part (upload, number, length, etag, modified, file)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let length = i64::try_from(body.length).during(what())?;
    let values = params![upload.0, number, length, etag.0, now.0, placed.name];
    connection.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).during(what())?;
    Ok(old)
}

/// The stored parts that the client names, checked as Amazon S3 checks them.
fn chosen(
    connection: &Connection,
    key: &BlobKey,
    upload: &UploadId,
    parts: &[CompletedPart],
) -> Result<Vec<StoredPart>> {
    let wrong = |why: &str| Error::Invalid(format!("the upload of `{key}` cannot be completed: {why}"));
    if parts.is_empty() || parts.len() > PART_NUMBER_MAX as usize {
        return Err(wrong("it names no part, or too many"));
    }
    let mut sql = connection
        .prepare_cached("SELECT length, file FROM part WHERE upload = ?1 AND number = ?2 AND etag = ?3")
        .during("reading parts")?;
    let (mut found, mut before, mut total) = (Vec::with_capacity(parts.len()), 0, 0);
    for part in parts {
        if part.number <= before {
            return Err(wrong("the parts are not in order"));
        }
        before = part.number;
        let stored = sql
            .query_row(params![upload.0, part.number, part.etag.0], |row| {
                Ok(StoredPart { length: length(row, 0)?, file: row.get(1)? })
            })
            .optional()
            .during("reading parts")?
            .ok_or_else(|| wrong("a part is not there, or has another etag"))?;
        total += stored.length;
        found.push(stored);
    }
    if found.iter().rev().skip(1).any(|part| part.length < PART_BYTES_MIN) {
        return Err(wrong("a part before the last is smaller than 5 MiB"));
    }
    match total > BLOB_PUT_MAX {
        true => Err(Error::TooLarge { what: format!("`{key}`"), actual: total, limit: BLOB_PUT_MAX }),
        false => Ok(found),
    }
}

/// Copies the parts into one body.
fn join(files: &Files, name: String, parts: &[StoredPart]) -> Result<Body> {
    use std::io::Read;
    let mut staged = files.stage(name)?;
    let mut buffer = vec![0; COPY_CHUNK];
    for part in parts {
        let mut file = std::fs::File::open(files.path(&part.file)).during("opening a part")?;
        loop {
            let read = file.read(&mut buffer).during("reading a part")?;
            if read == 0 {
                break;
            }
            staged.write(&[Bytes::copy_from_slice(&buffer[..read])])?;
        }
    }
    if staged.length() != parts.iter().map(|part| part.length).sum::<u64>() {
        return Err(Error::Corrupt("a part of an upload".into()));
    }
    let (length, sha256) = (staged.length(), staged.digest());
    Ok(Body { content: Content::File(staged.place()?), length, sha256 })
}

/// Removes the rows of an upload; the answer is the files of its parts.
fn remove_upload(connection: &Connection, upload: &UploadId) -> Result<Vec<String>> {
    let what = "removing an upload";
    let files = connection
        .prepare_cached("DELETE FROM part WHERE upload = ?1 RETURNING file")
        .and_then(|mut sql| sql.query_map(params![upload.0], |row| row.get(0))?.collect())
        .during(what)?;
    connection.execute("DELETE FROM upload WHERE id = ?1", params![upload.0]).during(what)?;
    Ok(files)
}

/// Removes one upload that was started before `before`; the answer is its files, `None` when there is none.
pub(in crate::store) fn abandon(connection: &Connection, before: Millis) -> Result<Option<Vec<String>>> {
    let id: Option<String> = connection
        .prepare_cached("SELECT id FROM upload WHERE created < ?1 LIMIT 1")
        .and_then(|mut sql| sql.query_row(params![before.0], |row| row.get(0)).optional())
        .during("looking for abandoned uploads")?;
    id.map(|id| remove_upload(connection, &UploadId(id))).transpose()
}
