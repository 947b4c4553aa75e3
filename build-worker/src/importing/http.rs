//! Git's smart HTTP as a client: https alone, to addresses that were looked at.
//!
//! **Invariant**: a connection goes to exactly the address that was checked: a name that answers differently the second
//! time (rebinding) leads nowhere else. A redirect is checked as the first address was.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::BlobStream;
use domain::{ImportCredential, ImportTask, check_import_url, is_public};
use futures::{StreamExt, TryStreamExt, stream};
use git_store::{Error, Remote, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::ImportSettings;

/// Looking a name up, and each step of connecting.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Until an answer begins: a server may count objects for a while.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Between two pieces of an answer.
const PIECE_MAX: Duration = Duration::from_secs(60);
const REDIRECTS_MAX: usize = 3;
const SERVICE: &str = "/info/refs?service=git-upload-pack";
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");

/// A repository behind https.
pub(super) struct HttpsRemote {
    place: Mutex<Place>,
    allowed: Vec<IpAddr>,
    tls: TlsConnector,
}

/// Where the repository is: a redirect moves it.
#[derive(Clone)]
struct Place {
    base: Url,
    /// Only for the origin that it was given for.
    credential: Option<ImportCredential>,
}

fn failed(text: impl Into<String>) -> Error {
    Error::Protocol(text.into())
}

impl HttpsRemote {
    pub fn new(task: ImportTask, settings: &ImportSettings) -> Result<Self> {
        let ImportTask { url, credential } = task;
        let tls = TlsConnector::from(Arc::new(tls(settings)?));
        let place = Mutex::new(Place { base: url, credential });
        Ok(Self { place, allowed: settings.allowed.clone(), tls })
    }

    fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The addresses of a host, all of which must be allowed: a name that has one public and one private address is a
    /// trap, not a repository.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>> {
        let port = url.port_or_known_default().unwrap_or(443);
        let found: Vec<SocketAddr> = match url.host() {
            Some(Host::Ipv4(address)) => vec![(address, port).into()],
            Some(Host::Ipv6(address)) => vec![(address, port).into()],
            Some(Host::Domain(name)) => {
                let looked_up = timeout(CONNECT_MAX, tokio::net::lookup_host((name, port))).await;
                let unknown = || failed(format!("`{name}` is not known"));
                looked_up.map_err(|_| unknown())?.map_err(|_| unknown())?.collect()
            }
            None => Vec::new(),
        };
        if found.is_empty() {
            return Err(failed("the address leads nowhere"));
        }
        let may = |address: &SocketAddr| is_public(address.ip()) || self.allowed.contains(&address.ip());
        match found.iter().all(may) {
            true => Ok(found),
            false => Err(failed("the address leads to a network that imports may not reach")),
        }
    }

    async fn connect(&self, url: &Url) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let host = url.host_str().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| failed("the host's name is not one"))?;
        let mut stream = None;
        for address in self.addresses(url).await? {
            if let Ok(Ok(connected)) = timeout(CONNECT_MAX, TcpStream::connect(address)).await {
                stream = Some(connected);
                break;
            }
        }
        let stream = stream.ok_or_else(|| failed(format!("`{host}` does not answer")))?;
        let secured = timeout(CONNECT_MAX, self.tls.connect(name, stream)).await;
        secured
            .map_err(|_| failed(format!("`{host}` does not answer")))?
            .map_err(|error| failed(format!("`{host}` cannot be trusted: {error}")))
    }

    async fn send(&self, request: Request<Full<Bytes>>, url: &Url) -> Result<Response<Incoming>> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let broken = |error: hyper::Error| failed(format!("`{host}` broke off: {error}"));
        let stream = TokioIo::new(self.connect(url).await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(broken)?;
        // Ends with the answer's body, or when that is given up.
        tokio::spawn(connection);
        let answer = timeout(ANSWER_MAX, sender.send_request(request)).await;
        answer.map_err(|_| failed(format!("`{host}` did not answer in time")))?.map_err(broken)
    }

    fn request(place: &Place, url: &Url, method: Method, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let wrong = |_| failed("the address cannot be asked for");
        let authority = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
            None => url.host_str().unwrap_or_default().to_owned(),
        };
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let mut request = Request::builder().method(method).uri(target).body(Full::new(body)).map_err(wrong)?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| failed("the host's name is not one"))?);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("git/workroom-", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(GIT_PROTOCOL, HeaderValue::from_static("version=2"));
        if let Some(ImportCredential { username, password }) = &place.credential {
            let proof = format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.expose())));
            let mut proof = HeaderValue::from_str(&proof).map_err(|_| failed("the credential cannot be sent"))?;
            proof.set_sensitive(true);
            headers.insert(AUTHORIZATION, proof);
        }
        Ok(request)
    }
}

