//! `/v1/plugins`: which there are, what they do to packets, and the routes of their own.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use crate::kernel::Kernel;
use crate::plugins::{ChainDescription, HealthCheck, Host, HostError};

/// Where they stand.
const ROOT: &str = "/v1/plugins";
const CHAIN: &str = "/v1/plugins/chain";
/// Ids whose place under [`ROOT`] is the broker's own.
const RESERVED: [&str; 1] = ["chain"];

pub(super) fn routes(
    kernel: &Arc<Kernel>,
    host: &Host,
    health: &HealthCheck,
) -> Result<Router, HostError> {
    let mut all = Router::new()
        .route(ROOT, get(list))
        .with_state(health.clone())
        .route(CHAIN, get(chain))
        .with_state(Arc::clone(kernel));
    for (plugin, routes) in host.routes()? {
        // An id is one word, which a path takes as it is.
        if RESERVED.contains(&plugin) {
            let why = format!("{ROOT}/{plugin} cannot be theirs");
            return Err(HostError::Routes { plugin, why });
        }
        let wrapped = wrap(plugin, routes, kernel);
        // The library panics where routes overlap.
        let nest = || all.nest(&format!("{ROOT}/{plugin}"), wrapped);
        let nested = std::panic::catch_unwind(AssertUnwindSafe(nest));
        all = nested.map_err(|panic| HostError::Routes {
            plugin,
            why: said(&*panic).to_owned(),
        })?;
    }
    Ok(all)
}

/// A plugin's routes within the bounds of everybody's: the size of a body, the time of an answer,
/// a panic, the end of the broker.
fn wrap(plugin: &'static str, routes: Router, kernel: &Kernel) -> Router {
    let config = &kernel.config.http;
    let time = Duration::from_secs(config.request_timeout.into());
    let caught = CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| {
        tracing::error!(plugin, panic = said(&*panic), "a route panicked");
        let text = "the plugin failed\n";
        (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
    });
    routes
        .layer(caught)
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(config.body_bytes))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            time,
        ))
        .layer(from_fn_with_state(kernel.stopping.clone(), until_stop))
}

async fn until_stop(
    State(stopping): State<CancellationToken>,
    request: Request,
    next: Next,
) -> Response {
    let answer = stopping.run_until_cancelled(next.run(request)).await;
    answer
        .unwrap_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, "the broker stops\n").into_response())
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("a panic without words")
}

/// What packets meet, in order, and how it fares.
async fn chain(State(kernel): State<Arc<Kernel>>) -> Json<ChainDescription> {
    Json(kernel.describe())
}

/// Each plugin and whether it can work.
async fn list(State(health): State<HealthCheck>) -> Json<Value> {
    let plugins = health.plugins().await;
    let plugins: Vec<_> = plugins
        .into_iter()
        .map(|(id, failure)| match failure {
            None => json!({ "id": id, "health": "up" }),
            Some(why) => json!({ "id": id, "health": "down", "why": why }),
        })
        .collect();
    Json(json!({ "plugins": plugins }))
}
