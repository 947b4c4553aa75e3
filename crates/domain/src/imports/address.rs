//! Where an import may come from: https, and addresses that everyone can reach. What answers only within a network is
//! not to be read through us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::{Error, InvalidCode, Result};

/// An address to import from (bytes).
const URL_BYTES_MAX: usize = 2_000;

fn refused(message: impl Into<String>) -> Error {
    Error::Invalid { field: Some("url"), code: InvalidCode::UrlNotAllowed, message: message.into() }
}

/// Reads the address of a repository: https, a host, a path, and nothing else. A name is looked up when it is used, and
/// what it stands for is checked then.
pub fn parse_import_url(raw: &str) -> Result<Url> {
    let plain = raw.len() <= URL_BYTES_MAX && raw.bytes().all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
    let rest = raw.strip_prefix("https://").filter(|rest| plain && !rest.starts_with('/'));
    let url = rest.and_then(|_| Url::parse(raw).ok());
    let url = url.ok_or_else(|| refused("An import comes from an address like `https://host/path.git`."))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("Send the user name and the password beside the address, not in it."));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("The address of a repository has no query and no fragment."));
    }
    check_import_url(&url)?;
    Ok(url)
}

/// The rules for an address that was reached by whatever way, a redirect too.
pub fn check_import_url(url: &Url) -> Result<()> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err(refused("The address names no host.")),
    };
    if url.scheme() != "https" || url.port() == Some(0) {
        return Err(refused("An import comes over https."));
    }
    match address {
        Some(address) if !is_public(address) => Err(refused("The address is not one that everyone can reach.")),
        _ => Ok(()),
    }
}

/// Whether an address is one of the internet's (IANA special-purpose address registries). Addresses that carry an IPv4
/// address are what that one is.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        // This network, private, loopback; 240/4 reserved and 224/4 multicast.
        0 | 10 | 127 | 224.. => true,
        // Shared between carriers.
        100 => (64..128).contains(&b),
        // Link-local, and with it the metadata of instances.
        169 => b == 254,
        172 => (16..32).contains(&b),
        // Protocol assignments, documentation, 6to4 relays, private.
        192 => matches!((b, c), (0, 0) | (0, 2) | (88, 99)) || b == 168,
        // Benchmarks, documentation.
        198 => (18..20).contains(&b) || (b, c) == (51, 100),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let low = |at: usize| Ipv4Addr::from((u32::from(parts[at]) << 16) | u32::from(parts[at + 1]));
    match parts {
        // Mapped (RFC 4291), and behind NAT64 (RFC 6052): the IPv4 address at the end.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => is_public_v4(low(6)),
        // Protocol assignments with Teredo and ORCHID, documentation, 6to4.
        [0x2001, 0x0000..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0x0000..=0x0fff, ..] => false,
        // Only 2000::/3 is given out: no loopback, link-local, unique local, multicast or local NAT64 is in it.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssrf_001_to_021_addresses_that_are_not_for_imports_are_refused() {
        for bad in [
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/",
            "http://127.0.0.1:4000/",
            "http://0/",
            "http://0x7f000001/",
            "http://127.1/",
            "http://user@127.0.0.1/",
            "file:///etc/passwd",
            "ext::sh -c id",
            "ssh://-oProxyCommand=id/x",
            "gopher://127.0.0.1:6379/_x",
            "https://example.com%0d%0aHost:%20x/",
            "https:///evil.example/x",
            "https:/evil.example/x",
            "https:\\\\evil.example\\x",
            "HTTPS://127.0.0.1/x",
            "https://169.254.169.254/x",
            "https://[fd00:ec2::254]/x",
            "https://0/x",
            "https://0x7f000001/x",
            "https://127.1/x",
            "https://2130706433/x",
            "https://0177.0.0.1/x",
            "https://[::1]/x",
            "https://[::ffff:10.0.0.1]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://[64:ff9b:1::1]/x",
            "https://[2002:7f00:1::]/x",
            "https://[fe80::1]/x",
            "https://user@example.com/x",
            "https://user:password@example.com/x",
            "https://example.com/x?service=git-receive-pack",
            "https://example.com/x#y",
            "https://example.com:0/x",
            "https://exa mple.com/x",
            "https://",
            "",
            "git@example.com:x/y.git",
            "//example.com/x",
        ] {
            let error = parse_import_url(bad).unwrap_err();
            assert!(matches!(error, Error::Invalid { code: InvalidCode::UrlNotAllowed, .. }), "{bad}: {error:?}");
        }
        assert!(parse_import_url(&format!("https://example.com/{}", "x".repeat(URL_BYTES_MAX))).is_err());
        for good in ["https://example.com/a/b.git", "https://example.com:8443/x", "https://8.8.8.8/x.git"] {
            assert_eq!(parse_import_url(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn only_the_internets_addresses_are_public() {
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "::127.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.254",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2606:4700::1111",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
