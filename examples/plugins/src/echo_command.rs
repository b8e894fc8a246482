//! Answers a command.

use std::sync::Arc;

use partyline_plugin::protocol::{ErrorCode, RequestError};
use partyline_plugin::{CommandCx, Plugin, PluginContext, Registrar, async_trait};
use serde::{Deserialize, Serialize};

/// Says back what it is told: a request `{"id": 7, "words": "hello"}` to `$x/echo/say` is answered
/// on `$x/echo/reply`, or on the request's own Response Topic, with
/// `{"id": 7, "ok": {"words": "hello", "by": "anna"}}`.
///
/// The SDK reads the request and writes the reply; what a handler returns as an error goes to the
/// client as `{"error": {…}}`, and as the reason of the PUBACK.
#[derive(Debug)]
pub struct Echo {
    config: EchoConfig,
}

/// `[plugins.echo]`
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EchoConfig {
    /// Most bytes of words.
    pub max_bytes: usize,
}

impl Default for EchoConfig {
    fn default() -> Self {
        Self { max_bytes: 1024 }
    }
}

/// The request.
#[derive(Debug, Deserialize)]
pub struct Words {
    /// What to say.
    pub words: String,
}

/// The reply.
#[derive(Debug, Serialize)]
pub struct Said {
    /// What was said.
    pub words: String,
    /// By which user, if one is logged in.
    pub by: Option<String>,
}

#[async_trait]
impl Plugin for Echo {
    const ID: &'static str = "echo";
    type Config = EchoConfig;

    async fn build(_: PluginContext, config: EchoConfig) -> anyhow::Result<Self> {
        Ok(Self { config })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar
            .owns("$x/echo/")
            .command("$x/echo/say", "$x/echo/reply", self, Self::say);
    }
}

impl Echo {
    #[expect(clippy::unused_async, reason = "a command may wait, this one need not")]
    async fn say(self: Arc<Self>, cx: CommandCx, request: Words) -> Result<Said, RequestError> {
        let (bytes, limit) = (request.words.len(), self.config.max_bytes);
        if bytes > limit {
            let error = RequestError::new(ErrorCode::InvalidRequest);
            return Err(error.with_detail(format_args!("{bytes} of {limit} bytes of words")));
        }
        Ok(Said {
            words: request.words,
            by: cx.username().ok().map(ToString::to_string),
        })
    }
}
