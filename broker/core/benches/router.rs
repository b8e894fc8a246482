//! Who gets a message, among 100,000 filters.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use partyline_broker::bench::Topics;

const FILTERS: u32 = 100_000;

/// Topics with this many filters, each made from its number.
fn topics(filter: impl Fn(u32) -> String) -> Topics {
    let topics = Topics::new().expect("the names are good");
    for n in 0..FILTERS {
        topics.subscribe(&filter(n)).expect("the filter is good");
    }
    topics
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("100,000 filters");
    let wildcards = |n| match n % 4 {
        0 => format!("site/{}/device/{n}/+", n % 100),
        1 => format!("site/{}/device/{n}/#", n % 100),
        2 => format!("site/+/device/{n}/state"),
        _ => format!("site/{}/+/{n}/state", n % 100),
    };
    for (name, topics, topic) in [
        (
            "exact",
            topics(|n| format!("user/{n}/inbox")),
            "user/77777/inbox",
        ),
        (
            "exact, none",
            topics(|n| format!("user/{n}/inbox")),
            "user/x/inbox",
        ),
        ("wildcards", topics(wildcards), "site/77/device/77777/state"),
        (
            "wildcards, none",
            topics(wildcards),
            "site/77/device/x/state",
        ),
    ] {
        let expected = usize::from(!name.ends_with("none"));
        assert_eq!(topics.receivers(topic), expected, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| topics.receivers(black_box(topic)))
        });
    }
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
