use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::support::{Home, PATIENCE, Server};

#[test]
fn ready_names_the_bound_addresses() {
    let home = Home::new();
    let server = home.serve();
    let addresses = server.addresses();
    let mut names: Vec<_> = addresses.keys().copied().collect();
    names.sort_unstable();
    assert_eq!(names, ["http", "mqtt", "ws"]);
    for (name, address) in addresses {
        assert_ne!(address.port(), 0, "{name}");
        TcpStream::connect(address).unwrap();
    }
}

#[test]
fn ready_names_the_tls_listener() {
    let home = Home::new();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    std::fs::write(&cert, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    home.configure(&format!("[mqtt.tls]\ncert = {cert:?}\nkey = {key:?}"));
    let server = Server::start(home.command(&["serve", "--mqtts", "127.0.0.1:0"]));
    TcpStream::connect(server.addresses()["mqtts"]).unwrap();

    let bare = Home::new();
    let any = "127.0.0.1:0";
    let args = ["--mqtts", any, "--mqtt", any, "--ws", any, "--http", any];
    let ran = bare.run(&args);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr
            .lines()
            .last()
            .unwrap()
            .contains("[mqtt.tls] with cert and key"),
        "{}",
        ran.stderr
    );
}

/// Writes a new certificate and its key; the certificate.
fn certify(cert: &Path, key: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(cert, made.cert.pem()).unwrap();
    std::fs::write(key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Opens TLS to a server that must show this certificate.
fn tls(
    address: SocketAddr,
    certificate: &CertificateDer<'static>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    // Completes the handshake, which fails if the certificate is another.
    stream.flush().unwrap();
    stream
}

/// PINGREQ, after which the server has no reason to stay: it was no CONNECT.
fn refused(mut stream: impl Read + Write) {
    stream.write_all(&[0xc0, 0]).unwrap();
    let mut answer = Vec::new();
    // Without TLS's own goodbye the end is an error.
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty());
}

#[test]
fn hangup_reads_the_certificate_again() {
    let home = Home::new();
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let first = certify(&cert, &key);
    let configure =
        |cert: &Path| home.configure(&format!("[mqtt.tls]\ncert = {cert:?}\nkey = {key:?}"));
    configure(&cert);
    let mut server = Server::start(home.command(&["serve", "--mqtts", "127.0.0.1:0"]));
    let address = server.addresses()["mqtts"];
    let open = tls(address, &first);

    let second = certify(&cert, &key);
    server.signal("HUP");
    server.logs("the certificate was read again");
    refused(tls(address, &second));

    // A file that cannot be used is named, and the one before stays.
    std::fs::write(&cert, "no certificate").unwrap();
    server.signal("HUP");
    server.logs(&format!("cannot use {}", cert.display()));
    refused(tls(address, &second));

    // A configuration that cannot be used, too; the files of before are read again all the same.
    let third = certify(&cert, &key);
    home.configure("[mqtt]\nlistn = 1");
    server.signal("HUP");
    server.logs("unknown key mqtt.listn");
    server.logs("the certificate was read again");
    refused(tls(address, &third));

    // Another file.
    let other = home.path().join("other.pem");
    let fourth = certify(&other, &key);
    configure(&other);
    server.signal("HUP");
    server.logs("the certificate was read again");
    refused(tls(address, &fourth));

    // Through all of which the first connection was left alone.
    refused(open);
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn hangup_reads_the_configuration_again() {
    let home = Home::new();
    let mut server = home.serve();
    home.configure("[mqtt]\nlistn = 1");
    server.signal("HUP");
    server.logs("unknown key mqtt.listn");
    // What is good reaches the plugins whose tables changed.
    home.configure("[plugins.im]\nsends_per_minute = 7");
    server.signal("HUP");
    server.logs("plugin=\"im\"");
    TcpStream::connect(server.addresses()["mqtt"]).unwrap();
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn no_command_serves() {
    let home = Home::new();
    let server = Server::start(home.command(&[]));
    assert_eq!(server.addresses().len(), 3);
}

#[test]
fn ready_is_json_when_asked_for() {
    let home = Home::new();
    let server = Server::start(home.command(&["serve", "--json"]));
    let ready: Value = serde_json::from_str(&server.ready).unwrap();
    assert!(
        ready["ready"]["mqtt"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    assert_eq!(ready["ready"]["mqtts"], Value::Null);
    let first: Value = serde_json::from_str(&server.before_ready[0]).unwrap();
    assert_eq!(first["first_start"]["app"]["name"], "demo");
}

#[test]
fn the_first_start_prints_its_secrets_once() {
    let home = Home::new();
    let server = home.serve();
    let block = server.before_ready.join("\n");
    for word in [
        "first start",
        "developer secret  ",
        "demo app key      ",
        "master secret     ",
    ] {
        assert_eq!(block.matches(word).count(), 1, "{block}");
    }
    let value = |name: &str| {
        let line = block.lines().find(|line| line.contains(name)).unwrap();
        line.split(' ').next_back().unwrap()
    };
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.after_ready, "");
    for secret in [value("developer secret"), value("master secret")] {
        assert!(!ended.log.contains(secret), "{}", ended.log);
    }

    let server = home.serve();
    assert_eq!(
        server.before_ready,
        Vec::<String>::new(),
        "the second start"
    );
    assert!(
        home.run(&["app", "list"])
            .ok()
            .contains(value("demo app key"))
    );
}

#[test]
fn the_data_folder_is_for_its_owner() {
    let home = Home::new();
    let data = home.path().join("data");
    let data = data.to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_partyline"));
    assert!(
        command
            .args(["app", "list", "--data", data])
            .status()
            .unwrap()
            .success()
    );
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data), 0o700);
    assert_eq!(mode(&format!("{data}/partyline.sqlite")), 0o600);
}

#[test]
fn a_second_server_is_refused_and_commands_are_not() {
    let home = Home::new();
    let server = home.serve();
    let args = [
        "serve",
        "--mqtt",
        "127.0.0.1:0",
        "--ws",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    let error = home.run(&args).error();
    let folder = home.path().canonicalize().unwrap();
    assert_eq!(
        error,
        format!("another partyline server is using {}", folder.display())
    );
    home.run(&["app", "create", "shop"]).ok();

    server.signal("KILL");
    let status = server.ended().status;
    assert_eq!(status.signal(), Some(9));
    drop(home.serve());
}

#[test]
fn term_and_interrupt_stop_with_0() {
    for signal in ["TERM", "INT"] {
        let home = Home::new();
        let server = home.serve();
        let mqtt = TcpStream::connect(server.addresses()["mqtt"]).unwrap();
        server.signal(signal);
        let ended = server.ended();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {}", ended.log);
        assert!(ended.log.contains("stopped"), "{}", ended.log);
        drop(mqtt);
    }
}

#[test]
fn start_errors_are_one_chain() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let ran = home.run(&[
        "serve",
        "--mqtt",
        &taken,
        "--ws",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ]);
    let last = ran.stderr.lines().last().unwrap();
    assert_eq!(ran.code, 1);
    assert!(
        last.starts_with(&format!("error: cannot start: cannot listen on {taken} (")),
        "{last}"
    );
    assert!(last.contains("in use"), "{last}");
}

#[test]
fn the_anonymous_app_must_exist() {
    let home = Home::new();
    let nobody = "a".repeat(24);
    home.configure(&format!("[mqtt]\nanonymous_app = '{nobody}'"));
    let error = home.run(&["serve"]).error();
    let want = format!("mqtt.anonymous_app names the app {nobody}, which does not exist");
    assert_eq!(error, want);

    let app = home.run(&["app", "create", "things", "--json"]).json();
    home.configure(&format!("[mqtt]\nanonymous_app = {}", app["app_key"]));
    drop(home.serve());
}

#[test]
fn a_bad_rule_or_log_filter_keeps_it_from_starting() {
    let home = Home::new();
    let any = "127.0.0.1:0";
    let args = ["serve", "--mqtt", any, "--ws", any, "--http", any];
    home.configure("[log]\nfilter = 'a=b=c'");
    assert!(
        home.run(&args)
            .error()
            .starts_with(r#"log.filter "a=b=c" is no log filter"#)
    );

    home.configure("[[plugins.acl.rules]]\neffect = 'deny'\naction = 'all'\ntopic = 'a+'");
    let ran = home.run(&args);
    assert_eq!(ran.code, 1);
    let last = ran.stderr.lines().last().unwrap();
    assert!(
        last.contains(r#"rule 1 with topic "a+" is not usable"#),
        "{last}"
    );
}

#[test]
fn the_log_goes_to_standard_error_in_the_configured_form() {
    let home = Home::new();
    home.configure("[log]\nformat = 'json'");
    let server = home.serve();
    server.signal("TERM");
    let ended = server.ended();
    assert_eq!(ended.after_ready, "");
    for line in ended.log.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}"));
    }

    let mut command = home.command(&["serve"]);
    command.env("RUST_LOG", "off");
    let server = Server::start(command);
    server.signal("TERM");
    assert_eq!(server.ended().log, "");
}
