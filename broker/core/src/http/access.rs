//! Who may see what is not for everybody.
//!
//! With `[http] admin_token`, whoever brings it. Without one, whoever sits on this machine, which
//! is less easily told than it seems: a reverse proxy here speaks for strangers, and so does the
//! browser of somebody here. Requests that show signs of either are refused.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::{AdminToken, HttpConfig};

/// What proxies add, besides all that begins with [`FORWARDED`].
const PROXIED: [&str; 3] = ["forwarded", "via", "x-real-ip"];

const FORWARDED: &str = "x-forwarded";

/// Where the page is from that a browser asks for.
const SEC_FETCH_SITE: &str = "sec-fetch-site";

#[derive(Debug, Clone)]
pub(super) struct Access {
    token: Option<AdminToken>,
}

impl Access {
    pub(super) fn new(config: &HttpConfig) -> Self {
        Self {
            token: config.admin_token.clone(),
        }
    }

    fn check(&self, peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        match &self.token {
            Some(token) => match bearer(headers) {
                Some(brought) if token.is(brought) => Ok(()),
                _ => Err(Refusal::Token),
            },
            None if is_local(peer, uri, headers) => Ok(()),
            None => Err(Refusal::NotLocal),
        }
    }
}

enum Refusal {
    Token,
    NotLocal,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Token => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                let text = "this needs the header `Authorization: Bearer` with http.admin_token\n";
                (StatusCode::UNAUTHORIZED, challenge, text).into_response()
            }
            Self::NotLocal => {
                let text = "without http.admin_token, this is only for this machine itself\n";
                (StatusCode::FORBIDDEN, text).into_response()
            }
        }
    }
}

pub(super) async fn guard(
    State(access): State<Access>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Err(refusal) = access.check(peer.ip(), request.uri(), headers) {
        tracing::debug!(%peer, path = request.uri().path(), "not let in over HTTP");
        return refusal.into_response();
    }
    // The token is ours: no plugin has to see it.
    request.headers_mut().remove(header::AUTHORIZATION);
    next.run(request).await
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn is_local(peer: IpAddr, uri: &Uri, headers: &HeaderMap) -> bool {
    peer.to_canonical().is_loopback()
        && !PROXIED.iter().any(|name| headers.contains_key(*name))
        && !headers
            .keys()
            .any(|name| name.as_str().starts_with(FORWARDED))
        && !is_from_page(headers)
        && names_this_machine(uri, headers)
}

/// Whether a page in a browser asks, which a name of its own that means this machine does not
/// excuse. Most requests of pages have no Origin. `none` is what somebody typed into the browser.
fn is_from_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    headers.contains_key(header::ORIGIN)
        || headers.contains_key(header::REFERER)
        || sites.any(|site| site != "none")
}

/// Whether the request is addressed to this machine by one of the names that only mean it.
fn names_this_machine(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    is_this_machine(host)
        && uri
            .authority()
            .is_none_or(|one| is_this_machine(one.as_str()))
}

/// `host` may have a port.
fn is_this_machine(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            name
        } else {
            host
        }
    });
    name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;
    use axum::http::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    fn lets_in(token: Option<&str>, peer: &str, list: &[(&'static str, &'static str)]) -> bool {
        let token = token.map(|token| AdminToken::from(token.to_owned()));
        let peer = peer.parse().unwrap();
        Access { token }
            .check(peer, &Uri::from_static("/metrics"), &headers(list))
            .is_ok()
    }

    #[test]
    fn without_a_token_only_this_machine_itself() {
        for peer in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            for host in [
                "localhost",
                "LOCALHOST:80",
                "127.0.0.1",
                "127.0.0.1:80",
                "[::1]",
                "[::1]:80",
            ] {
                assert!(lets_in(None, peer, &[("host", host)]), "{peer} {host}");
            }
        }
        assert!(!lets_in(None, "10.0.0.1", &[("host", "localhost")]));
        assert!(!lets_in(None, "::2", &[("host", "localhost")]));
        assert!(!lets_in(
            None,
            "10.0.0.1",
            &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")]
        ));
    }

    #[test]
    fn proxies_and_browsers_do_not_count_as_this_machine() {
        let forwarded = ["x-forwarded-for", "x-forwarded-server", "x-forwarded"];
        for name in PROXIED.into_iter().chain(forwarded) {
            assert!(
                !lets_in(
                    None,
                    "127.0.0.1",
                    &[("host", "localhost"), (name, "127.0.0.1")]
                ),
                "{name}"
            );
        }
        for (name, value) in [
            ("origin", "http://localhost"),
            ("referer", "http://localhost/"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-origin"),
        ] {
            let page = [("host", "localhost"), (name, value)];
            assert!(!lets_in(None, "127.0.0.1", &page), "{name}: {value}");
        }
        let typed = [("host", "localhost"), ("sec-fetch-site", "none")];
        assert!(lets_in(None, "127.0.0.1", &typed));
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "localhost:x",
            "",
        ] {
            assert!(!lets_in(None, "127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(!lets_in(None, "127.0.0.1", &[]));
        assert!(!lets_in(
            None,
            "127.0.0.1",
            &[("host", "localhost"), ("host", "evil.example")]
        ));
    }

    #[test]
    fn with_a_token_nothing_else_counts() {
        let token = Some("0123456789abcdef");
        let bring = |value| lets_in(token, "10.0.0.1", &[("authorization", value)]);
        assert!(bring("Bearer 0123456789abcdef"));
        assert!(bring("bearer  0123456789abcdef"));
        for wrong in [
            "Bearer 0123456789abcdeg",
            "Bearer 0123456789abcde",
            "Bearer",
            "Bearer ",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!bring(wrong), "{wrong}");
        }
        assert!(!lets_in(token, "127.0.0.1", &[("host", "localhost")]));
    }
}
