//! The journey over TLS.

use std::fs;
use std::path::Path;

use partyline_testkit::Version;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::journey::chat_on;
use super::library::Library;
use super::stage::server_with;

#[tokio::test]
async fn with_paho_of_python_on_mqtt_3_1_1() -> anyhow::Result<()> {
    chat(Version::V311).await
}

#[tokio::test]
async fn with_paho_of_python_on_mqtt_5() -> anyhow::Result<()> {
    chat(Version::V5).await
}

async fn chat(version: Version) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ca = certify(folder.path())?;
    let place = folder.path().display();
    let config = format!(
        "[mqtt]\ntls_listen = \"127.0.0.1:0\"\n\
         [mqtt.tls]\ncert = \"{place}/cert.pem\"\nkey = \"{place}/key.pem\"\n",
    );
    let server = server_with(&config).await?;
    chat_on(&server, &Library::PahoOverTls(version, ca)).await?;
    server.discard().await
}

/// Writes `cert.pem` and `key.pem` for 127.0.0.1; returns the file of the CA that signed them.
fn certify(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut authority.distinguished_name;
    name.push(DnType::CommonName, "the test's authority");
    let authority_key = KeyPair::generate()?;
    let ca = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);
    let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let cert = server.signed_by(&key, &issuer)?;
    fs::write(folder.join("cert.pem"), cert.pem())?;
    fs::write(folder.join("key.pem"), key.serialize_pem())?;
    let ca_file = folder.join("ca.pem");
    fs::write(&ca_file, ca.pem())?;
    Ok(ca_file)
}
