//! TLS for `ssl:` and `pssl:` connections: both sides show a certificate, both check that the other's was signed by the
//! configured authority. Host names are not checked, as with Open vSwitch: controllers are named by address.
//!
//! With *bootstrap*, an authority that is not on disk yet is taken from the first peer's chain, written to the file, and
//! the connection is closed so that the next one is checked against it.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme,
};

/// Where keys and certificates are, from the `SSL` table.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsFiles {
    /// Our private key, PEM.
    pub private_key: PathBuf,
    /// Our certificate (and chain), PEM.
    pub certificate: PathBuf,
    /// The authority that signed the peers' certificates, PEM.
    pub ca_cert: PathBuf,
    /// Whether to take the authority from the first peer when `ca_cert` does not exist.
    pub bootstrap_ca_cert: bool,
}

/// A TLS session on a TCP connection, not blocking.
#[derive(Debug)]
pub struct TlsStream {
    /// The connection below.
    pub socket: TcpStream,
    session: Connection,
    bootstrap: Option<PathBuf>,
}

fn bad(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl TlsStream {
    /// Starts a session as the client.
    pub fn client(socket: TcpStream, files: &TlsFiles) -> io::Result<Self> {
        let bootstrap = (files.bootstrap_ca_cert && !files.ca_cert.exists()).then(|| files.ca_cert.clone());
        let roots = if bootstrap.is_some() { None } else { Some(roots(&files.ca_cert)?) };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = SignedByAuthority { roots, algorithms: provider.signature_verification_algorithms };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain(&files.certificate)?, key(&files.private_key)?)
            .map_err(bad)?;
        let name = ServerName::try_from("peer").map_err(bad)?;
        let session = ClientConnection::new(Arc::new(config), name).map_err(bad)?;
        Ok(Self { socket, session: session.into(), bootstrap })
    }

    /// Starts a session as the server.
    pub fn server(socket: TcpStream, files: &TlsFiles) -> io::Result<Self> {
        let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots(&files.ca_cert)?), provider.clone())
                .build()
                .map_err(bad)?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain(&files.certificate)?, key(&files.private_key)?)
            .map_err(bad)?;
        let session = ServerConnection::new(Arc::new(config)).map_err(bad)?;
        Ok(Self { socket, session: session.into(), bootstrap: None })
    }

    /// Goes on with the handshake; `Ok(true)` once it is complete.
    pub fn handshake(&mut self) -> io::Result<bool> {
        while self.session.is_handshaking() {
            let wrote = self.push()?;
            if !self.session.is_handshaking() {
                break;
            }
            match self.pull() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !wrote => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
        self.push()?;
        match self.bootstrap.take() {
            Some(file) => Err(self.save_authority(&file)),
            None => Ok(true),
        }
    }

    /// Writes the last certificate of the peer's chain to `file`; returns the error that ends this connection.
    fn save_authority(&self, file: &Path) -> io::Error {
        let Some(authority) = self.session.peer_certificates().and_then(|chain| chain.last()) else {
            return bad("peer presented no certificate to bootstrap from");
        };
        let text = pem(authority);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(file)
            .and_then(|mut f| f.write_all(text.as_bytes()));
        match written {
            Ok(()) => {
                tracing::info!(target: "stream_ssl", "successfully bootstrapped CA cert to {}", file.display());
                bad("reconnecting with the bootstrapped CA certificate")
            }
            Err(e) => e,
        }
    }

    /// Sends what the session has to send; whether anything went out. An `Ok` may leave a rest for later.
    fn push(&mut self) -> io::Result<bool> {
        let mut any = false;
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => any = true,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        Ok(any)
    }

    fn pull(&mut self) -> io::Result<usize> {
        let got = self.session.read_tls(&mut self.socket)?;
        if let Err(e) = self.session.process_new_packets() {
            // The alert that says why is worth an attempt; the connection ends either way.
            let _ = self.push();
            return Err(bad(e));
        }
        Ok(got)
    }

    /// Reads plain bytes; `Ok(0)` is the end, `WouldBlock` means later.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buf) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            if self.pull()? == 0 {
                return Ok(0);
            }
        }
    }

    /// Takes plain bytes to send; as many as the session has room for.
    pub fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.push()?;
        if self.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.session.writer().write(buf)?;
        self.push()?;
        Ok(taken)
    }

    /// Sends what is left over from earlier writes; `WouldBlock` while something remains.
    pub fn flush(&mut self) -> io::Result<()> {
        self.push()?;
        if self.session.wants_write() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

fn roots(file: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate).map_err(bad)?;
    }
    Ok(roots)
}

fn chain(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let named = |e: rustls::pki_types::pem::Error| bad(format!("{}: {e}", file.display()));
    let chain: Vec<_> =
        CertificateDer::pem_file_iter(file).map_err(named)?.collect::<Result<_, _>>().map_err(named)?;
    if chain.is_empty() { Err(bad(format!("{}: no certificate", file.display()))) } else { Ok(chain) }
}

fn key(file: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|e| bad(format!("{}: {e}", file.display())))
}

/// A certificate as PEM text.
fn pem(certificate: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in certificate.chunks(48) {
        for group in line.chunks(3) {
            let bits =
                group.iter().enumerate().fold(0u32, |bits, (i, &b)| bits | u32::from(b) << (16 - 8 * i));
            for i in 0..4 {
                let symbol = char::from(ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]);
                text.push(if i <= group.len() { symbol } else { '=' });
            }
        }
        text.push('\n');
    }
    text + "-----END CERTIFICATE-----\n"
}

/// Accepts a server whose certificate was signed by one of `roots`, or any server while there are none yet.
#[derive(Debug)]
struct SignedByAuthority {
    roots: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for SignedByAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_round_trip() {
        for length in [1usize, 2, 3, 47, 48, 49, 500] {
            let bytes: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let text = pem(&bytes);
            let back = CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
            assert_eq!(back.as_ref(), &bytes[..], "{text}");
        }
    }

    #[test]
    fn missing_files_are_named() {
        let error = chain(Path::new("/no/such/cert.pem")).unwrap_err();
        assert!(error.to_string().contains("/no/such/cert.pem"), "{error}");
    }
}
