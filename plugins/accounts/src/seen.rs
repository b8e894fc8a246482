//! When devices were last heard of, gathered so that a reconnect costs no write.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_protocol::RegistrationId;

use crate::store::{Store, Transaction};

/// Devices noted before the next write; those beyond it keep their older time.
const CAPACITY: usize = 50_000;

/// Devices of one transaction.
const PIECE: usize = 500;

/// Times that are not yet written.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<RegistrationId, i64>>);

impl Seen {
    pub(crate) fn note(&self, registration: &RegistrationId, now: i64) {
        let mut noted = self.0.lock();
        if noted.len() < CAPACITY {
            noted.insert(registration.clone(), now);
        }
    }

    /// What is to be written, in pieces that don't hold up other writes.
    pub(crate) fn take(&self) -> Vec<WriteSeen> {
        let mut noted: Vec<_> = std::mem::take(&mut *self.0.lock()).into_iter().collect();
        // Rows are locked in one order, so that two servers don't wait for each other.
        noted.sort();
        let pieces = noted.chunks(PIECE);
        pieces.map(|piece| WriteSeen(piece.to_vec())).collect()
    }
}

#[derive(Debug)]
pub(crate) struct WriteSeen(Vec<(RegistrationId, i64)>);

#[async_trait]
impl Transaction for WriteSeen {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        for (registration, at) in &self.0 {
            store.seen(registration, *at).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_devices_are_written_in_pieces_and_in_order() {
        let seen = Seen::default();
        for number in 0..1200 {
            let registration = RegistrationId::parse(format!("device-{number}")).unwrap();
            seen.note(&registration, 1);
            seen.note(&registration, 2);
        }
        let pieces = seen.take();
        assert_eq!(
            pieces.iter().map(|piece| piece.0.len()).collect::<Vec<_>>(),
            [500, 500, 200]
        );
        let all: Vec<_> = pieces.into_iter().flat_map(|piece| piece.0).collect();
        assert!(all.is_sorted() && all.iter().all(|(_, at)| *at == 2));
        assert!(seen.take().is_empty());
    }
}
