//! The reason codes of MQTT 5, under the names that its text gives them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

macro_rules! reasons {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// Why a packet was answered as it was. 0x80 and above are refusals.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = concat!(stringify!($code), ": ", $text, ".")] $name = $code,)*
        }

        impl TryFrom<u8> for Reason {
            type Error = UnknownReason;

            fn try_from(code: u8) -> Result<Self, UnknownReason> {
                match code {
                    $($code => Ok(Self::$name),)*
                    _ => Err(UnknownReason(code)),
                }
            }
        }

        /// The reason as a clause in lower case.
        impl fmt::Display for Reason {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

// 0 has three names in MQTT 5 (success, normal disconnection, granted QoS 0); one is enough here.
reasons! {
    Success = 0x00, "success";
    GrantedQos1 = 0x01, "granted qos 1";
    GrantedQos2 = 0x02, "granted qos 2";
    DisconnectWithWill = 0x04, "disconnect with will message";
    NoMatchingSubscribers = 0x10, "no matching subscribers";
    NoSubscriptionExisted = 0x11, "no subscription existed";
    ContinueAuthentication = 0x18, "continue authentication";
    ReAuthenticate = 0x19, "re-authenticate";
    UnspecifiedError = 0x80, "unspecified error";
    MalformedPacket = 0x81, "malformed packet";
    ProtocolError = 0x82, "protocol error";
    ImplementationSpecificError = 0x83, "implementation specific error";
    UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
    ClientIdentifierNotValid = 0x85, "client identifier not valid";
    BadUserNameOrPassword = 0x86, "bad user name or password";
    NotAuthorized = 0x87, "not authorized";
    ServerUnavailable = 0x88, "server unavailable";
    ServerBusy = 0x89, "server busy";
    Banned = 0x8A, "banned";
    ServerShuttingDown = 0x8B, "server shutting down";
    BadAuthenticationMethod = 0x8C, "bad authentication method";
    KeepAliveTimeout = 0x8D, "keep alive timeout";
    SessionTakenOver = 0x8E, "session taken over";
    TopicFilterInvalid = 0x8F, "topic filter invalid";
    TopicNameInvalid = 0x90, "topic name invalid";
    PacketIdentifierInUse = 0x91, "packet identifier in use";
    PacketIdentifierNotFound = 0x92, "packet identifier not found";
    ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
    TopicAliasInvalid = 0x94, "topic alias invalid";
    PacketTooLarge = 0x95, "packet too large";
    MessageRateTooHigh = 0x96, "message rate too high";
    QuotaExceeded = 0x97, "quota exceeded";
    AdministrativeAction = 0x98, "administrative action";
    PayloadFormatInvalid = 0x99, "payload format invalid";
    RetainNotSupported = 0x9A, "retain not supported";
    QosNotSupported = 0x9B, "qos not supported";
    UseAnotherServer = 0x9C, "use another server";
    ServerMoved = 0x9D, "server moved";
    SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
    ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    MaximumConnectTime = 0xA0, "maximum connect time";
    SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
    WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
}

impl Reason {
    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Whether the code says that something was refused or failed (0x80 and above).
    pub const fn is_error(self) -> bool {
        self.code() >= 0x80
    }
}

impl From<Reason> for u8 {
    fn from(reason: Reason) -> u8 {
        reason.code()
    }
}

/// A JSON number, the code.
impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(u8::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A byte that is no reason code of MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("0x{0:02x} is no reason code")]
pub struct UnknownReason(pub u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back() {
        let known: Vec<Reason> = (0..=u8::MAX)
            .filter_map(|c| Reason::try_from(c).ok())
            .collect();
        assert_eq!(known.len(), 43);
        assert!(known.iter().all(|r| Reason::try_from(r.code()) == Ok(*r)));
        assert_eq!(Reason::try_from(0x03), Err(UnknownReason(3)));
    }

    #[test]
    fn refusals_start_at_0x80() {
        assert!(Reason::UnspecifiedError.is_error());
        assert!(!Reason::ReAuthenticate.is_error());
        assert_eq!(Reason::SessionTakenOver.code(), 0x8E);
        assert_eq!(Reason::NotAuthorized.to_string(), "not authorized");
    }
}
