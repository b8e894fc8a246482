//! The rows that go into a statement, passed as one JSON text.
//!
//! One parameter whatever the number of rows: the statement's text stays the same, so that it is
//! prepared once.

use partyline_plugin::sqlx;
use serde::Serialize;

use super::Result;

pub(super) fn encode<T: Serialize>(rows: &[T]) -> Result<String> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))
}

#[derive(Serialize)]
pub(super) struct SendRow<'a> {
    pub app: &'a str,
    pub sender: &'a str,
    pub client_msg_id: &'a str,
}

#[derive(Serialize)]
pub(super) struct ConversationRow<'a> {
    pub name: &'a str,
    pub n: i64,
    pub kept: i64,
}

#[derive(Serialize)]
pub(super) struct StreamRow<'a> {
    pub app: &'a str,
    pub username: &'a str,
    pub n: i64,
}

#[derive(Serialize)]
pub(super) struct MemberRow {
    pub stream: i64,
    pub conversation: i64,
    pub joined: i64,
}

#[derive(Serialize)]
pub(super) struct MessageRow<'a> {
    pub id: i64,
    pub conversation: i64,
    pub seq: i64,
    pub kept: i64,
    pub app: &'a str,
    pub sender: &'a str,
    pub client_msg_id: &'a str,
    pub hash: &'a str,
    pub at_ms: i64,
    pub expire_at: Option<i64>,
    pub no_offline: i64,
    pub content: &'a str,
}

#[derive(Serialize)]
pub(super) struct ItemRow {
    pub stream: i64,
    pub seq: i64,
    pub at_ms: i64,
    pub message: i64,
}

#[derive(Serialize)]
pub(super) struct CursorRow<'a> {
    pub stream: i64,
    pub device: &'a str,
    pub from_seq: i64,
    pub to_seq: i64,
}
