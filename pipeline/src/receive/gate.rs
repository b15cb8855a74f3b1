//! The gate: who gets in, by the files of tokens and TLS as they are now. A file that has changed is read again without
//! a restart; one that is broken leaves what was there before in force.

use super::tls::Identity;
use super::tokens::{Tokens, bearer};
use crate::config::Access;
use crate::observe::access::{AccessMetrics, Watched};
use crate::stamp::Stamp;
use arc_swap::ArcSwap;
use hyper::header::{AUTHORIZATION, HeaderMap};
use std::path::PathBuf;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Who gets in. Without tokens everybody does, and without a certificate plain HTTP is spoken: that is the default.
#[derive(Debug, Default)]
pub struct Gate {
    tokens: Option<Watching<Tokens>>,
    identity: Option<Watching<Identity>>,
}

impl Gate {
    /// Reads the files of a configuration.
    ///
    /// # Errors
    /// Which file is not as it should be, and why.
    pub fn open(access: &Access, metrics: &AccessMetrics) -> Result<Self, String> {
        let tokens = access.tokens_file.clone().map(|path| {
            Watching::open(Watched::Tokens, vec![path.clone()], move || {
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                Tokens::read(&text).map_err(|error| format!("{}: {error}", path.display()))
            })
        });
        let identity = access.tls.clone().map(|files| {
            let paths = vec![files.certificate.clone(), files.key.clone()];
            Watching::open(Watched::Certificate, paths, move || Identity::read(&files))
        });
        let gate = Self { tokens: tokens.transpose()?, identity: identity.transpose()? };
        gate.show(metrics);
        Ok(gate)
    }

    /// Whether a request may send orders: no token is asked for, or it shows one that is known. Which client it is gets
    /// counted.
    pub(super) fn admits(&self, headers: &HeaderMap, metrics: &AccessMetrics) -> bool {
        let Some(tokens) = &self.tokens else { return true };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        // Of two headers it is not plain which one counts, so neither does.
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let tokens = tokens.current.load();
        let owner = value.to_str().ok().and_then(bearer).and_then(|token| tokens.owner(token));
        if let Some(owner) = owner {
            metrics.requests(owner).inc();
        }
        owner.is_some()
    }

    /// Whether TLS is spoken.
    pub(super) fn is_tls(&self) -> bool {
        self.identity.is_some()
    }

    /// What makes TLS of a new connection, by the certificate as it is now.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let identity = self.identity.as_ref()?.current.load();
        Some(TlsAcceptor::from(identity.config.clone()))
    }

    /// Looks at the files again and again, without end.
    pub(super) async fn watch(&self, every: Duration, metrics: &AccessMetrics) {
        if self.tokens.is_none() && self.identity.is_none() {
            std::future::pending().await
        }
        let mut seen =
            (self.tokens.as_ref().map(Watching::stamp), self.identity.as_ref().map(Watching::stamp));
        loop {
            tokio::time::sleep(every).await;
            if let (Some(tokens), Some(seen)) = (&self.tokens, &mut seen.0) {
                tokens.look(seen, metrics);
            }
            if let (Some(identity), Some(seen)) = (&self.identity, &mut seen.1) {
                identity.look(seen, metrics);
            }
            self.show(metrics);
        }
    }

    fn show(&self, metrics: &AccessMetrics) {
        if let Some(tokens) = &self.tokens {
            let tokens = tokens.current.load();
            metrics.receive_tokens.set(i64::try_from(tokens.len()).unwrap_or(i64::MAX));
            // So that a client that has not come yet stands there with 0.
            tokens.names().into_iter().for_each(|name| drop(metrics.requests(name)));
        }
        if let Some(identity) = &self.identity {
            metrics.receive_certificate_not_after_seconds.set(identity.current.load().not_after as f64);
        }
    }
}

/// What was read out of files that are watched.
struct Watching<T> {
    what: Watched,
    files: Vec<PathBuf>,
    read: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
    current: ArcSwap<T>,
    /// The files as they were when they were read first: what changes between that and the first look is seen, too.
    first: Vec<Stamp>,
}

impl<T> Watching<T> {
    fn open(
        what: Watched,
        files: Vec<PathBuf>,
        read: impl Fn() -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let first = stamps(&files);
        let current = ArcSwap::from_pointee(read()?);
        Ok(Self { what, files, read: Box::new(read), current, first })
    }

    fn stamp(&self) -> Vec<Stamp> {
        self.first.clone()
    }

    /// Reads the files again if they have changed since they were looked at last.
    fn look(&self, seen: &mut Vec<Stamp>, metrics: &AccessMetrics) {
        let now = stamps(&self.files);
        if now == *seen {
            return;
        }
        *seen = now;
        let what = self.what.tag();
        match (self.read)() {
            Ok(read) => {
                self.current.store(read.into());
                tracing::info!(what, "read again");
                metrics.reloads(self.what).inc();
            }
            Err(error) => {
                tracing::error!(what, error, "what was read before stays in force");
                metrics.reload_errors(self.what).inc();
            }
        }
    }
}

impl<T> std::fmt::Debug for Watching<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watching").field("files", &self.files).finish_non_exhaustive()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|path| Stamp::of(path)).collect()
}
