//! The transaction that writes a batch.

use async_trait::async_trait;
use partyline_plugin::database::{WriteJob, WriteTx};

use super::{Connection, Db, connection};
use crate::store::steps::{Kind, Step};

fn text(kind: Kind) -> &'static str {
    match kind {
        Kind::DropApps => concat!(
            "DELETE FROM mqtt_retained WHERE app IN (SELECT app FROM ",
            rows_of!(app text),
            ")"
        ),
        Kind::EndSessions => concat!(
            "DELETE FROM mqtt_session WHERE id IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::EndSubscriptions => concat!(
            "DELETE FROM mqtt_subscription WHERE session IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::EndQueues => concat!(
            "DELETE FROM mqtt_queue WHERE session IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::EndReceived => concat!(
            "DELETE FROM mqtt_received WHERE session IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::PutSessions => concat!(
            "INSERT INTO mqtt_session (id, app, owner, username, client_id, registration,
                 expiry_secs, detached_ms, will, will_delay_secs)
             SELECT id, app, owner, username, client_id, registration, expiry_secs, detached_ms,
                 CASE WHEN r.start IS NULL THEN NULL ELSE ",
            packet!(),
            " END, will_delay_secs FROM ",
            rows_of!(
                id bigint, app text, owner bigint, username text, client_id text,
                registration text, expiry_secs bigint, detached_ms bigint, start integer,
                len integer, will_delay_secs bigint
            ),
            " WHERE true ON CONFLICT (id) DO UPDATE SET expiry_secs = excluded.expiry_secs,
                 detached_ms = excluded.detached_ms, will = excluded.will,
                 will_delay_secs = excluded.will_delay_secs"
        ),
        Kind::RemoveSubscriptions => concat!(
            "DELETE FROM mqtt_subscription WHERE (session, filter) IN
                 (SELECT session, filter FROM ",
            rows_of!(session bigint, filter text),
            ")"
        ),
        Kind::PutSubscriptions => concat!(
            "INSERT INTO mqtt_subscription (session, filter, options, subscription_id)
             SELECT session, filter, options, subscription_id FROM ",
            rows_of!(session bigint, filter text, options bigint, subscription_id bigint)
        ),
        Kind::RemoveQueue => concat!(
            "DELETE FROM mqtt_queue WHERE (session, position) IN (SELECT session, position FROM ",
            rows_of!(session bigint, position bigint),
            ")"
        ),
        Kind::RemoveMessages => concat!(
            "DELETE FROM mqtt_message WHERE id IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::PutMessages => concat!(
            "INSERT INTO mqtt_message (id, expires_ms, packet) SELECT id, expires_ms, ",
            packet!(),
            " FROM ",
            rows_of!(id bigint, expires_ms bigint, start integer, len integer)
        ),
        Kind::PutQueue => concat!(
            "INSERT INTO mqtt_queue (session, position, message, qos, retain, subscription_ids,
                 share, packet_id, stage)
             SELECT session, position, message, qos, retain, subscription_ids, share, packet_id,
                 stage
             FROM ",
            rows_of!(
                session bigint, position bigint, message bigint, qos bigint, retain bigint,
                subscription_ids text, share text, packet_id bigint, stage bigint
            ),
            " WHERE true ON CONFLICT (session, position) DO UPDATE SET message = excluded.message,
                 packet_id = excluded.packet_id, stage = excluded.stage"
        ),
        Kind::RemoveReceived => concat!(
            "DELETE FROM mqtt_received WHERE (session, packet_id) IN
                 (SELECT session, packet_id FROM ",
            rows_of!(session bigint, packet_id bigint),
            ")"
        ),
        Kind::PutReceived => concat!(
            "INSERT INTO mqtt_received (session, packet_id) SELECT session, packet_id FROM ",
            rows_of!(session bigint, packet_id bigint),
            " WHERE true ON CONFLICT (session, packet_id) DO NOTHING"
        ),
        Kind::RemoveRetained => concat!(
            "DELETE FROM mqtt_retained WHERE id IN (SELECT id FROM ",
            rows_of!(id bigint),
            ")"
        ),
        Kind::PutRetained => concat!(
            "INSERT INTO mqtt_retained (id, app, expires_ms, packet)
             SELECT id, app, expires_ms, ",
            packet!(),
            " FROM ",
            rows_of!(id bigint, app text, expires_ms bigint, start integer, len integer),
            " WHERE true ON CONFLICT (id) DO UPDATE SET expires_ms = excluded.expires_ms,
                 packet = excluded.packet"
        ),
    }
}

/// Runs the statements of a batch in one transaction.
pub(in crate::store) struct Write<'a>(pub(in crate::store) &'a [Step]);

#[async_trait]
impl WriteJob for Write<'_> {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), sqlx::Error> {
        let connection: &mut Connection = connection(tx)?;
        for step in self.0 {
            let mut query = sqlx::query::<Db>(text(step.kind)).bind(step.rows.as_str());
            if let Some(packets) = &step.packets {
                query = query.bind(&packets[..]);
            }
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }
}
