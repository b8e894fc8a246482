//! What a plain message pays for the hooks that it meets.

use std::sync::Arc;

use async_trait::async_trait;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use partyline_broker::bench::Chain;
use partyline_plugin::protocol::{TopicLimits, TopicName};
use partyline_plugin::{
    AccessVerdict, AuthorizePublish, FilterOptions, HookResult, Message, Origin, Phase,
    PublishFilter, Registrar, Scope, SessionInfo, Verdict,
};

/// Allows everything.
struct Allow;

/// Decides nothing.
struct Pass;

#[async_trait]
impl AuthorizePublish for Allow {
    async fn authorize_publish(&self, _: &SessionInfo, _: &Message) -> HookResult<AccessVerdict> {
        Ok(AccessVerdict::Allow)
    }
}

#[async_trait]
impl PublishFilter for Pass {
    async fn on_publish(&self, _: &SessionInfo, _: &mut Message) -> HookResult<Verdict> {
        Ok(Verdict::Next)
    }
}

fn message() -> Message {
    let topic = TopicName::parse("user/12345/inbox", &TopicLimits::default());
    Message::new(topic.expect("the topic is good"), "payload", Origin::Client)
}

fn chain(filters: usize) -> impl FnOnce(&mut Registrar) {
    move |registrar| {
        registrar.authorize_publish(FilterOptions::default(), Arc::new(Allow));
        for _ in 0..filters {
            let options = FilterOptions::default();
            registrar.publish_filter(Phase::Validate, Scope::Plain, options, Arc::new(Pass));
        }
    }
}

fn run(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let mut group = criterion.benchmark_group("hook chain");
    for filters in [0, 1, 4] {
        let chain = Chain::new(chain(filters)).expect("the names are good");
        let verdict = runtime.block_on(chain.run(&mut message()));
        assert!(matches!(verdict, Verdict::Next));
        group.bench_function(format!("one access rule, {filters} filters"), |bencher| {
            bencher.iter_batched_ref(
                message,
                |message| runtime.block_on(chain.run(message)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);
