//! A conversation as it is stored: one name for all of its members.

use std::fmt;
use std::str::FromStr;

use partyline_protocol::{AppKey, Conversation, IdError, Member, Username};

/// Which conversation, whoever looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConversationKey {
    /// Between two users, possibly of two apps, in the order of app and name; a user's
    /// conversation with itself names it twice.
    Single(Member, Member),
}

impl ConversationKey {
    /// The single chat of two users.
    pub fn between(one: &Member, other: &Member) -> Self {
        let order = |member: &Member| (member.appkey.clone(), member.username.clone());
        if order(one) <= order(other) {
            Self::Single(one.clone(), other.clone())
        } else {
            Self::Single(other.clone(), one.clone())
        }
    }

    /// The conversation as a member names it.
    pub fn seen_by(&self, viewer: &Member) -> Conversation {
        let Self::Single(first, second) = self;
        let other = if viewer == first { second } else { first };
        Conversation::Single {
            app: other.appkey.clone(),
            username: other.username.clone(),
        }
    }

    /// Its members; a user's conversation with itself names it twice.
    pub(crate) fn members(&self) -> [&Member; 2] {
        let Self::Single(one, two) = self;
        [one, two]
    }

    /// What the names of an app's single chats begin with, and the first name behind them.
    pub(crate) fn range_of(app: &AppKey) -> (String, String) {
        // '0' follows '/'.
        (format!("single/{app}/"), format!("single/{app}0"))
    }
}

/// `single/{app}/{username}/{app}/{username}`; neither apps nor usernames hold a `/`.
impl fmt::Display for ConversationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Single(one, two) = self;
        write!(
            f,
            "single/{}/{}/{}/{}",
            one.appkey, one.username, two.appkey, two.username
        )
    }
}

/// A name in the store that no version of this plugin wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a conversation with an unreadable name is stored")]
pub struct UnreadableName;

impl From<IdError> for UnreadableName {
    fn from(_: IdError) -> Self {
        Self
    }
}

impl FromStr for ConversationKey {
    type Err = UnreadableName;

    fn from_str(name: &str) -> Result<Self, UnreadableName> {
        let mut parts = name.split('/');
        let mut part = || parts.next().ok_or(UnreadableName);
        if part()? != "single" {
            return Err(UnreadableName);
        }
        let mut member = || {
            let appkey = AppKey::parse(part()?)?;
            Ok::<_, UnreadableName>(Member {
                appkey,
                username: Username::parse(part()?)?,
            })
        };
        let (one, two) = (member()?, member()?);
        if parts.next().is_some() {
            Err(UnreadableName)
        } else {
            Ok(Self::Single(one, two))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(app: &str, username: &str) -> Member {
        Member {
            appkey: AppKey::parse(app.repeat(24)).unwrap(),
            username: Username::parse(username).unwrap(),
        }
    }

    #[test]
    fn both_members_mean_the_same_conversation() {
        let (alice, bob) = (member("b", "alice"), member("a", "bob.b"));
        let key = ConversationKey::between(&alice, &bob);
        assert_eq!(key, ConversationKey::between(&bob, &alice));
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        let app = "a".repeat(24);
        assert_eq!(
            key.seen_by(&alice).to_string(),
            format!("single:{app}:bob.b")
        );
        let itself = ConversationKey::between(&bob, &bob);
        assert_eq!(itself.seen_by(&bob), key.seen_by(&alice));
        let (from, until) = ConversationKey::range_of(&bob.appkey);
        assert!((from..until).contains(&key.to_string()));
        assert!("single/x".parse::<ConversationKey>().is_err());
    }
}
