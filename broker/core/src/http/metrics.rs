//! `/metrics`, in Prometheus' text format.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use partyline_plugin::Meter;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use crate::kernel::Kernel;
use crate::metrics::Exposition;
use crate::plugins::Host;

/// The version of the format that every Prometheus reads.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
pub(super) struct MetricsPage {
    registry: Arc<Registry>,
    meters: Arc<[Meter]>,
}

impl MetricsPage {
    pub(super) fn new(kernel: &Arc<Kernel>, host: &Host) -> Self {
        let registry = Exposition::registry(kernel, host.database().clone());
        Self {
            registry: Arc::new(registry),
            meters: host.meters(),
        }
    }
}

pub(super) async fn page(State(page): State<MetricsPage>) -> Response {
    let mut text = String::new();
    if let Err(error) = prometheus_text::encode(&mut text, &page.registry) {
        tracing::error!(%error, "the metrics could not be written");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    for meter in page.meters.iter() {
        text.push_str(&meter.text());
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}
