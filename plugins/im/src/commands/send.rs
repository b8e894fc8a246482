use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Conversation, ErrorCode, Member, RequestError, SendMessage, Sent};
use tokio::sync::{mpsc, oneshot};

use super::user_of;
use crate::collector::Queued;
use crate::plugin::Im;

type Answer = oneshot::Receiver<Result<Sent, RequestError>>;

impl Im {
    /// `$im/message/send`.
    pub(crate) async fn send(
        self: Arc<Self>,
        cx: CommandCx,
        message: SendMessage,
    ) -> Result<Sent, RequestError> {
        // Before the first await, which keeps the sends of a session in their order.
        let answer = self.enqueue(&cx, message)?;
        answer
            .await
            .unwrap_or_else(|_| Err(ErrorCode::SendSystemError.into()))
    }

    fn enqueue(&self, cx: &CommandCx, message: SendMessage) -> Result<Answer, RequestError> {
        let sender = user_of(cx)?;
        message.check(&self.config.message_limits())?;
        let target = match message.conversation(&sender.appkey)? {
            Conversation::Single { app, username } if app == sender.appkey => Member {
                appkey: app,
                username,
            },
            Conversation::Single { .. } => return Err(ErrorCode::CrossAppRefused.into()),
            Conversation::Group(_) => return Err(ErrorCode::TargetGroupNotExist.into()),
            Conversation::Room(_) => return Err(ErrorCode::RoomNotExist.into()),
        };
        let (reply, answer) = oneshot::channel();
        let content_hash = message.content_hash();
        let queued = Queued {
            sender,
            target,
            message,
            content_hash,
            reply,
        };
        self.queue
            .try_send(queued)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => ErrorCode::TooManyInFlight,
                mpsc::error::TrySendError::Closed(_) => ErrorCode::SendSystemError,
            })?;
        Ok(answer)
    }
}
