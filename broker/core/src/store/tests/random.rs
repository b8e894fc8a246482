//! Random changes, transactions and crashes against a model.

use std::collections::BTreeSet;

use partyline_plugin::database::Database;
use partyline_plugin::{Clock, Qos};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::rows;
use super::world::{Model, World, publication};

const CASES: u32 = 48;
const SESSIONS: [&str; 3] = ["one", "two", "three"];
const TOPICS: [&str; 3] = ["a", "a/b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Open(usize),
    End(usize),
    Save(usize, Option<i64>, bool),
    Subscribe(usize, usize, u8),
    Unsubscribe(usize, usize),
    /// To each of these sessions.
    Publish(Vec<usize>, bool, u32),
    Sent(usize, usize, u16),
    Received(usize, usize),
    Finish(usize, usize),
    Receive(usize, u16),
    Release(usize, u16),
    Retain(usize, u32),
    Unretain(usize),
    DropApp,
    Commit,
    /// All that is not committed is lost.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..SESSIONS.len();
    let topic = 0..TOPICS.len();
    let place = 0..6_usize;
    prop_oneof![
        3 => session.clone().prop_map(Step::Open),
        1 => session.clone().prop_map(Step::End),
        1 => (session.clone(), prop::option::of(0..1000_i64), any::<bool>())
            .prop_map(|(session, detached, will)| Step::Save(session, detached, will)),
        2 => (session.clone(), topic.clone(), 0..3_u8)
            .prop_map(|(session, topic, options)| Step::Subscribe(session, topic, options)),
        1 => (session.clone(), topic.clone())
            .prop_map(|(session, topic)| Step::Unsubscribe(session, topic)),
        6 => (prop::collection::vec(session.clone(), 0..4), any::<bool>(), any::<u32>())
            .prop_map(|(to, twice, number)| Step::Publish(to, twice, number)),
        4 => (session.clone(), place.clone(), 1..500_u16)
            .prop_map(|(session, at, id)| Step::Sent(session, at, id)),
        3 => (session.clone(), place.clone()).prop_map(|(session, at)| Step::Received(session, at)),
        4 => (session.clone(), place).prop_map(|(session, at)| Step::Finish(session, at)),
        2 => (session.clone(), 1..5_u16).prop_map(|(session, id)| Step::Receive(session, id)),
        2 => (session, 1..5_u16).prop_map(|(session, id)| Step::Release(session, id)),
        3 => (topic.clone(), any::<u32>()).prop_map(|(topic, number)| Step::Retain(topic, number)),
        1 => topic.prop_map(Step::Unretain),
        1 => Just(Step::DropApp),
        6 => Just(Step::Commit),
        2 => Just(Step::Crash),
    ]
}

pub(super) async fn what_is_read_is_what_was_committed(database: Database) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let runtime = tokio::runtime::Handle::current();
    let run = |steps: Vec<Step>| runtime.block_on(case(&database, steps));
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&prop::collection::vec(step(), 0..60), run)
            .unwrap();
    });
}

async fn case(database: &Database, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::load(database, Clock::default()).await;
    clean(database, &mut world).await;
    let mut committed = Model::default();
    for step in steps.into_iter().chain([Step::Crash]) {
        match step {
            Step::Commit => {
                world.commit(database).await;
                committed = world.model();
            }
            Step::Crash => {
                world = World::load(database, Clock::default()).await;
                prop_assert_eq!(world.model(), committed.clone());
            }
            step => change(&mut world, step),
        }
    }
    // Bodies are there for as long as somebody is to get them.
    let bodies: BTreeSet<_> = committed
        .sessions
        .values()
        .flat_map(super::world::SessionModel::payloads)
        .collect();
    let stored = rows(database).await;
    let stored = stored.iter().find(|(table, _)| *table == "message");
    prop_assert_eq!(
        stored.map_or(0, |(_, count)| *count),
        i64::try_from(bodies.len()).unwrap()
    );
    Ok(())
}

/// Takes away what the last case left.
async fn clean(database: &Database, world: &mut World) {
    for id in SESSIONS {
        if world.has(id) {
            world.end(id);
        }
    }
    world.drop_app();
    world.commit(database).await;
}

fn change(world: &mut World, step: Step) {
    let session = |at: usize| SESSIONS[at];
    match step {
        Step::Open(at) if !world.has(session(at)) => world.open(session(at)),
        Step::End(at) if world.has(session(at)) => world.end(session(at)),
        Step::Save(at, detached, will) if world.has(session(at)) => {
            let message = publication("will", "gone", Qos::AtLeastOnce);
            let will = will.then_some((&message.message, 5));
            world.save(session(at), detached, will);
        }
        Step::Subscribe(at, topic, options) if world.has(session(at)) => {
            world.subscribe(session(at), TOPICS[topic], options);
        }
        Step::Unsubscribe(at, topic) if world.has(session(at)) => {
            world.unsubscribe(session(at), TOPICS[topic]);
        }
        Step::Publish(to, twice, number) => {
            // Its number tells it from all others, as does its place in the program.
            let number = format!("{number}-{}", rand::random::<u64>());
            let qos = if twice {
                Qos::ExactlyOnce
            } else {
                Qos::AtLeastOnce
            };
            let message = publication("t", &number, qos);
            for at in to {
                if world.has(session(at)) {
                    world.queue(session(at), &message, qos, false);
                }
            }
        }
        Step::Sent(at, place, id) if world.is_waiting(session(at), place) => {
            world.sent(session(at), place, id);
        }
        Step::Received(at, place) if place < world.queued(session(at)) => {
            world.received(session(at), place);
        }
        Step::Finish(at, place) if place < world.queued(session(at)) => {
            world.drop_queued(session(at), place);
        }
        Step::Receive(at, id) if world.has(session(at)) => world.receive(session(at), id),
        Step::Release(at, id) if world.has(session(at)) => world.release(session(at), id),
        Step::Retain(topic, number) => world.retain(TOPICS[topic], &number.to_string()),
        Step::Unretain(topic) => world.retain(TOPICS[topic], ""),
        Step::DropApp => world.drop_app(),
        _ => {}
    }
}
