//! Who a connection is: the answer to a CONNECT.

mod device;
mod server;
mod user;

use async_trait::async_trait;
use partyline_plugin::{
    Admission, AuthVerdict, Authenticate, ConnectRefusal, ConnectRequest, HookError, HookResult,
    Principal, Role, UserLogin,
};
use partyline_protocol::Reason;

use crate::AccountsPlugin;
use crate::connect_name::ConnectName;
use crate::issued::Issued;
use crate::notice;
use crate::store::Device;

#[async_trait]
impl Authenticate for AccountsPlugin {
    async fn authenticate(&self, request: &ConnectRequest) -> HookResult<AuthVerdict> {
        let name = request.username.as_deref().and_then(ConnectName::parse);
        let (app, user) = match name {
            None => return Ok(AuthVerdict::Next),
            Some(ConnectName::Nobody) => return Ok(wrong()),
            Some(ConnectName::Device(app)) => (app, None),
            Some(ConnectName::User(app, user)) => (app, Some(user)),
            Some(ConnectName::Server(app)) => return self.server(&app, request).await,
        };
        // An unknown app looks like a wrong password; app keys are public, so no work hides it.
        let Some(app) = self.directory.app(&app).await.map_err(HookError::new)? else {
            return Ok(wrong());
        };
        match user {
            None => self.device(&app, request).await,
            Some(user) => self.user(&app, &user, request).await,
        }
    }
}

impl AccountsPlugin {
    /// Lets a device in, or the user on it, and tells it what it must know.
    async fn admit(&self, device: Device, user: Option<UserLogin>, issued: Issued) -> AuthVerdict {
        let key = device.key();
        let earlier = self.broker.session_of(&key).map(|session| session.id);
        self.issued
            .connected(&key, earlier, &issued, self.directory.now());
        let username = user.as_ref().map(|login| &login.username);
        let notice = self
            .notices
            .notice(&device.app, &device.registration, username, issued)
            .await;
        let registration = Some(device.registration);
        AuthVerdict::Allow(Box::new(Admission {
            device: key,
            principal: Principal {
                role: Role::Device,
                registration,
                user,
            },
            connack_properties: notice::connack_properties(&notice),
            welcome: vec![self.notices.outgoing(&notice)],
        }))
    }
}

fn deny(reason: Reason, message: &str) -> AuthVerdict {
    AuthVerdict::Deny(ConnectRefusal::because(reason, message))
}

fn wrong() -> AuthVerdict {
    deny(
        Reason::BadUserNameOrPassword,
        "the user name or password is wrong",
    )
}

/// The password of a CONNECT; an empty one is none.
fn password(request: &ConnectRequest) -> Option<&[u8]> {
    request
        .password
        .as_deref()
        .filter(|password| !password.is_empty())
}
