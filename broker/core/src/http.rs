//! The HTTP listener: health for everybody; metrics, the plugins and their routes for who runs
//! the broker.

mod access;
mod metrics;
mod plugins;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tokio::net::TcpListener;

use self::access::Access;
use self::metrics::MetricsPage;
use crate::broker::StartError;
use crate::kernel::Kernel;
use crate::plugins::{HealthCheck, Host, HostError};

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

/// All routes. Fails if a plugin's cannot stand where they belong.
pub(crate) fn routes(kernel: &Arc<Kernel>, host: &Host) -> Result<Router, HostError> {
    let health = host.health();
    let access = Access::new(&kernel.config.http);
    let guarded = Router::new()
        .route("/metrics", get(metrics::page))
        .with_state(MetricsPage::new(kernel, host))
        .merge(plugins::routes(kernel, host, &health)?)
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .layer(from_fn_with_state(access, access::guard));
    Ok(Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(health)
        .merge(guarded))
}

/// Serves until the broker stops.
pub(crate) fn serve(kernel: &Arc<Kernel>, listener: TcpListener, routes: Router) {
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    kernel.connections.spawn_until_stop(async move {
        if let Err(error) = axum::serve(listener, service).await {
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
