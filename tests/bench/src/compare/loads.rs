//! The loads that are compared.

use crate::scenario::{FanIn, FanOut, Idle, Messages, Pairs, Scenario, Storm, Users};

/// A load under a name, and which of its figures are shown.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) scenario: Box<dyn Scenario>,
    pub(super) figures: &'static [&'static str],
}

const CPU: &[&str] = &["cpu_us_each"];
const PASSES: &[&str] = &["first_cpu_us_each", "second_cpu_us_each"];

pub(super) fn loads() -> Vec<Load> {
    let load = |name, figures, scenario| Load {
        name,
        scenario,
        figures,
    };
    let pairs = |qos, rate, messages| {
        let how = Messages {
            rate,
            ..Messages::at(qos, 100)
        };
        Box::new(Pairs {
            count: 10,
            messages,
            how,
        })
    };
    let fan_out = |qos| {
        Box::new(FanOut {
            receivers: 200,
            messages: 2000,
            how: Messages::at(qos, 100),
        })
    };
    // 1,000 on the way: what brokers queue for one receiver by default.
    let fan_in = |qos| {
        Box::new(FanIn {
            publishers: 50,
            messages: 100_000,
            how: Messages::at(qos, 20),
        })
    };
    let users = |topics, topics_each, window| {
        Box::new(Users {
            topics,
            topics_each,
            publishers: 10,
            how: Messages::at(1, window),
        })
    };
    let idle = Box::new(Idle {
        connections: 10_000,
        filter: "idle/{number}".to_owned(),
        at_once: 64,
    });
    let storm = Box::new(Storm {
        connections: 5000,
        at_once: None,
    });
    vec![
        load("idle", &["kib_each", "connect_cpu_us_each"], idle),
        load("pairs-qos0", CPU, pairs(0, None, 200_000)),
        load("pairs-qos1", CPU, pairs(1, None, 200_000)),
        load(
            "pairs-qos1-5000",
            &["cpu_us_each", "p50_ms", "p99_ms"],
            pairs(1, Some(5000.0), 25_000),
        ),
        load("fan-out-qos0", CPU, fan_out(0)),
        load("fan-out-qos1", CPU, fan_out(1)),
        load("fan-in-qos1", CPU, fan_in(1)),
        load("users-5000", PASSES, users(5000, 1, 100)),
        // Three topics a connection, so that a limit of 20,000 open files is enough; and a window that
        // brings no connection two messages at once, be they few or many.
        load("users-1000-by-3", PASSES, users(1000, 3, 10)),
        load("users-50000-by-3", PASSES, users(50_000, 3, 10)),
        load("storm", &["reconnect_cpu_us_each"], storm),
    ]
}
