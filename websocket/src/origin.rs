//! Where a browser's page may come from that opens a connection.

use function::Config;
use url::{Host, Origin, Url};

/// Whether a handshake with this `Origin` header is ours: scheme, host and port, all of it. Clients that are no
/// browsers send none; the ticket alone proves them.
pub fn is_ours(config: &Config, origin: Option<&str>) -> bool {
    let Some(origin) = origin else { return true };
    let Ok(page) = Url::parse(origin) else { return false };
    // An origin has no path, no query, no user.
    if page.origin().ascii_serialization() != origin {
        return false;
    }
    match &config.public_url {
        Some(own) => own.origin() == page.origin() || same_loopback(own, &page),
        None => pages_of(&config.socket_url).is_some_and(|own| own == page.origin()),
    }
}

/// `localhost`, `127.0.0.1` and `[::1]` are one machine: the platform on it answers on each. A user's site has another
/// name (`dev--project.localhost`) and is none of them.
fn same_loopback(own: &Url, page: &Url) -> bool {
    is_loopback(own) && is_loopback(page) && own.scheme() == page.scheme() && own.port() == page.port()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The origin of pages on the host of the socket itself.
fn pages_of(socket: &Url) -> Option<Origin> {
    let rest = socket.as_str();
    let pages = rest.strip_prefix("wss://").map(|rest| format!("https://{rest}"));
    let pages = pages.or_else(|| rest.strip_prefix("ws://").map(|rest| format!("http://{rest}")))?;
    Url::parse(&pages).ok().map(|url| url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(public: &str) -> Config {
        Config::read(|name| {
            Some(
                match name {
                    "WORKROOM_ENVIRONMENT" => "dev",
                    "PUBLIC_URL" => public,
                    "SOCKET_URL" => "wss://sockets.example/dev",
                    "SOCKET_MANAGEMENT_URL" | "JOB_QUEUE_URL" | "TAIL_QUEUE_URL" => "https://sockets.example/dev",
                    "PARAMETER_PREFIX" => "/workroom/dev",
                    "LOG_LEVEL" => "off",
                    "AREA" | "RESPONSE_TRANSFER_MODE" => return None,
                    _ => "x",
                }
                .to_owned(),
            )
        })
        .unwrap()
    }

    #[test]
    fn ws_003_only_the_exact_origin_is_ours() {
        let config = config("https://app.example");
        assert!(is_ours(&config, Some("https://app.example")));
        assert!(is_ours(&config, None));
        for bad in [
            "https://app.example.evil.com",
            "https://evilapp.example",
            "https://app.example:444",
            "http://app.example",
            "null",
            "",
            "https://app.example/",
            "https://app.example@evil.com",
            "HTTPS://APP.EXAMPLE",
            "app.example",
        ] {
            assert!(!is_ours(&config, Some(bad)), "{bad}");
        }
    }

    #[test]
    fn ws_004_a_site_of_a_user_is_not_ours() {
        let config = config("http://localhost:8000");
        for good in ["http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"] {
            assert!(is_ours(&config, Some(good)), "{good}");
        }
        for bad in
            ["http://dev--shop.localhost:8000", "http://localhost:8001", "https://localhost:8000", "http://localhost"]
        {
            assert!(!is_ours(&config, Some(bad)), "{bad}");
        }
    }
}
