//! HTTP, byte by byte: tests say exactly which headers go out.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// Status code.
    pub status: u16,
    /// The header lines.
    pub head: String,
    /// The body, without white space at its end.
    pub body: String,
}

/// A GET from this machine itself.
pub async fn http_get(address: SocketAddr, path: &str) -> anyhow::Result<HttpReply> {
    let host = address.to_string();
    http(address, &format!("GET {path}"), &[("host", &host)], "").await
}

/// A request with these headers and no others but those of its length and end. `what` is method
/// and path.
pub async fn http(
    address: SocketAddr,
    what: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> anyhow::Result<HttpReply> {
    let mut stream = TcpStream::connect(address).await?;
    let headers = headers
        .iter()
        .flat_map(|(name, value)| [*name, ": ", *value, "\r\n"]);
    let headers = headers.collect::<String>();
    let length = body.len();
    let end = format!("content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let request = format!("{what} HTTP/1.1\r\n{headers}{end}");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    let read = stream.read_to_string(&mut response);
    tokio::time::timeout(partyline_testkit::PATIENCE, read).await??;
    let (head, body) = response.split_once("\r\n\r\n").context("no HTTP")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    Ok(HttpReply {
        status,
        head: head.to_ascii_lowercase(),
        body: body.trim_end().to_owned(),
    })
}
