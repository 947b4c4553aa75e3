//! Stock `git http-backend` behind a loopback HTTP server.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

/// Serves the bare repositories below `root`; the answer is the server's address.
pub async fn serve_stock(root: PathBuf) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let root = root.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| answer(root.clone(), request));
                let io = hyper_util::rt::TokioIo::new(socket);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            });
        }
    });
    url
}

async fn answer(root: PathBuf, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(run(&root, request)
        .await
        .unwrap_or_else(|error| Response::builder().status(500).body(Full::new(error.to_string().into())).unwrap()))
}

/// One request as a CGI program sees it (RFC 3875).
async fn run(root: &Path, request: Request<Incoming>) -> std::io::Result<Response<Full<Bytes>>> {
    let mut command = tokio::process::Command::new("git");
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", request.method().as_str()).env("PATH_INFO", request.uri().path());
    command.env("QUERY_STRING", request.uri().query().unwrap_or_default()).env("REMOTE_USER", "someone");
    for (name, value) in request.headers() {
        let name = name.as_str().to_uppercase().replace('-', "_");
        let name = if name == "CONTENT_TYPE" { name } else { format!("HTTP_{name}") };
        command.env(name, value.to_str().unwrap_or_default());
    }
    let body = request.into_body().collect().await.map_err(std::io::Error::other)?.to_bytes();
    command.env("CONTENT_LENGTH", body.len().to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = tokio::spawn(async move { stdin.write_all(&body).await });
    let output = child.wait_with_output().await?.stdout;
    // A program that has read enough may close its end first.
    let _ = writer.await;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(|| std::io::Error::other("no head"))?;
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        match line.split_once(": ") {
            Some(("Status", status)) => response = response.status(status[..3].parse::<u16>().unwrap()),
            Some((name, value)) => response = response.header(name, value),
            None => {}
        }
    }
    response.body(Full::new(Bytes::copy_from_slice(&output[end + 4..]))).map_err(std::io::Error::other)
}
