//! The TLS listener's certificate and key.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::broker::StartError;
use crate::config::TlsConfig;

/// Reads certificate and key.
pub(crate) fn acceptor(config: &TlsConfig) -> Result<TlsAcceptor, StartError> {
    fn bad(file: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StartError {
        StartError::Tls {
            file: file.to_owned(),
            source: source.into(),
        }
    }
    let chain = CertificateDer::pem_file_iter(&config.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| bad(&config.cert, error))?;
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|error| bad(&config.key, error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&config.cert, error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad(&config.cert, error))?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}
