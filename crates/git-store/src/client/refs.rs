//! What a repository elsewhere offers: its capabilities, its branches and tags (gitprotocol-v2, "ls-refs").

use super::{Remote, said};
use crate::protocol::pktline::{self, Packet, PacketReader};
use crate::{BranchName, Error, Oid, RefName, Result};

/// The capabilities of a server (bytes).
const ADVERTISEMENT_MAX: u64 = 1 << 20;
/// Refs that are imported.
const REFS_MAX: usize = 10_000;
/// The list of refs (bytes).
const LIST_MAX: u64 = 16 << 20;
/// Refs that are told to be left out.
const SKIPPED_TOLD_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRef {
    pub name: RefName,
    pub oid: Oid,
}

/// The branches and tags of a repository elsewhere, in order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteRefs {
    pub refs: Vec<RemoteRef>,
    /// The branch that HEAD names; where it names none that is there, the likeliest. `None` without branches.
    pub head: Option<BranchName>,
    /// Refs whose names are not allowed here (at most 100 of them).
    pub skipped: Vec<String>,
}

pub(super) async fn list(remote: &dyn Remote) -> Result<RemoteRefs> {
    check_capabilities(PacketReader::new(remote.advertisement().await?, ADVERTISEMENT_MAX)).await?;
    let mut request = Vec::new();
    for line in ["command=ls-refs", crate::protocol::AGENT, "object-format=sha1"] {
        pktline::line(&mut request, line);
    }
    pktline::delimiter(&mut request);
    for line in ["symrefs", "ref-prefix HEAD", "ref-prefix refs/heads/", "ref-prefix refs/tags/"] {
        pktline::line(&mut request, line);
    }
    pktline::flush(&mut request);
    let mut reader = PacketReader::new(remote.upload_pack(request.into()).await?, LIST_MAX);
    let mut found = RemoteRefs::default();
    let mut head = None;
    loop {
        match reader.next().await? {
            Some(Packet::Flush) => break,
            Some(packet) => take(&packet, &mut found, &mut head)?,
            None => return Err(Error::Protocol("the list of refs is cut short".into())),
        }
        if found.refs.len() > REFS_MAX {
            return Err(Error::TooLarge(format!("the repository has more than {REFS_MAX} branches and tags")));
        }
    }
    found.refs.sort_by(|a, b| a.name.cmp(&b.name));
    found.refs.dedup_by(|a, b| a.name == b.name);
    found.head = choose_head(&found, head);
    Ok(found)
}

/// Reads the advertisement: `# service=…` may stand before it, and then nothing but version 2 will do.
async fn check_capabilities(mut reader: PacketReader) -> Result<()> {
    let cut = || Error::Protocol("the server's answer is cut short".into());
    let mut packet = reader.next().await?.ok_or_else(cut)?;
    if packet.line() == Some(b"# service=git-upload-pack") {
        reader.next().await?;
        packet = reader.next().await?.ok_or_else(cut)?;
    }
    if packet.line() != Some(b"version 2") {
        return Err(said(&packet));
    }
    let (mut lists, mut fetches) = (false, false);
    while let Some(Packet::Data(bytes)) = reader.next().await? {
        let text = String::from_utf8_lossy(&bytes);
        let (name, value) = text.trim_end().split_once('=').unwrap_or((text.trim_end(), ""));
        match name {
            "ls-refs" => lists = true,
            "fetch" => fetches = true,
            "object-format" if value != "sha1" => {
                return Err(Error::Protocol(format!(
                    "the repository uses {}, here it is SHA-1",
                    pktline::plain(value)
                )));
            }
            _ => {}
        }
    }
    match lists && fetches {
        true => Ok(()),
        false => Err(Error::Protocol("the server can neither list nor send".into())),
    }
}

