//! What a column holds, as the types that the plugin works with.

use std::error::Error;
use std::str::FromStr;

use partyline_plugin::sqlx;
use partyline_protocol::{AppKey, Member, MessageId, Seq, Username};

use super::Result;

/// A stored value that no version of this plugin wrote.
fn decode(error: impl Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

pub(super) fn text<T: FromStr<Err: Error + Send + Sync + 'static>>(column: &str) -> Result<T> {
    column.parse().map_err(decode)
}

pub(super) fn number(column: i64) -> Result<u64> {
    u64::try_from(column).map_err(decode)
}

pub(super) fn seq(column: i64) -> Result<Seq> {
    Seq::parse(number(column)?).map_err(decode)
}

pub(super) fn message_id(column: i64) -> Result<MessageId> {
    MessageId::parse(number(column)?).map_err(decode)
}

pub(super) fn member(app: &str, username: &str) -> Result<Member> {
    Ok(Member {
        appkey: text::<AppKey>(app)?,
        username: text::<Username>(username)?,
    })
}

pub(super) fn json<'a, T: serde::Deserialize<'a>>(column: &'a str) -> Result<T> {
    serde_json::from_str(column).map_err(decode)
}

/// For a column. Ids stay below 2^53; times beyond the range would be the year 292 million.
pub(super) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
