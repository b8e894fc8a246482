//! Reading the tables at start, row by row.

use futures_util::TryStreamExt;

use super::{Db, Pool};
use crate::store::load::{
    MessageRow, QueueRow, Reader, ReceivedRow, RetainedRow, SessionRow, SubscriptionRow,
};

const SESSIONS: &str = "SELECT id, app, owner, username, client_id, registration, expiry_secs,
        detached_ms, will, will_delay_secs
     FROM mqtt_session ORDER BY id";

const SUBSCRIPTIONS: &str =
    "SELECT session, filter, options, subscription_id FROM mqtt_subscription ORDER BY id";

const MESSAGES: &str = "SELECT id, expires_ms, packet FROM mqtt_message ORDER BY id";

const QUEUE: &str = "SELECT session, position, message, qos, retain, subscription_ids, share,
        packet_id, stage
     FROM mqtt_queue ORDER BY session, position";

const RECEIVED: &str = "SELECT session, packet_id FROM mqtt_received";

// In the order in which the topics were first retained.
const RETAINED: &str = "SELECT id, app, expires_ms, packet FROM mqtt_retained ORDER BY id";

pub(in crate::store) async fn all(pool: &Pool, to: &mut Reader<'_>) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::query_as::<Db, SessionRow>(SESSIONS).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.session(row);
    }
    let mut rows = sqlx::query_as::<Db, SubscriptionRow>(SUBSCRIPTIONS).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.subscription(&row);
    }
    let mut rows = sqlx::query_as::<Db, MessageRow>(MESSAGES).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.message(&row);
    }
    let mut rows = sqlx::query_as::<Db, QueueRow>(QUEUE).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.queue(row);
    }
    let mut rows = sqlx::query_as::<Db, ReceivedRow>(RECEIVED).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.received(&row);
    }
    let mut rows = sqlx::query_as::<Db, RetainedRow>(RETAINED).fetch(pool);
    while let Some(row) = rows.try_next().await? {
        to.retained(row);
    }
    Ok(())
}
