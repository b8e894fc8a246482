//! The least of an HTTP client, for the broker's own listener.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::PATIENCE;

/// Speaks HTTP/1.1, one connection for each request.
#[derive(Debug, Clone)]
pub struct HttpClient {
    address: SocketAddr,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl HttpReply {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(one, _)| one == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("no JSON: {:?}", self.body))
    }
}

impl HttpClient {
    /// For a listener of the loopback address.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            headers: Vec::new(),
        }
    }

    /// With one header more in each request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// GET.
    pub async fn get(&self, path: &str) -> anyhow::Result<HttpReply> {
        self.send("GET", path, None).await
    }

    /// POST of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<HttpReply> {
        self.send("POST", path, Some(body)).await
    }

    /// Any method.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<HttpReply> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let body = body.map(Value::to_string).unwrap_or_default();
            let (host, length) = (self.address.to_string(), body.len().to_string());
            let mut lines = vec![
                format!("{method} {path} HTTP/1.1"),
                format!("host: {host}"),
                "connection: close".to_owned(),
                format!("content-length: {length}"),
            ];
            if !body.is_empty() {
                lines.push("content-type: application/json".to_owned());
            }
            let headers = self.headers.iter();
            lines.extend(headers.map(|(name, value)| format!("{name}: {value}")));
            let request = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
            stream.write_all(request.as_bytes()).await?;
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).await?;
            parse(&String::from_utf8(reply)?)
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .context("no answer in time")?
    }
}

fn parse(reply: &str) -> anyhow::Result<HttpReply> {
    let (head, body) = reply.split_once("\r\n\r\n").context("no end of headers")?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).context("no status")?.parse()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked {
        unchunked(body)?
    } else {
        body.to_owned()
    };
    Ok(HttpReply {
        status,
        headers,
        body,
    })
}

fn unchunked(mut rest: &str) -> anyhow::Result<String> {
    let mut body = String::new();
    loop {
        let (size, after) = rest.split_once("\r\n").context("no size of a chunk")?;
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        ensure!(after.is_char_boundary(size), "a chunk that ends too early");
        let (chunk, after) = after.split_at(size);
        body += chunk;
        rest = after.strip_prefix("\r\n").context("no end of a chunk")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_bodies_are_read() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\n\r\nok";
        let reply = parse(plain).unwrap();
        assert_eq!((reply.status, &*reply.body), (200, "ok"));
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        let chunked = "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let reply = parse(chunked).unwrap();
        assert_eq!((reply.status, &*reply.body), (404, "abcd"));
    }
}
