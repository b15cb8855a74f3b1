//! Where requests go: the URL taken apart, the addresses or the socket behind it, whom to trust there, and the headers
//! that all requests share.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Method, Request, Uri};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::bodies::Bodies;
use crate::plan::Plan;
use crate::tls;

/// The header that carries the instant at which a request was due, in Unix nanoseconds.
pub const DUE_AT: HeaderName = HeaderName::from_static("tillflow-due-at");

/// A target that no request can be sent to.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not a URL of the form `http://host:port/path`, or the same with https.
    #[error("read the URL {0:?}: it must look like http://host:port/path or https://host:port/path")]
    Url(String),
    /// TLS cannot be set up: the authorities cannot be read.
    #[error("prepare TLS")]
    Tls(#[source] io::Error),
    /// Several streams a connection are possible with HTTP/2 alone.
    #[error("send {0} requests at a time over a connection: that needs HTTP/2, and at least one")]
    Streams(usize),
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

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

/// Where requests go, and what they have in common.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(crate) http2: bool,
    /// Statuses that count as accepted; empty: what the order contract says.
    pub(crate) expect: Vec<RangeInclusive<u16>>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
    /// Whether requests say when they were due: orders do, and whoever is sent anything else did not ask for it.
    says_due: bool,
}

impl Target {
    /// Reads the plan's URL and looks up its host.
    pub(crate) fn new(plan: &Plan, bodies: &Bodies) -> Result<Self, TargetError> {
        let bad_url = || TargetError::Url(plan.url.clone());
        let url: Uri = plan.url.parse().map_err(|_| bad_url())?;
        let secure = url.scheme() == Some(&Scheme::HTTPS);
        if !secure && url.scheme() != Some(&Scheme::HTTP) {
            return Err(bad_url());
        }
        if plan.streams == 0 || (plan.streams > 1 && !plan.http2) {
            return Err(TargetError::Streams(plan.streams));
        }
        let authority = url.authority().ok_or_else(bad_url)?;
        let host = url.host().ok_or_else(bad_url)?.trim_matches(['[', ']']).to_owned();
        let place = match &plan.unix_socket {
            Some(path) => Place::Unix(path.clone()),
            None => {
                let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
                let found = (host.as_str(), port).to_socket_addrs();
                Place::Tcp(
                    found
                        .map_err(|source| TargetError::Address { host: authority.to_string(), source })?
                        .collect(),
                )
            }
        };
        let tls = if secure {
            let name = ServerName::try_from(host).map_err(|_| bad_url())?;
            Some((tls::client(&plan.tls, plan.http2).map_err(TargetError::Tls)?, name))
        } else {
            None
        };

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
            if !headers.contains_key(HOST) {
                headers.insert(HOST, authority.as_str().parse().map_err(|_| bad_url())?);
            }
            Uri::from(url.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")))
        };
        let says_due = bodies.may_be_sent_again();
        if says_due {
            // The place of the due instant is taken now, so that setting it does not make each clone grow.
            headers.insert(DUE_AT, HeaderValue::from(0_u64));
        }
        let method = plan.method.parse().map_err(|_| TargetError::Method(plan.method.clone()))?;
        let (http2, expect) = (plan.http2, plan.expect.clone());
        Ok(Self { place, tls, http2, expect, uri, method, headers, says_due })
    }

    /// A request with this body, due at this Unix time in nanoseconds.
    pub(crate) fn request(&self, body: Bytes, due_unix_ns: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        if self.says_due {
            headers.insert(DUE_AT, HeaderValue::from(due_unix_ns));
        }
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
    fn a_request_has_the_path_and_the_host_of_the_url() {
        let request =
            target("http://127.0.0.1:8080/v1/orders?results=all").unwrap().request(Bytes::new(), 42);
        assert_eq!(request.uri(), "/v1/orders?results=all");
        assert_eq!(request.headers()[HOST], "127.0.0.1:8080");
    }

    #[test]
    fn only_orders_say_when_they_were_due() {
        let spec = crate::payload::GenerateSpec {
            orders: 1,
            seed: 1,
            run_id: "r".to_owned(),
            created_at: crate::payload::CreatedAt::Absent,
            max_bytes: 1 << 20,
        };
        let orders = Bodies::from(&Arc::new(crate::payload::generate(&spec).unwrap()));
        let plan = Plan::new("http://127.0.0.1/", 1.0, Duration::from_secs(1));
        let due_at = |bodies| {
            let request = Target::new(&plan, bodies).unwrap().request(Bytes::new(), 42);
            request.headers().get(DUE_AT).cloned()
        };
        assert_eq!(due_at(&orders).unwrap(), "42");
        assert_eq!(due_at(&Bodies::Same(Bytes::new())), None);
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for url in ["ftp://127.0.0.1/", "127.0.0.1:8080", "/v1/orders", "http://", ""] {
            assert!(matches!(target(url), Err(TargetError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_literal_ipv6_address_is_understood() {
        let expected = Place::Tcp(vec!["[::1]:8080".parse().unwrap()]);
        assert_eq!(target("http://[::1]:8080/").unwrap().place, expected);
    }

    #[test]
    fn several_streams_need_http2() {
        let mut plan = Plan::new("http://127.0.0.1/", 1.0, Duration::from_secs(1));
        plan.streams = 2;
        let bodies = Bodies::Same(Bytes::new());
        assert!(matches!(Target::new(&plan, &bodies), Err(TargetError::Streams(2))));
        plan.http2 = true;
        assert!(Target::new(&plan, &bodies).is_ok());
    }

    #[test]
    fn a_socket_needs_no_address() {
        let mut plan = Plan::new("http://no-such-host.invalid/", 1.0, Duration::from_secs(1));
        plan.unix_socket = Some("socket".into());
        let target = Target::new(&plan, &Bodies::Same(Bytes::new())).unwrap();
        assert_eq!(target.place, Place::Unix("socket".into()));
    }
}
