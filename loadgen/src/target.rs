//! Where requests go: the URL taken apart, the addresses behind it, and the headers that all requests share.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Method, Request, Uri};

use crate::plan::{Bodies, Plan};

/// The header that carries the instant at which a request was due, in Unix nanoseconds.
pub const DUE_AT: HeaderName = HeaderName::from_static("tillflow-due-at");

/// A target that no request can be sent to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a URL of the form `http://host:port/path`.
    #[error("read the URL {0:?}: it must look like http://host:port/path")]
    Url(String),
    /// The host's name has no address.
    #[error("find the address of {host}")]
    Address {
        /// The host and port of the URL.
        host: String,
        /// Why not.
        source: io::Error,
    },
    /// Not an HTTP method.
    #[error("use the method {0:?}: it is not an HTTP method")]
    Method(String),
    /// Not an HTTP header.
    #[error("use the header {0:?}: its name or value is not allowed in HTTP")]
    Header(String),
}

/// Where requests go, and what they have in common.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) http2: bool,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
}

impl Target {
    /// Reads the plan's URL and looks up its host.
    pub(crate) fn new(plan: &Plan, bodies: &Bodies) -> Result<Self, TargetError> {
        let bad_url = || TargetError::Url(plan.url.clone());
        let url: Uri = plan.url.parse().map_err(|_| bad_url())?;
        if url.scheme() != Some(&Scheme::HTTP) {
            return Err(bad_url());
        }
        let authority = url.authority().ok_or_else(bad_url)?;
        let host = url.host().ok_or_else(bad_url)?.trim_matches(['[', ']']);
        let addresses: Vec<SocketAddr> = (host, url.port_u16().unwrap_or(80))
            .to_socket_addrs()
            .map_err(|source| TargetError::Address { host: authority.to_string(), source })?
            .collect();

        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(bodies.content_type(plan.batch > 1)));
        for (name, value) in &plan.headers {
            let bad = || TargetError::Header(format!("{name}: {value}"));
            headers.insert(
                name.parse::<HeaderName>().map_err(|_| bad())?,
                value.parse::<HeaderValue>().map_err(|_| bad())?,
            );
        }
        // HTTP/2 has the authority in the request's own pseudo-header, HTTP/1.1 in Host.
        let uri = if plan.http2 {
            url
        } else {
            headers.insert(HOST, authority.as_str().parse().map_err(|_| bad_url())?);
            Uri::from(url.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")))
        };
        // The place of the due instant is taken now, so that setting it does not make each clone grow.
        headers.insert(DUE_AT, HeaderValue::from(0_u64));
        let method = plan.method.parse().map_err(|_| TargetError::Method(plan.method.clone()))?;
        Ok(Self { addresses, http2: plan.http2, uri, method, headers })
    }

    /// A request with this body, due at this Unix time in nanoseconds.
    pub(crate) fn request(&self, body: Bytes, due_unix_ns: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.insert(DUE_AT, HeaderValue::from(due_unix_ns));
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn target(url: &str) -> Result<Target, TargetError> {
        let plan = Plan::new(url, 1.0, Duration::from_secs(1));
        Target::new(&plan, &Bodies::Same(Bytes::new()))
    }

    #[test]
    fn a_request_has_the_path_the_host_and_its_due_instant() {
        let request =
            target("http://127.0.0.1:8080/v1/orders?results=all").unwrap().request(Bytes::new(), 42);
        assert_eq!(request.uri(), "/v1/orders?results=all");
        assert_eq!(request.headers()[HOST], "127.0.0.1:8080");
        assert_eq!(request.headers()[DUE_AT], "42");
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for url in ["https://127.0.0.1/", "127.0.0.1:8080", "/v1/orders", "http://", ""] {
            assert!(matches!(target(url), Err(TargetError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_literal_ipv6_address_is_understood() {
        assert_eq!(target("http://[::1]:8080/").unwrap().addresses, ["[::1]:8080".parse().unwrap()]);
    }
}
