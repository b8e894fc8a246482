use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Reason;

macro_rules! error_codes {
    ($($name:ident = $code:literal, $text:literal, $reason:ident, $message:literal;)*) => {
        /// A stable code for one way in which a request fails; a JSON number.
        ///
        /// An unknown user and a wrong password both answer [`ErrorCode::InvalidPassword`] at
        /// login, so that names can't be tried out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum ErrorCode {
            $(#[doc = concat!(stringify!($code), " `", $text, "`: ", $message, ".")]
            $name = $code,)*
        }

        impl ErrorCode {
            /// Every code, ascending within its group.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code with this number.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The code's name, such as `im.target_user_not_exist`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What the code says, in JMessage's words where it has some.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $message,)*
                }
            }

            /// How a PUBACK of MQTT 5 says it: not authorized, quota exceeded, payload format
            /// invalid, retain not supported, or implementation specific for everything else.
            pub const fn reason(self) -> Reason {
                match self {
                    $(Self::$name => Reason::$reason,)*
                }
            }
        }
    };
}

error_codes! {
    // General, 800xxx.
    AppKeyNotExist = 800_003, "general.appkey_not_exist", NotAuthorized, "appkey not exist";
    UserNotExist = 800_005, "general.user_not_exist", ImplementationSpecificError, "user not exist";
    InvalidRequest = 800_008, "general.invalid_request", PayloadFormatInvalid, "invalid request";
    SystemError = 800_009, "general.system_error", ImplementationSpecificError, "system error";
    UserNeverLogin = 800_012, "general.user_never_login", NotAuthorized, "user never login";
    UserLogout = 800_013, "general.user_logout", NotAuthorized, "user logout";
    AppKeyNotMatch = 800_014, "general.appkey_not_match", NotAuthorized, "appkey not match";
    DeviceNotMatch = 800_016, "general.device_not_match", NotAuthorized, "device not match";
    FrequencyLimit = 800_017, "general.frequency_limit", QuotaExceeded, "beyond the frequency limit";
    GroupNotExist = 800_018, "general.group_not_exist", ImplementationSpecificError, "group id not exist";
    RequesterNotInGroup = 800_019, "general.user_not_in_group", NotAuthorized, "req user not in group";
    NoPermission = 800_020, "general.no_permission", NotAuthorized, "request user no permission";
    // Login, 801xxx, and logout, 802xxx.
    LoginUserNotExist = 801_003, "login.user_not_exist", NotAuthorized, "user not exist";
    InvalidPassword = 801_004, "login.invalid_password", NotAuthorized, "invalid password";
    InvalidDevice = 801_005, "login.invalid_device", NotAuthorized, "invalid device";
    UserDisabled = 801_006, "login.user_disabled", NotAuthorized, "user disabled";
    LogoutUsernameNotMatch = 802_002, "logout.username_not_match", NotAuthorized, "username not match";
    // Sending, 803xxx.
    SendSystemError = 803_001, "im.system_error", ImplementationSpecificError, "system error";
    TargetUserNotExist = 803_003, "im.target_user_not_exist", ImplementationSpecificError, "target user not exist";
    TargetGroupNotExist = 803_004, "im.target_group_not_exist", ImplementationSpecificError, "target group not exist";
    SenderNotInGroup = 803_005, "im.user_not_in_group", NotAuthorized, "user not in group";
    SenderNotPermitted = 803_006, "im.user_not_permitted", NotAuthorized, "user not permitted";
    MessageTooLong = 803_007, "im.message_too_long", QuotaExceeded, "length of message exceed limit";
    InBlacklist = 803_008, "im.user_in_blacklist", NotAuthorized, "user in blacklist";
    SensitiveWord = 803_009, "im.sensitive_word", NotAuthorized, "the message contains sensitive word";
    SendFrequencyLimit = 803_010, "im.frequency_limit", QuotaExceeded, "beyond the frequency limit";
    InvalidMessageContent = 803_011, "im.invalid_content", PayloadFormatInvalid, "msg content json error";
    Silenced = 803_012, "im.silenced", NotAuthorized, "can not chat while silent";
    // Chatrooms, 847xxx.
    NotInRoom = 847_001, "room.user_not_in_room", NotAuthorized, "user not in chatroom";
    RoomNotExist = 847_003, "room.not_exist", ImplementationSpecificError, "chatroom not exist";
    // REST, 899xxx.
    RestInternalError = 899_000, "rest.internal_error", ImplementationSpecificError, "Server internal error";
    RestUserExists = 899_001, "rest.user_exists", ImplementationSpecificError, "User exist";
    RestNoSuchUser = 899_002, "rest.no_such_user", ImplementationSpecificError, "No such user";
    RestInvalidParameter = 899_003, "rest.invalid_parameter", PayloadFormatInvalid, "parameter invalid";
    RestInvalidGroup = 899_006, "rest.invalid_group", ImplementationSpecificError, "Group id invalid";
    RestMissingAuthentication = 899_007, "rest.missing_authentication", NotAuthorized, "Missing authen info";
    RestAuthenticationFailed = 899_008, "rest.authentication_failed", NotAuthorized, "Basic authentication failed";
    RestAppKeyNotExist = 899_009, "rest.appkey_not_exist", NotAuthorized, "Appkey not exit";
    RestTooManyUsers = 899_013, "rest.too_many_users", QuotaExceeded, "User list is bigger than 500";
    RestNoAuthorityToSend = 899_016, "rest.no_authority_to_send", NotAuthorized, "No authority to send message";
    CrossAppRefused = 899_020, "rest.cross_app_refused", NotAuthorized, "no auth to operating other appkey";
    RestBusy = 899_030, "rest.busy", QuotaExceeded, "Server response time out, please try again later";
    // Partyline's own, 870xxx.
    IdReused = 870_001, "request.id_reused", ImplementationSpecificError, "the id was used before with other content";
    UnknownVerb = 870_002, "request.unknown_verb", NotAuthorized, "unknown verb";
    TooDeep = 870_003, "request.too_deep", PayloadFormatInvalid, "the json is nested too deeply";
    TooManyInFlight = 870_004, "request.too_many_in_flight", QuotaExceeded, "too many commands in flight";
    CommandTimeout = 870_005, "request.timeout", ImplementationSpecificError, "the command took too long";
    RetainedCommand = 870_006, "request.retained", RetainNotSupported, "a command can not be retained";
    Busy = 870_007, "request.busy", QuotaExceeded, "the server is busy, try again later";
    WrongEpoch = 870_101, "inbox.wrong_epoch", ImplementationSpecificError, "the stream has another epoch";
    AckBeyondSent = 870_102, "inbox.ack_beyond_sent", ImplementationSpecificError, "acknowledged beyond what was sent";
    DeviceLimit = 870_201, "device.limit", QuotaExceeded, "the user has too many devices";
    TokenInvalid = 870_202, "device.token_invalid", NotAuthorized, "the token is invalid or revoked";
    LoginBackoff = 870_203, "device.login_backoff", NotAuthorized, "kicked from this device, log in again later";
}

impl ErrorCode {
    /// The code's number.
    pub const fn code(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.message())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.code())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u32::deserialize(deserializer)?;
        Self::from_code(code).ok_or_else(|| de::Error::custom(format!("unknown error code {code}")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_come_back() {
        let codes: HashSet<u32> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        let names: HashSet<&str> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(*code));
            assert!(code.reason().is_error());
        }
    }

    #[test]
    fn own_codes_keep_to_their_range() {
        for code in ErrorCode::ALL {
            let jmessage = [800, 801, 802, 803, 847, 899].contains(&(code.code() / 1000));
            assert!(jmessage || code.code() / 1000 == 870, "{code:?}");
        }
    }
}
