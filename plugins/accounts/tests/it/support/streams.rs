use parking_lot::Mutex;
use partyline_plugin::async_trait;
use partyline_plugin::services::{ServiceError, StreamPlace, Streams};
use partyline_protocol::{AppKey, Epoch, RegistrationId, Seq, Username};

/// Every user's stream stands at the same place; remembers what it was to forget.
#[derive(Default)]
pub(crate) struct TestStreams {
    forgotten: Mutex<Vec<String>>,
    /// A user who can't be forgotten.
    pub(crate) stubborn: Mutex<Option<Username>>,
}

impl TestStreams {
    pub(crate) fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().clone()
    }
}

#[async_trait]
impl Streams for TestStreams {
    async fn place(&self, _app: &AppKey, _user: &Username) -> Result<StreamPlace, ServiceError> {
        let (epoch, head) = (Epoch::parse("e1").unwrap(), Seq::parse(7).unwrap());
        Ok(StreamPlace { epoch, head })
    }

    async fn forget_user(&self, _app: &AppKey, user: &Username) -> Result<(), ServiceError> {
        if self.stubborn.lock().as_ref() == Some(user) {
            return Err(ServiceError("the stream is busy".into()));
        }
        self.forgotten.lock().push(format!("user {user}"));
        Ok(())
    }

    async fn forget_device(
        &self,
        _app: &AppKey,
        user: &Username,
        device: &RegistrationId,
    ) -> Result<(), ServiceError> {
        self.forgotten
            .lock()
            .push(format!("device {user} {device}"));
        Ok(())
    }

    async fn forget_app(&self, app: &AppKey) -> Result<(), ServiceError> {
        self.forgotten.lock().push(format!("app {app}"));
        Ok(())
    }
}
