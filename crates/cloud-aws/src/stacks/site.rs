//! The files of an app's front end, brought into the bucket that the stack's outputs name.

use std::io::{Cursor, Read};
use std::path::Path;

use bytes::Bytes;
use cloud::{BlobKey, Blobs, Error, PutOptions, Result};
use zip::ZipArchive;

use super::session::Session;

/// The output that names the bucket: what `sam deploy` shows to whoever copies the files by hand.
pub(super) const BUCKET_OUTPUT: &str = "SiteBucketName";
/// The zip of a front end (bytes), and one file of it.
const ZIP_MAX: usize = 250 * 1024 * 1024;
const FILE_MAX: u64 = 100 * 1024 * 1024;
/// Pages come last, so that what they ask for is there before them.
const PAGE: &str = "html";

/// Puts every file of the zip `site` into `bucket`. Files of versions before stay: a page that is open still asks for
/// them. The answer is how many there are.
pub(super) async fn publish(site: &BlobKey, bucket: &str, session: &Session) -> Result<usize> {
    let zip = cloud::collect(session.platform_blobs().get(site, None).await?, ZIP_MAX).await?;
    let mut archive = ZipArchive::new(Cursor::new(zip)).map_err(|error| unreadable(site, error))?;
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| unreadable(site, error))?;
        if entry.is_file() {
            names.push((entry.name().map_err(|error| unreadable(site, error))?.into_owned(), index));
        }
    }
    names.sort_by_key(|(name, _)| Path::new(name).extension().is_some_and(|ending| ending == PAGE));
    let clients = session.clients().await?;
    let blobs = clients.aws.blobs(bucket);
    for (name, index) in &names {
        let file = read(&mut archive, *index, name, site)?;
        let options = PutOptions { content_type: Some(content_type(name)), ..PutOptions::default() };
        blobs.put(&BlobKey::parse(name.as_str())?, file, options).await?;
    }
    Ok(names.len())
}

fn read(archive: &mut ZipArchive<Cursor<Bytes>>, index: usize, name: &str, site: &BlobKey) -> Result<Bytes> {
    let entry = archive.by_index(index).map_err(|error| unreadable(site, error))?;
    let mut file = Vec::new();
    entry.take(FILE_MAX + 1).read_to_end(&mut file).map_err(|error| unreadable(site, error))?;
    if file.len() as u64 > FILE_MAX {
        return Err(Error::TooLarge { what: format!("`{name}`"), actual: file.len() as u64, limit: FILE_MAX });
    }
    Ok(file.into())
}

fn unreadable(site: &BlobKey, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::other(format!("reading the front end `{site}`"), error)
}

/// The media type by the name's ending; text is UTF-8.
fn content_type(name: &str) -> String {
    let guessed = mime_guess::from_path(name).first_or_octet_stream();
    let text = guessed.type_() == "text" || matches!(guessed.subtype().as_str(), "javascript" | "json");
    if text { format!("{guessed}; charset=utf-8") } else { guessed.to_string() }
}
