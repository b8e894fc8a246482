//! A case that cannot fail tests nothing. Here each of MQTT 3.1.1 is run against brokers that break
//! what it is about, and must notice.
#![cfg(test)]

mod packet;
mod proxy;
mod sabotages;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use partyline_conformance::{BrokerAddresses, Case, Outcome, OwnBroker, Stage, Standard, run_on};

use crate::sabotages::Saboteur;

/// Long enough for what comes at all, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(5);

/// Cases that run at once, each with a broker of its own.
const AT_ONCE: usize = 16;

/// What comes of the case on a broker of its own behind the saboteur.
async fn outcome(saboteur: &Saboteur, case: &Case) -> Outcome {
    let broker = OwnBroker::start().await.unwrap();
    let address = proxy::listen(broker.addresses().mqtt, (saboteur.make)()).await;
    let addresses = BrokerAddresses {
        mqtt: address,
        websocket: None,
    };
    let stage = Stage::new(addresses, Standard::V311.version()).patience(PATIENCE);
    let outcome = run_on(stage, case).await;
    broker.stop().await;
    outcome
}

fn case(name: &str) -> &'static Case {
    let found = Standard::V311.cases().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("there is no case {name}"))
}

#[tokio::test]
async fn cases_notice_brokers_that_break_what_they_test() {
    let saboteurs = sabotages::all();
    let pairs = saboteurs.iter().flat_map(|saboteur| {
        let cases = saboteur.cases.iter().map(|name| case(name));
        cases.map(move |case| (saboteur, case))
    });
    let unnoticed: Vec<String> = stream::iter(pairs)
        .map(|(saboteur, case)| async move {
            let outcome = outcome(saboteur, case).await;
            let noticed = matches!(outcome, Outcome::Failed(_));
            (!noticed).then(|| format!("{} does not notice: {}", case.name, saboteur.breaks))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(unnoticed.is_empty(), "{unnoticed:#?}");
}

/// What they notice is the sabotage, not the proxy, and not that they wait less.
#[tokio::test]
async fn cases_pass_behind_a_proxy_that_breaks_nothing() {
    let honest = sabotages::none();
    let cases = Standard::V311.cases().filter(|case| !over_websocket(case));
    let failed: Vec<_> = stream::iter(cases)
        .map(|case| async { (case.name, outcome(&honest, case).await) })
        .buffer_unordered(AT_ONCE)
        .filter(|(_, outcome)| std::future::ready(*outcome != Outcome::Passed))
        .collect()
        .await;
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Saboteurs do not speak WebSocket.
fn over_websocket(case: &Case) -> bool {
    case.statements.iter().any(|id| id.starts_with("MQTT-6."))
}

#[test]
fn every_case_has_a_saboteur() {
    let saboteurs = sabotages::all();
    let sabotaged: HashSet<_> = saboteurs.iter().flat_map(|one| one.cases).collect();
    for case in Standard::V311.cases() {
        let sabotaged = sabotaged.contains(&case.name);
        assert!(sabotaged != over_websocket(case), "{}", case.name);
    }
}
