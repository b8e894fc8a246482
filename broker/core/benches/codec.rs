//! Reading and writing PUBLISH packets.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use partyline_broker::bench::{Decoder, encode};
use partyline_plugin::ProtocolVersion;

/// Packets in one batch.
const PACKETS: u16 = 100;
const TOPIC: &str = "user/12345/inbox";

fn batch(v5: bool) -> BytesMut {
    let mut batch = BytesMut::new();
    encode(v5, TOPIC, payload(), PACKETS, &mut batch);
    batch
}

fn payload() -> Bytes {
    Bytes::from_static(&[b'.'; 100])
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(PACKETS.into()));
    for (name, version) in [
        ("3.1.1", ProtocolVersion::V311),
        ("5.0", ProtocolVersion::V5),
    ] {
        let batch = batch(version == ProtocolVersion::V5);
        let mut decoder = Decoder::new(version);
        assert_eq!(decoder.take_all(&mut batch.clone()), usize::from(PACKETS));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || batch.clone(),
                |batch| decoder.take_all(black_box(batch)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for receivers in [1, 100] {
        group.throughput(Throughput::Elements(receivers.into()));
        group.bench_function(format!("{receivers} receivers"), |bencher| {
            let mut output = BytesMut::with_capacity(64 * 1024);
            bencher.iter(|| {
                output.clear();
                encode(false, black_box(TOPIC), payload(), receivers, &mut output);
                output.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode, write);
criterion_main!(benches);
