use serde::{Deserialize, Serialize};

use super::{Platform, Secret};
use crate::error_code::{ErrorCode, RequestError};
use crate::id::{Epoch, RegistrationId, Seq, Username};

/// `$im/session/login`: binds a user to the connection, by password or by token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Who logs in.
    pub username: Username,
    /// The account's password; or a token instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A login token issued before; or the password instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// What the device runs on; without it the device kicks none and is kicked by none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// What proves a [`Login`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// The account's password.
    Password(&'a Secret),
    /// A token issued at an earlier login.
    Token(&'a Secret),
}

impl Login {
    /// The one credential that the login brings; none or both is an invalid request.
    pub fn credential(&self) -> Result<Credential<'_>, RequestError> {
        match (&self.password, &self.token) {
            (Some(password), None) => Ok(Credential::Password(password)),
            (None, Some(token)) => Ok(Credential::Token(token)),
            _ => Err(RequestError::new(ErrorCode::InvalidRequest)
                .with_detail("exactly one of password and token is needed")),
        }
    }
}

/// Reply to [`Login`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedIn {
    /// A login token; only when it is newly issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Where the device gets its pushes.
    pub registration_id: RegistrationId,
    /// The life of the user's stream.
    pub epoch: Epoch,
    /// The last place of the user's stream.
    pub head: Seq,
}

/// `$im/session/logout`: takes the user off the connection. The reply is
/// [`Done`](crate::request::Done).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logout {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_is_needed() {
        let login = |json: &str| serde_json::from_str::<Login>(json).unwrap();
        let password = login(r#"{"username":"alice","password":"hush"}"#);
        assert!(matches!(password.credential(), Ok(Credential::Password(_))));
        assert!(!format!("{password:?}").contains("hush"));
        assert!(login(r#"{"username":"alice"}"#).credential().is_err());
        let both = login(r#"{"username":"alice","password":"a","token":"b"}"#);
        assert!(both.credential().is_err());
    }
}
