//! A user's conversations.

use partyline_plugin::sqlx;
use partyline_protocol::{Conversation, Member};

use super::column;
use super::model::HeadsPage;
use super::{Db, Pool, Result};
use crate::conversation_key::ConversationKey;

const HEADS: &str = "SELECT c.name, c.last
     FROM im_stream s
     JOIN im_member m ON m.stream = s.id
     JOIN im_conversation c ON c.id = m.conversation
     WHERE s.app = $1 AND s.username = $2 AND m.conversation > $3
     ORDER BY m.conversation LIMIT $4";

pub(super) async fn heads(
    pool: &Pool,
    user: &Member,
    after: Option<&Conversation>,
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
    let query = sqlx::query_as::<Db, (String, i64)>(HEADS)
        .bind(user.appkey.as_str())
        .bind(user.username.as_str())
        .bind(after)
        .bind(i64::from(limit) + 1);
    let mut rows = query.fetch_all(pool).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let heads = rows.into_iter().map(|(name, last)| {
        let key = column::text::<ConversationKey>(&name)?;
        Ok((key.seen_by(user), column::seq(last)?))
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
