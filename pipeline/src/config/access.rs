//! Who may send orders, and over what: the tokens of `[receive]`, and `[receive.tls]`.

use super::reader::Reader;
use std::path::PathBuf;
use std::time::Duration;

/// The files of tokens and TLS, and how often they are looked at.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct Access {
    pub tokens_file: Option<PathBuf>,
    pub tls: Option<TlsFiles>,
    pub reload: Duration,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "default.toml says what each means")]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Access {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let mut path = |key: &str| Some(read.text(key)).filter(|path| !path.is_empty()).map(PathBuf::from);
        let tokens_file = path("receive.tokens_file");
        let tls = match (path("receive.tls.certificate"), path("receive.tls.key")) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (None, Some(_)) => {
                read.wrong("receive.tls.certificate", "the certificate of receive.tls.key");
                None
            }
            (Some(_), None) => {
                read.wrong("receive.tls.key", "the key of receive.tls.certificate");
                None
            }
        };
        let reload = read.duration("receive.reload");
        read.require("receive.reload", !reload.is_zero(), "more than 0");
        Self { tokens_file, tls, reload }
    }
}