#[async_trait::async_trait]
impl Remote for HttpsRemote {
    async fn advertisement(&self) -> Result<BlobStream> {
        for _ in 0..=REDIRECTS_MAX {
            let place = self.place();
            let url = below(&place.base, SERVICE)?;
            let answer = self.send(Self::request(&place, &url, Method::GET, Bytes::new())?, &url).await?;
            if answer.status().is_redirection() {
                let moved = moved(&place, &url, &answer)?;
                *self.place.lock().unwrap_or_else(PoisonError::into_inner) = moved;
                continue;
            }
            return body(answer, "application/x-git-upload-pack-advertisement");
        }
        Err(failed(format!("the server redirects more than {REDIRECTS_MAX} times")))
    }

    async fn upload_pack(&self, request: Bytes) -> Result<BlobStream> {
        let place = self.place();
        let url = below(&place.base, "/git-upload-pack")?;
        let mut request = Self::request(&place, &url, Method::POST, request)?;
        let content_type = HeaderValue::from_static("application/x-git-upload-pack-request");
        request.headers_mut().insert(CONTENT_TYPE, content_type);
        body(self.send(request, &url).await?, "application/x-git-upload-pack-result")
    }
}

/// An address below that of the repository.
fn below(base: &Url, rest: &str) -> Result<Url> {
    let whole = format!("{}{rest}", base.as_str().trim_end_matches('/'));
    Url::parse(&whole).map_err(|_| failed("the address cannot be asked for"))
}

/// Where a redirect of `info/refs` says that the repository is (gitprotocol-http, "Smart Clients").
fn moved(place: &Place, asked: &Url, answer: &Response<Incoming>) -> Result<Place> {
    let to = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let to = to.and_then(|to| asked.join(to).ok()).ok_or_else(|| failed("the server redirects to nowhere"))?;
    check_import_url(&to).map_err(|_| failed("the server redirects to an address that imports may not come from"))?;
    let base = to.as_str().strip_suffix(SERVICE).and_then(|base| Url::parse(base).ok());
    let base = base.ok_or_else(|| failed("the server redirects to something that is not a repository"))?;
    let same = base.origin() == place.base.origin();
    Ok(Place { base, credential: place.credential.clone().filter(|_| same) })
}

/// The answer's body when it is the one asked for.
fn body(answer: Response<Incoming>, content_type: &str) -> Result<BlobStream> {
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err(failed("the server wants a user name and a password, or other ones"));
        }
        StatusCode::NOT_FOUND => return Err(failed("the server has no repository at this address")),
        status => return Err(failed(format!("the server answers {}", status.as_u16()))),
    }
    let given = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if given.split(';').next().map(str::trim) != Some(content_type) {
        return Err(failed("the server's answer is not Git's: is this the address of a repository?"));
    }
    let pieces = answer.into_body().into_data_stream().map_err(io::Error::other).boxed();
    let patient = stream::unfold(pieces, |mut pieces| async move {
        let piece = match timeout(PIECE_MAX, pieces.next()).await {
            Ok(piece) => piece?,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the server sends nothing more")),
        };
        Some((piece, pieces))
    });
    Ok(patient.boxed())
}

/// Trust in the system's authorities, and in those that the operator adds.
fn tls(settings: &ImportSettings) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if let Some(file) = &settings.authorities {
        let unreadable = |error| failed(format!("the file of authorities cannot be read: {error}"));
        for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots.add(certificate).map_err(|error| failed(format!("an authority cannot be used: {error}")))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| failed(format!("TLS cannot be used: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
