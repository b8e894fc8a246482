//! The directory as a service for other plugins.

use std::collections::HashMap;

use async_trait::async_trait;
use partyline_plugin::services::{Accounts, ServiceError, UserState};
use partyline_protocol::{AppKey, Username};

use super::Directory;
use crate::store;

#[async_trait]
impl Accounts for Directory {
    async fn app_exists(&self, app: &AppKey) -> Result<bool, ServiceError> {
        Ok(self.app(app).await?.is_some())
    }

    async fn users(
        &self,
        app: &AppKey,
        usernames: &[Username],
    ) -> Result<Vec<Option<UserState>>, ServiceError> {
        let known = self.cache().users(app, usernames);
        let missing: Vec<&Username> = usernames
            .iter()
            .zip(&known)
            .filter(|(_, k)| k.is_none())
            .map(|(name, _)| name)
            .collect();
        if missing.is_empty() {
            return Ok(known.into_iter().flatten().collect());
        }
        let from = self.cache().before_read();
        let names = serde_json::to_string(&missing).map_err(|error| ServiceError(error.into()))?;
        let rows = store::read(self.database())
            .await?
            .user_states(app, &names)
            .await?;
        let rows: HashMap<String, bool> = rows.into_iter().collect();
        let state_of = |name: &Username| {
            let disabled = *rows.get(name.as_str())?;
            Some(if disabled {
                UserState::Disabled
            } else {
                UserState::Active
            })
        };
        let found = missing.iter().map(|name| (*name, state_of(name)));
        self.cache().keep_users(from, app, found);
        let answer = usernames.iter().zip(known);
        Ok(answer
            .map(|(name, known)| known.unwrap_or_else(|| state_of(name)))
            .collect())
    }
}
