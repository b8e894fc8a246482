//! The TLS listener's certificate and key, which may be replaced while it listens.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::broker::StartError;
use crate::config::TlsConfig;

/// What handshakes use from now on. Connections that are open keep what they have.
#[derive(Debug)]
pub(crate) struct Certificate {
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificate {
    /// Reads certificate and key.
    pub(crate) fn read(config: &TlsConfig) -> Result<Arc<Self>, StartError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = ArcSwap::from_pointee(read(config, &provider)?);
        Ok(Arc::new(Self { provider, current }))
    }

    /// Reads them again. What was read before stays in use if they cannot be used.
    pub(crate) fn replace(&self, config: &TlsConfig) -> Result<(), StartError> {
        let new = read(config, &self.provider)?;
        self.current.store(Arc::new(new));
        Ok(())
    }

    /// Answers handshakes with it.
    pub(crate) fn acceptor(
        self: &Arc<Self>,
        config: &TlsConfig,
    ) -> Result<TlsAcceptor, StartError> {
        let server = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&config.cert, error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as _);
        Ok(TlsAcceptor::from(Arc::new(server)))
    }
}

fn unusable(
    file: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StartError {
    StartError::Tls {
        file: file.to_owned(),
        source: source.into(),
    }
}

/// Fails if they do not belong together.
fn read(config: &TlsConfig, provider: &CryptoProvider) -> Result<CertifiedKey, StartError> {
    let chain = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&config.cert, error))?;
    if chain.is_empty() {
        return Err(unusable(&config.cert, "there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&config.key);
    let key = key.map_err(|error| unusable(&config.key, error))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InvalidCertificate(_) => unusable(&config.cert, error),
        error => unusable(&config.key, error),
    })
}
