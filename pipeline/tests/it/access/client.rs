//! A client that speaks TLS and trusts what it is told to, and certificates for the server.

use crate::support::DEADLINE;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate of its own with its key, as files of a folder.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub pem: (String, String),
}

impl Identity {
    /// Makes one that ends in a year.
    pub fn write(dir: &Path, year: i32) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        let pem = (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let made = Self { certificate: dir.join("certificate.pem"), key: dir.join("key.pem"), pem };
        made.place();
        made
    }

    /// Puts both files there again.
    pub fn place(&self) {
        std::fs::write(&self.certificate, &self.pem.0).unwrap();
        std::fs::write(&self.key, &self.pem.1).unwrap();
    }

    pub fn settings(&self) -> [String; 3] {
        [
            format!("receive.tls.certificate={}", self.certificate.display()),
            format!("receive.tls.key={}", self.key.display()),
            "receive.reload=50ms".to_owned(),
        ]
    }
}

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Connects to a server whose certificate is that one, and offers it the protocols.
pub fn connect(address: SocketAddr, identity: &Identity, protocols: &[&[u8]]) -> std::io::Result<Stream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(identity.pem.0.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    client.complete_io(&mut stream)?;
    Ok(StreamOwned::new(client, stream))
}

/// Sends a request whose connection ends behind it, and reads all that comes; its status.
pub fn ask(stream: &mut Stream, request: &[u8]) -> Option<u16> {
    stream.write_all(request).unwrap();
    let mut bytes = Vec::new();
    // The end may come without TLS's own farewell.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).split(' ').nth(1)?.parse().ok()
}
