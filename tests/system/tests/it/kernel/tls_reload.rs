//! The TLS listener's certificate is replaced while connections are open.

use std::path::Path;
use std::sync::Arc;

use partyline_testkit::{ConnectOptions, RawClient, TlsConfig, Version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::transport::{open, tls_broker};

/// Writes another certificate and its key, and returns their place and who trusts only it.
fn another(folder: &Path) -> anyhow::Result<(TlsConfig, TlsConnector)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let tls = TlsConfig {
        cert: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    };
    std::fs::write(&tls.cert, made.cert.pem())?;
    std::fs::write(&tls.key, made.signing_key.serialize_pem())?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((tls, TlsConnector::from(Arc::new(config))))
}

#[tokio::test]
async fn new_handshakes_use_the_new_certificate_and_open_connections_go_on() -> anyhow::Result<()> {
    let (broker, old) = tls_broker(|_| {}).await?;
    let mut before = RawClient::over(open(&broker, &old).await?, Version::V5);
    before
        .connect(&ConnectOptions::new(Version::V5, "before"))
        .await?;
    let folder = tempfile::tempdir()?;
    let (files, new) = another(folder.path())?;
    assert!(open(&broker, &new).await.is_err(), "not yet");
    assert!(broker.reload_certificate(&files)?);
    let mut after = RawClient::over(open(&broker, &new).await?, Version::V5);
    after
        .connect(&ConnectOptions::new(Version::V5, "after"))
        .await?;
    let address = broker.addresses().mqtts.expect("a TLS listener");
    let stream = TcpStream::connect(address).await?;
    // A session that is resumed asks for no certificate.
    let mut afresh = (**old.config()).clone();
    afresh.resumption = Resumption::disabled();
    let afresh = TlsConnector::from(Arc::new(afresh));
    let opened = afresh
        .connect(ServerName::try_from("localhost")?, stream)
        .await;
    assert!(opened.is_err(), "the old one is gone");
    before.ping().await?;
    after.ping().await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_change_nothing() -> anyhow::Result<()> {
    let (broker, trusting) = tls_broker(|_| {}).await?;
    let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (files, _) = another(one.path())?;
    let (others, _) = another(two.path())?;
    let (nothing, garbage) = (
        one.path().join("nothing.pem"),
        one.path().join("garbage.pem"),
    );
    std::fs::write(
        &garbage,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )?;
    let empty = one.path().join("empty.pem");
    std::fs::write(&empty, "")?;
    for (cert, key, at_fault) in [
        (&nothing, &files.key, &nothing),
        (&files.cert, &nothing, &nothing),
        (&garbage, &files.key, &garbage),
        (&empty, &files.key, &empty),
        (&files.cert, &empty, &empty),
        (&files.cert, &garbage, &garbage),
        // They do not belong together.
        (&files.cert, &others.key, &others.key),
    ] {
        let files = TlsConfig {
            cert: cert.clone(),
            key: key.clone(),
        };
        let error = broker.reload_certificate(&files).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the TLS listener cannot use {}", at_fault.display())
        );
        let mut client = RawClient::over(open(&broker, &trusting).await?, Version::V311);
        let connack = client
            .connect(&ConnectOptions::new(Version::V311, "one"))
            .await?;
        assert_eq!(connack.code, 0);
    }
    broker.stop().await;

    let plain = super::broker().await;
    assert!(
        !plain.reload_certificate(&files)?,
        "there is no TLS listener"
    );
    plain.stop().await;
    Ok(())
}
