//! TLS to the stores, by rustls: whom to trust comes from a file, since a store in one's own network mostly has a
//! certificate of one's own authority. The file is read with the configuration, so that what is wrong with it stands in
//! the same list.

use super::reader::Reader;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// What a client of TLS needs that trusts the authorities of one file, and nobody else.
#[derive(Clone)]
pub struct Authorities(Arc<ClientConfig>);

impl Authorities {
    /// The settings for the driver. The server's name is checked against its certificate.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    fn of(path: &Path) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        if roots.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        let versions = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(Self(Arc::new(versions.with_root_certificates(roots).with_no_client_auth())))
    }
}

impl std::fmt::Debug for Authorities {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authorities")
    }
}

impl Reader<'_> {
    /// The authorities of the file that a setting names, if it names one.
    pub(super) fn authorities(&mut self, key: &str) -> Option<Authorities> {
        let path = self.text(key);
        if path.is_empty() {
            return None;
        }
        match Authorities::of(Path::new(&path)) {
            Ok(authorities) => Some(authorities),
            Err(error) => {
                self.wrong(key, &format!("a PEM file of certificates ({error})"));
                None
            }
        }
    }
}
