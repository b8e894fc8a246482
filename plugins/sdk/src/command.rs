//! Command topics: JSON in, a service function, a reply and an acknowledgement out.
//!
//! A command handler is not a filter: it has no deadline of a hook and no breaker, and is never
//! dropped half-way, not even when its connection ends. It is polled once as its packet arrives,
//! in order of arrival; what it does before its first `await` that waits is therefore done in that
//! order, which is how commands of one session keep theirs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use partyline_protocol::{Reason, Request, RequestError, RequestId, Username};
use partyline_protocol::{decode_request, encode_error, encode_ok, request_id};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{SessionInfo, UserLogin};

/// Who sent a command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CommandCx {
    /// The session, as it was when the command arrived.
    pub session: Arc<SessionInfo>,
    /// The request's id, if it has one: what a verb that changes state knows a repetition by.
    pub request_id: Option<RequestId>,
}

impl CommandCx {
    /// A context; made by the broker and by tests. The request's id comes with the request.
    pub fn new(session: Arc<SessionInfo>) -> Self {
        Self {
            session,
            request_id: None,
        }
    }

    /// The user who sent it, or the error for a verb that needs one.
    pub fn user(&self) -> Result<&UserLogin, RequestError> {
        let user = self.session.principal.user.as_ref();
        user.ok_or_else(|| RequestError::new(partyline_protocol::ErrorCode::UserLogout))
    }

    /// The name of the user who sent it, or the error for a verb that needs one.
    pub fn username(&self) -> Result<&Username, RequestError> {
        self.user().map(|login| &login.username)
    }
}

/// What goes back: the reply's payload, and what the acknowledgement says. Its `Debug` leaves the
/// payload out, which may hold a token.
#[derive(Clone)]
pub struct CommandReply {
    /// JSON for the reply topic.
    pub payload: Bytes,
    /// For PUBACK or PUBREC of MQTT 5.
    pub reason: Reason,
}

impl CommandReply {
    /// The reply that refuses a command.
    pub fn refusal(request: &[u8], error: &RequestError) -> Self {
        let id = request_id(request);
        Self {
            payload: encode_error(id.as_ref(), error).into(),
            reason: error.code.reason(),
        }
    }
}

impl fmt::Debug for CommandReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandReply")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// A boxed future that may outlive its connection.
pub type CommandFuture = Pin<Box<dyn Future<Output = CommandReply> + Send>>;

/// A command handler with its types erased.
#[derive(Clone)]
pub struct CommandHandler(Arc<dyn Fn(CommandCx, Bytes) -> CommandFuture + Send + Sync>);

impl CommandHandler {
    /// Wraps a typed handler: decodes the request, encodes the answer.
    pub fn new<P, Req, Res, F, Fut>(plugin: &Arc<P>, handler: F) -> Self
    where
        P: Send + Sync + 'static,
        Req: DeserializeOwned + Send + 'static,
        Res: Serialize,
        F: Fn(Arc<P>, CommandCx, Req) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = Result<Res, RequestError>> + Send + 'static,
    {
        let plugin = Arc::clone(plugin);
        Self(Arc::new(move |mut cx, payload| {
            let (plugin, handler) = (Arc::clone(&plugin), handler.clone());
            Box::pin(async move {
                let Request { id, body } = match decode_request::<Req>(&payload) {
                    Ok(request) => request,
                    Err(error) => return CommandReply::refusal(&payload, &error),
                };
                cx.request_id.clone_from(&id);
                match handler(plugin, cx, body).await {
                    Ok(ok) => CommandReply {
                        payload: encode_ok(id.as_ref(), &ok).into(),
                        reason: Reason::Success,
                    },
                    Err(error) => CommandReply {
                        payload: encode_error(id.as_ref(), &error).into(),
                        reason: error.code.reason(),
                    },
                }
            })
        }))
    }

    /// Starts the command.
    pub fn call(&self, cx: CommandCx, payload: Bytes) -> CommandFuture {
        (self.0)(cx, payload)
    }
}

impl fmt::Debug for CommandHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CommandHandler")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_not_printed() {
        let reply = CommandReply {
            payload: "{\"ok\":{\"token\":\"hush\"}}".into(),
            reason: Reason::Success,
        };
        let printed = format!("{reply:?}");
        assert!(
            printed.contains("Success") && !printed.contains("hush"),
            "{printed}"
        );
    }
}
