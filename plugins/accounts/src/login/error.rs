//! Why a user is not let in, and how CONNACK and a reply say it.

use partyline_plugin::ConnectRefusal;
use partyline_protocol::{ErrorCode, Reason, RequestError};
use thiserror::Error;

/// Why a user is not let in.
#[derive(Debug, Error)]
pub(crate) enum LoginError {
    /// Unknown user or wrong password: nobody is told which.
    #[error("the user name or password is wrong")]
    WrongPassword,
    #[error("the token is invalid or revoked")]
    InvalidToken,
    /// Only said after a right password or token.
    #[error("the user is disabled")]
    Disabled,
    #[error("too many wrong passwords, try again later")]
    TooFast,
    #[error("too many logins wait, try again later")]
    Busy,
    #[error("the user was kicked from this device, try again later")]
    Banned,
    #[error("the user has too many devices")]
    DeviceLimit,
    /// The process is stopping, or has no memory for a hash.
    #[error("the login could not be carried out")]
    Unavailable,
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl LoginError {
    /// The refusal of a CONNECT.
    pub(crate) fn refusal(&self) -> ConnectRefusal {
        ConnectRefusal::because(
            match self {
                Self::WrongPassword | Self::InvalidToken => Reason::BadUserNameOrPassword,
                Self::Disabled => Reason::NotAuthorized,
                Self::TooFast => Reason::ConnectionRateExceeded,
                Self::Busy => Reason::ServerBusy,
                Self::Banned => Reason::Banned,
                Self::DeviceLimit => Reason::QuotaExceeded,
                Self::Unavailable | Self::Database(_) => Reason::ServerUnavailable,
            },
            self.to_string(),
        )
    }
}

impl From<LoginError> for RequestError {
    fn from(error: LoginError) -> Self {
        Self::new(match error {
            LoginError::WrongPassword => ErrorCode::InvalidPassword,
            LoginError::InvalidToken => ErrorCode::TokenInvalid,
            LoginError::Disabled => ErrorCode::UserDisabled,
            LoginError::TooFast => ErrorCode::FrequencyLimit,
            LoginError::Busy => ErrorCode::Busy,
            LoginError::Banned => ErrorCode::LoginBackoff,
            LoginError::DeviceLimit => ErrorCode::DeviceLimit,
            LoginError::Unavailable => ErrorCode::SystemError,
            LoginError::Database(error) => {
                tracing::error!(?error, "a login failed in the database");
                ErrorCode::SystemError
            }
        })
    }
}