/// One line of the list: `oid name attribute…`.
fn take(packet: &Packet, found: &mut RemoteRefs, head: &mut Option<BranchName>) -> Result<()> {
    let line = packet.line().ok_or_else(|| said(packet))?;
    let text = std::str::from_utf8(line).unwrap_or_default();
    let mut words = text.split(' ');
    let oid = words.next().and_then(|raw| Oid::parse_bytes(raw.as_bytes()));
    let (Some(oid), Some(name)) = (oid, words.next()) else {
        // Names that are no UTF-8 cannot be kept; anything else is not a list.
        return match line.get(40) == Some(&b' ') {
            true => {
                skip(found, &String::from_utf8_lossy(&line[41..]));
                Ok(())
            }
            false => Err(said(packet)),
        };
    };
    if name == "HEAD" {
        let target = words.find_map(|word| word.strip_prefix("symref-target:refs/heads/"));
        *head = target.and_then(|target| BranchName::parse(target).ok());
        return Ok(());
    }
    match RefName::parse(name) {
        Ok(name) if !name.is_hidden() && !oid.is_zero() => found.refs.push(RemoteRef { name, oid }),
        _ => skip(found, name),
    }
    Ok(())
}

fn skip(found: &mut RemoteRefs, name: &str) {
    if found.skipped.len() < SKIPPED_TOLD_MAX {
        found.skipped.push(pktline::plain(name));
    }
}

fn choose_head(found: &RemoteRefs, head: Option<BranchName>) -> Option<BranchName> {
    let branches: Vec<BranchName> = found.refs.iter().filter_map(|one| one.name.branch()).collect();
    let is_there = |name: &BranchName| branches.contains(name);
    let usual = ["main", "master"].into_iter().filter_map(|name| BranchName::parse(name).ok());
    head.into_iter().chain(usual).find(is_there).or_else(|| branches.first().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Canned(&'static [u8], Vec<u8>);

    #[async_trait::async_trait]
    impl Remote for Canned {
        async fn advertisement(&self) -> Result<cloud::BlobStream> {
            Ok(cloud::stream_of(self.0))
        }
        async fn upload_pack(&self, _: bytes::Bytes) -> Result<cloud::BlobStream> {
            Ok(cloud::stream_of(self.1.clone()))
        }
    }

    const V2: &[u8] = b"000eversion 2\n000cls-refs\n000afetch\n0000";

    fn lines(lines: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        lines.iter().for_each(|line| pktline::line(&mut out, line));
        pktline::flush(&mut out);
        out
    }

    #[tokio::test]
    async fn refs_are_read_and_those_with_bad_names_left_out() {
        let oid = "1".repeat(40);
        let listed = lines(&[
            format!("{oid} HEAD symref-target:refs/heads/trunk"),
            format!("{oid} refs/heads/trunk"),
            format!("{oid} refs/heads/a..b"),
            format!("{oid} refs/internal/x"),
            format!("{oid} refs/tags/v1 peeled:{oid}"),
        ]);
        let found = list(&Canned(V2, listed)).await.unwrap();
        let names: Vec<&str> = found.refs.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["refs/heads/trunk", "refs/tags/v1"]);
        assert_eq!(found.head.unwrap().as_str(), "trunk");
        assert_eq!(found.skipped, ["refs/heads/a..b", "refs/internal/x"]);
    }

    #[tokio::test]
    async fn what_is_not_version_two_is_an_error_with_a_reason() {
        let refused = async |advertised: &'static [u8], listed: Vec<u8>| {
            list(&Canned(advertised, listed)).await.unwrap_err().to_string()
        };
        for bad in [&b""[..], b"<html>", b"0000", b"0010version 1234", b"ffff"] {
            assert!(!refused(bad, Vec::new()).await.is_empty());
        }
        assert!(refused(b"0015ERR no such thing\n", Vec::new()).await.contains("no such thing"));
        let sha256 = b"000eversion 2\n000cls-refs\n000afetch\n001aobject-format=sha256\n0000";
        assert!(refused(sha256, Vec::new()).await.contains("sha256"));
        for bad in ["garbage", "1234 refs/heads/x", ""] {
            assert!(!refused(V2, lines(&[bad.to_owned()])).await.is_empty(), "{bad}");
        }
        assert!(refused(V2, b"0031".to_vec()).await.contains("cut short"));
    }
}
