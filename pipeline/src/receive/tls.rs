//! TLS, by rustls: the certificate and key as they are now, and the handshake of a connection.

use crate::config::TlsFiles;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use std::sync::Arc;

/// HTTP/2 is taken by a client that offers it, else HTTP/1.1.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate with its key, ready for handshakes.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends, in seconds of Unix time.
    pub(super) not_after: i64,
}

impl Identity {
    /// Reads both files.
    ///
    /// # Errors
    /// Which file cannot be read or is none, or that they do not belong together.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, String> {
        let certificates = CertificateDer::pem_file_iter(&files.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| told(&files.certificate, &error))?;
        let Some(first) = certificates.first() else {
            return Err(told(&files.certificate, &"there is no certificate in it"));
        };
        let (_, parsed) = x509_parser::parse_x509_certificate(first)
            .map_err(|_| told(&files.certificate, &"the first is no X.509 certificate"))?;
        let not_after = parsed.validity().not_after.timestamp();
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| told(&files.key, &error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
            .map_err(|error| {
                format!("{} with {}: {error}", files.certificate.display(), files.key.display())
            })?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { config: Arc::new(config), not_after })
    }
}

fn told(path: &Path, what: &dyn std::fmt::Display) -> String {
    format!("{}: {what}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path) -> TlsFiles {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
        std::fs::write(&files.certificate, own.cert.pem()).unwrap();
        std::fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn what_is_no_certificate_or_no_key_of_it_is_refused_with_the_file_s_name() {
        let dir = tempfile::tempdir().unwrap();
        let good = files(dir.path());
        // rcgen's default is the year 4096.
        assert!(Identity::read(&good).unwrap().not_after > 60_000_000_000);
        let other = tempfile::tempdir().unwrap();
        let other = files(other.path());
        let mismatched = TlsFiles { key: other.key, ..good.clone() };
        let error = Identity::read(&mismatched).unwrap_err();
        assert!(error.contains("certificate.pem with"), "{error}");
        let swapped = TlsFiles { certificate: good.key.clone(), key: good.certificate.clone() };
        let error = Identity::read(&swapped).unwrap_err();
        assert!(error.contains("key.pem: there is no certificate"), "{error}");
        let gone = TlsFiles { key: dir.path().join("gone.pem"), ..good.clone() };
        assert!(Identity::read(&gone).unwrap_err().contains("gone.pem"));
        std::fs::write(&good.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(Identity::read(&good).unwrap_err().contains("no X.509 certificate"));
    }
}
