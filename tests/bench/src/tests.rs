//! The generator finds what goes wrong, and nothing where all is well.

mod faulty;

use std::time::Duration;

use partyline_system_tests::OpenDoor;
use partyline_testkit::TestBroker;
use serde_json::json;

use self::faulty::{Fault, Faulty};
use crate::load::{Load, Pace};
use crate::plan::Plan;
use crate::scenario::{FanIn, FanOut, Idle, Messages, Pairs, Scenario, Storm, Users};
use crate::stream::Faults;
use crate::target::Target;

/// Both ends in one process: its figures are not a broker's, but they are there.
fn target(address: std::net::SocketAddr) -> Target {
    Target {
        address,
        pid: Some(std::process::id()),
        login: None,
        devices: 1,
    }
}

fn faults_of(fault: Fault, qos: u8) -> Faults {
    let broker = Faulty::start(fault);
    let pace = Pace {
        qos,
        patience: Duration::from_millis(500),
        ..Pace::default()
    };
    let mut load = Load::open(&target(broker.address()), Plan::pairs(1), pace).unwrap();
    load.pass(50).unwrap();
    load.faults()
}

#[test]
fn a_faultless_broker_has_no_faults() {
    for qos in [0, 1] {
        assert_eq!(faults_of(Fault::None, qos), Faults::default());
    }
}

#[test]
fn a_lost_message_is_found() {
    for qos in [0, 1] {
        let expected = Faults {
            lost: 1,
            ..Faults::default()
        };
        assert_eq!(faults_of(Fault::Lose(7), qos), expected);
        assert_eq!(faults_of(Fault::Lose(49), qos), expected, "the last one");
    }
}

#[test]
fn a_duplicate_is_found() {
    let expected = Faults {
        duplicates: 1,
        ..Faults::default()
    };
    assert_eq!(faults_of(Fault::Duplicate(7), 1), expected);
}

#[test]
fn a_wrong_order_is_found() {
    let expected = Faults {
        disordered: 1,
        ..Faults::default()
    };
    assert_eq!(faults_of(Fault::Swap(7), 1), expected);
}

#[test]
fn a_message_on_another_topic_is_found() {
    let expected = Faults {
        lost: 1,
        strays: 1,
        ..Faults::default()
    };
    assert_eq!(faults_of(Fault::Misdirect(7), 0), expected);
}

#[test]
fn a_missing_acknowledgement_is_found() {
    let expected = Faults {
        unacknowledged: 1,
        ..Faults::default()
    };
    assert_eq!(faults_of(Fault::Ignore(7), 1), expected);
}

/// Runs a scenario on our broker, and returns its figures.
async fn figures(scenario: impl Scenario + Send + 'static, names: &[&str]) -> Vec<f64> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .start()
        .await
        .unwrap();
    let target = target(broker.addresses().mqtt);
    let run = tokio::task::spawn_blocking(move || scenario.run(&target));
    let outcome = run.await.unwrap().unwrap();
    assert!(outcome.faults.is_none(), "{outcome}");
    broker.stop().await;
    let figure = |name: &&str| {
        outcome
            .get(name)
            .unwrap_or_else(|| panic!("no {name}: {outcome}"))
    };
    names.iter().map(figure).collect()
}

const COUNTS: &[&str] = &["messages", "deliveries"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_get_all_of_theirs() {
    for qos in [0, 1] {
        let pairs = Pairs {
            count: 3,
            messages: 300,
            how: Messages::at(qos, 10),
        };
        assert_eq!(figures(pairs, COUNTS).await, [300.0, 300.0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_sends_all_of_them() {
    let mut how = Messages::at(1, 10);
    how.rate = Some(2000.0);
    let pairs = Pairs {
        count: 3,
        messages: 300,
        how,
    };
    assert_eq!(figures(pairs, COUNTS).await, [300.0, 300.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_receivers_get_what_one_publishes() {
    for qos in [0, 1] {
        let fan_out = FanOut {
            receivers: 20,
            messages: 50,
            how: Messages::at(qos, 10),
        };
        assert_eq!(figures(fan_out, COUNTS).await, [50.0, 1000.0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_receiver_gets_what_many_publish() {
    for qos in [0, 1] {
        let fan_in = FanIn {
            publishers: 20,
            messages: 1000,
            how: Messages::at(qos, 10),
        };
        assert_eq!(figures(fan_in, COUNTS).await, [1000.0, 1000.0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_user_gets_one_message_a_pass() {
    let users = Users {
        topics: 100,
        topics_each: 3,
        publishers: 4,
        how: Messages::at(1, 10),
    };
    assert_eq!(figures(users, COUNTS).await, [100.0, 100.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_are_all_opened() {
    let idle = Idle {
        connections: 50,
        filter: "idle/{number}".to_owned(),
        at_once: 8,
    };
    assert_eq!(figures(idle, &["connections"]).await, [50.0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_ends_with_all_connected() {
    let storm = Storm {
        connections: 50,
        at_once: None,
    };
    assert_eq!(figures(storm, &["connections"]).await, [50.0]);
}
