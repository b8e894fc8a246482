use std::sync::Arc;

use partyline_plugin::CommandCx;
use partyline_protocol::{Conversation, ErrorCode, Member, RequestError, SendMessage, Sent};
use tokio::sync::{mpsc, oneshot};

use super::user_of;
use crate::collector::{Caller, Queued, Wanted};
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
        let client_msg_id = message.client_msg_id.clone();
        let content_hash = message.content_hash();
        // A refusal waits like a message: what was stored before is answered as before, whatever
        // the limits are by now.
        let request = self.wanted(&sender, message);
        let (caller, answer) = Caller::new(sender, client_msg_id, content_hash);
        self.queue
            .try_send(Queued { caller, request })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => {
                    let detail = format!("the most that wait are {} sends", self.config.queue);
                    RequestError::new(ErrorCode::TooManyInFlight).with_detail(detail)
                }
                mpsc::error::TrySendError::Closed(_) => ErrorCode::SendSystemError.into(),
            })?;
        Ok(answer)
    }

    fn wanted(&self, sender: &Member, message: SendMessage) -> Result<Wanted, RequestError> {
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
        Ok(Wanted { target, message })
    }
}
