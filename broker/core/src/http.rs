//! The HTTP listener: health for now; plugins' routes come with the REST surface.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::broker::StartError;
use crate::kernel::Kernel;
use crate::plugins::HealthCheck;

pub(crate) async fn bind(kernel: &Kernel) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = kernel.config.http.listen;
    let failed = |source| StartError::Listen {
        what: "http",
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves until the broker stops.
pub(crate) fn serve(kernel: &Arc<Kernel>, listener: TcpListener, health: HealthCheck) {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(health);
    kernel.connections.spawn_until_stop(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the HTTP listener failed");
        }
    });
}

/// 200 when the database and every plugin can work, else 503 with the names of those that cannot.
async fn readyz(State(health): State<HealthCheck>) -> (StatusCode, String) {
    match health.failures().await {
        failures if failures.is_empty() => (StatusCode::OK, "ready\n".to_owned()),
        failures => (StatusCode::SERVICE_UNAVAILABLE, failures.join("\n") + "\n"),
    }
}
