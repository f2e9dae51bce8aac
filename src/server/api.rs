//! Routes and handlers.

use std::sync::Arc;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, http::header};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::accept::Peer;
use super::{Metrics, PersonCommand, Shared};
use crate::error::chain;
use crate::model::RequestId;
use crate::reconcile::view::LogQuery;
use crate::reconcile::{Ask, rollout, view};
use crate::store::StoreError;

/// Health and metrics: nothing about requests, nothing that changes anything.
pub(super) fn public(counted: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(counted)
}

/// The command line's questions and commands.
pub(super) fn private(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/applying", get(applying))
        .route("/v1/requests/{team}/{environment}/{name}", get(explain))
        .route("/v1/requests/{team}/{environment}/{name}/log", get(log))
        .route("/v1/rollouts", get(rollouts))
        .route("/v1/person", post(person))
        .route("/v1/apply", post(apply))
        .with_state(shared)
}

async fn ready(State(counted): State<Arc<Metrics>>) -> Response {
    if counted.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "standing by\n").into_response()
    }
}

async fn metrics(State(counted): State<Arc<Metrics>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], counted.text()).into_response()
}

/// An answer that says what went wrong.
struct Problem(StatusCode, String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({"error": self.1}))).into_response()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Missing { .. } => StatusCode::NOT_FOUND,
            StoreError::Busy(_) | StoreError::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Conflict { .. } => StatusCode::CONFLICT,
            StoreError::Fenced { .. }
            | StoreError::Broken(_)
            | StoreError::Corrupt { .. }
            | StoreError::Newer { .. }
            | StoreError::Unsuitable { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, chain(&error))
    }
}

#[derive(Deserialize)]
struct StatusQuery {
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default)]
    not_ready: bool,
    #[serde(default)]
    stamp: Option<u64>,
}

async fn status(
    State(shared): State<Shared>,
    Query(query): Query<StatusQuery>,
) -> Result<Response, Problem> {
    let StatusQuery { prefix, not_ready, stamp } = query;
    let store = shared.store.as_ref();
    let mut view = view::overview_since(store, prefix.as_deref(), not_ready, stamp).await?;
    if let Some(view) = &mut view {
        view.daemon = Some(shared.metrics.pulse());
    }
    Ok(Json(view).into_response())
}

async fn applying(State(shared): State<Shared>) -> Result<Response, Problem> {
    Ok(Json(view::applying(shared.store.as_ref(), &|_| true).await?).into_response())
}

async fn rollouts(State(shared): State<Shared>) -> Result<Response, Problem> {
    Ok(Json(rollout::standing(shared.store.as_ref()).await?).into_response())
}

async fn log(
    State(shared): State<Shared>,
    Path(parts): Path<(String, String, String)>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Problem> {
    let id = id_of(&parts)?;
    Ok(Json(view::log(shared.store.as_ref(), &id, query).await?).into_response())
}

async fn explain(
    State(shared): State<Shared>,
    Path(parts): Path<(String, String, String)>,
) -> Result<Response, Problem> {
    let id = id_of(&parts)?;
    let explained = view::explain(shared.store.as_ref(), &id).await?.ok_or_else(no_request)?;
    Ok(Json(explained).into_response())
}

fn id_of((team, environment, name): &(String, String, String)) -> Result<RequestId, Problem> {
    RequestId::new(team, environment, name).ok_or_else(no_request)
}

fn no_request() -> Problem {
    Problem(StatusCode::NOT_FOUND, "there is no such request".into())
}

async fn person(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Json(command): Json<PersonCommand>,
) -> Result<Response, Problem> {
    let (by, at) = (peer.name(), (shared.now)());
    tracing::info!(by, ?command, "a person's command");
    let noted = command.note(shared.store.as_ref(), by, at).await?;
    // A loop that is busy looks at the store again at its next pass anyway.
    let _ = shared.asks.try_send(Ask::Wake);
    Ok(Json(noted).into_response())
}

#[derive(Deserialize)]
struct ApplyBody {
    #[serde(default)]
    wait: bool,
}

async fn apply(
    State(shared): State<Shared>,
    Json(body): Json<ApplyBody>,
) -> Result<Response, Problem> {
    let (answer, answered) = oneshot::channel();
    let stopped = || Problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".into());
    shared.asks.send(Ask::Apply { wait: body.wait, answer }).await.map_err(|_| stopped())?;
    match answered.await.map_err(|_| stopped())? {
        Ok(report) => Ok(Json(report).into_response()),
        Err(error) => Err(Problem(StatusCode::INTERNAL_SERVER_ERROR, error)),
    }
}
