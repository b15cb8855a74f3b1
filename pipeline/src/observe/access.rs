//! The metrics of who gets in: tokens, TLS, and the files that both come from.

use super::counters::{Counters, Label, SecondsGauge, add};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What is read again when it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The file of tokens.
    Tokens,
    /// The certificate and its key.
    Certificate,
}

impl Watched {
    const TAGS: [&'static str; 2] = ["tokens", "certificate"];

    /// The word in logs and metrics.
    pub fn tag(self) -> &'static str {
        Self::TAGS.get(self as usize).copied().unwrap_or_default()
    }
}

/// Why a connection came to no TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHandshake {
    /// The client spoke no TLS, or none that is understood, or refused the certificate.
    Refused,
    /// The client ended the connection.
    Broken,
    /// The client was too slow.
    Late,
}

impl NoHandshake {
    const TAGS: [&'static str; 3] = ["refused", "broken", "late"];
}

/// The metrics.
#[derive(Debug)]
#[expect(missing_docs, reason = "each metric's help text says what it counts")]
pub struct AccessMetrics {
    pub receive_tokens: Gauge,
    pub receive_certificate_not_after_seconds: SecondsGauge,
    requests: Family<Label, Counter>,
    no_handshakes: Counters<3>,
    reloads: Counters<2>,
    reload_errors: Counters<2>,
}

impl AccessMetrics {
    /// Registers them.
    pub(super) fn register(it: &mut Registry) -> Self {
        Self {
            receive_tokens: add(it, "receive_tokens", "Tokens in force", Gauge::default()),
            receive_certificate_not_after_seconds: add(
                it,
                "receive_certificate_not_after_seconds",
                "Unix time at which the certificate in force ends; 0 without TLS",
                SecondsGauge::default(),
            ),
            requests: add(
                it,
                "receive_token_requests",
                "Requests let in by a token, by the client's name in the file",
                Family::default(),
            ),
            no_handshakes: Counters::register(
                it,
                "receive_tls_handshake_errors",
                "Connections that came to no TLS, by reason",
                "reason",
                NoHandshake::TAGS,
            ),
            reloads: Counters::register(
                it,
                "receive_reloads",
                "Times that files were read again, by what they hold",
                "file",
                Watched::TAGS,
            ),
            reload_errors: Counters::register(
                it,
                "receive_reload_errors",
                "Times that they could not be read and what was there stayed in force",
                "file",
                Watched::TAGS,
            ),
        }
    }

    /// The counter of requests that a client's token let in.
    pub fn requests(&self, name: &str) -> Counter {
        self.requests.get_or_create(&Label("client", name.to_owned())).clone()
    }

    /// The counter of connections that came to no TLS.
    pub fn no_handshakes(&self, why: NoHandshake) -> &Counter {
        self.no_handshakes.at(why as usize)
    }

    /// The counter of files that were read again.
    pub fn reloads(&self, what: Watched) -> &Counter {
        self.reloads.at(what as usize)
    }

    /// The counter of files that could not be.
    pub fn reload_errors(&self, what: Watched) -> &Counter {
        self.reload_errors.at(what as usize)
    }
}
