//! Who may see `/metrics` and `/v1/plugins`. Which requests count as this machine's own is tabled
//! beside the code; here is that every path is behind it.

use partyline_system_tests::http;
use partyline_testkit::{AdminToken, TestBroker};

const TOKEN: &str = "a-token-for-tests-only";
const GUARDED: [&str; 5] = [
    "/metrics",
    "/v1/plugins",
    "/v1/plugins/open-door",
    "/v1/plugins/nobody/x",
    "/nothing",
];
const PUBLIC: [&str; 2] = ["/healthz", "/readyz"];

#[tokio::test]
async fn strangers_see_health_and_nothing_else() -> anyhow::Result<()> {
    let broker = super::broker().await;
    let address = broker.addresses().http;
    let here = address.to_string();
    let strangers: [&[(&str, &str)]; 4] = [
        &[("host", &here), ("x-forwarded-for", "203.0.113.9")],
        &[("host", &here), ("forwarded", "for=127.0.0.1")],
        &[("host", &here), ("origin", "http://pages.example")],
        &[("host", "pages.example")],
    ];
    for headers in strangers {
        for path in GUARDED {
            let reply = http(address, &format!("GET {path}"), headers, "").await?;
            assert_eq!(reply.status, 403, "{path} {headers:?}");
            assert!(reply.body.contains("http.admin_token"), "{}", reply.body);
        }
        for path in PUBLIC {
            let reply = http(address, &format!("GET {path}"), headers, "").await?;
            assert_eq!(reply.status, 200, "{path} {headers:?}");
        }
    }
    for (path, status) in GUARDED.into_iter().zip([200, 200, 404, 404, 404]) {
        let reply = http(address, &format!("GET {path}"), &[("host", &here)], "").await?;
        assert_eq!(reply.status, status, "{path}");
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn with_a_token_this_machine_needs_it_too() -> anyhow::Result<()> {
    let broker = super::broker_with(|config| {
        config.http.admin_token = Some(AdminToken::from(TOKEN.to_owned()));
    })
    .await;
    let address = broker.addresses().http;
    let here = address.to_string();
    let right = format!("Bearer {TOKEN}");
    for path in GUARDED {
        let what = format!("GET {path}");
        for headers in [
            &[("host", &*here)][..],
            &[("host", &here), ("authorization", "Bearer wrong")],
            &[("host", &here), ("authorization", "Basic wrong")],
        ] {
            let reply = http(address, &what, headers, "").await?;
            assert_eq!(reply.status, 401, "{path} {headers:?}");
            assert!(reply.head.contains("www-authenticate: bearer"));
            assert!(!reply.body.contains(TOKEN));
        }
        // Wherever it comes from.
        let headers = [
            ("host", "a.example"),
            ("via", "1.1 b"),
            ("authorization", &right),
        ];
        let reply = http(address, &what, &headers, "").await?;
        assert!([200, 404].contains(&reply.status), "{path}");
    }
    for path in PUBLIC {
        let reply = http(address, &format!("GET {path}"), &[("host", &here)], "").await?;
        assert_eq!(reply.status, 200, "{path}");
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_token_that_can_be_guessed_keeps_the_broker_from_starting() {
    for token in [
        "",
        "short",
        "fifteen-letters",
        "with a space in it",
        "unsichtbär-ist-es",
    ] {
        let token = AdminToken::from(token.to_owned());
        let started = TestBroker::builder()
            .config(|config| config.http.admin_token = Some(token))
            .start();
        let error = format!("{:#}", started.await.unwrap_err());
        assert!(error.contains("http.admin_token"), "{error}");
    }
}
