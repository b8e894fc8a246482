//! A user's conversations.

use partyline_plugin::sqlx;
use partyline_protocol::{Conversation, Member};

use super::column;
use super::model::{ConversationHead, HeadsPage, Kept};
use super::{Db, Pool, Result};
use crate::conversation_key::ConversationKey;

// The first place that is kept: behind the newest message that isn't, or where the history begins.
// Both are looked up from an end of the conversation, so that few rows are read.
const HEADS: &str = "SELECT c.name, c.last, m.joined,
        coalesce(
            (SELECT p.seq + 1 FROM im_message p
             WHERE p.conversation = c.id AND (p.kept <= c.kept - $5 OR p.at_ms < $6)
             ORDER BY p.seq DESC LIMIT 1),
            (SELECT p.seq FROM im_message p WHERE p.conversation = c.id ORDER BY p.seq LIMIT 1),
            c.last + 1)
     FROM im_stream s
     JOIN im_member m ON m.stream = s.id
     JOIN im_conversation c ON c.id = m.conversation
     WHERE s.app = $1 AND s.username = $2 AND m.conversation > $3
     ORDER BY m.conversation LIMIT $4";

pub(super) async fn heads(
    pool: &Pool,
    user: &Member,
    after: Option<&Conversation>,
    kept: Kept,
    limit: u32,
) -> Result<HeadsPage> {
    let after = match after {
        None => 0,
        // Behind a conversation that isn't there comes nothing; starting anew would never end.
        Some(after) => match number_of(pool, user, after).await? {
            Some(number) => number,
            None => return Ok(HeadsPage::default()),
        },
    };
    let query = sqlx::query_as::<Db, (String, i64, i64, i64)>(HEADS)
        .bind(user.appkey.as_str())
        .bind(user.username.as_str())
        .bind(after)
        .bind(i64::from(limit) + 1)
        .bind(i64::from(kept.per_conversation))
        .bind(column::column(kept.since_ms));
    let mut rows = query.fetch_all(pool).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let heads = rows.into_iter().map(|(name, last, joined, first_kept)| {
        let key = column::text::<ConversationKey>(&name)?;
        let truncated = (first_kept > joined).then_some(first_kept);
        Ok(ConversationHead {
            conversation: key.seen_by(user),
            last: column::seq(last)?,
            truncated_before: truncated.map(column::seq).transpose()?,
        })
    });
    Ok(HeadsPage {
        heads: heads.collect::<Result<_>>()?,
        more,
    })
}

async fn number_of(pool: &Pool, user: &Member, named: &Conversation) -> Result<Option<i64>> {
    let Conversation::Single { app, username } = named else {
        return Ok(None);
    };
    let other = Member {
        appkey: app.clone(),
        username: username.clone(),
    };
    let name = ConversationKey::between(user, &other).to_string();
    let query = sqlx::query_scalar::<Db, i64>("SELECT id FROM im_conversation WHERE name = $1");
    query.bind(name).fetch_optional(pool).await
}
