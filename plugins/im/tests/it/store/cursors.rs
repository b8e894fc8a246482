//! Where devices are.

use partyline_im::store::{CursorMove, Opened, Start};
use partyline_plugin::database::Database;

use super::{Subject, device, fresh, seq};
use crate::support::{on_both, user};

on_both!(
    cursors_move_only_from_their_place,
    a_new_device_starts_at_the_highest_acknowledged_place,
    a_new_device_can_start_at_the_oldest_item,
    a_place_is_kept_from_the_first_look,
);

impl Subject {
    async fn open(&self, name: &str, device_name: &str, start: Start) -> Opened {
        let (user, device) = (user(name), device(device_name));
        self.store
            .open(&user, &device, start, &fresh())
            .await
            .unwrap()
    }

    async fn advance(&self, name: &str, device_name: &str, from: u64, to: u64) {
        let stream = self.stream(&user(name)).await;
        let (from, to) = (seq(from), seq(to));
        let moved = CursorMove {
            stream,
            device: device(device_name),
            from,
            to,
        };
        self.try_commit(&[], &[moved]).await.unwrap();
    }

    async fn cursor(&self, name: &str, device_name: &str) -> u64 {
        self.open(name, device_name, Start::Acknowledged)
            .await
            .cursor
            .get()
    }

    async fn fill(&self, name: &str, count: usize) {
        let messages: Vec<_> = (0..count)
            .map(|_| self.message(&user("sender"), &user(name)))
            .collect();
        self.commit(&messages).await;
    }
}

async fn cursors_move_only_from_their_place(database: Database) {
    let subject = Subject::new(&database);
    subject.fill("bobby", 20).await;
    assert_eq!(subject.cursor("bobby", "b1").await, 0);
    subject.advance("bobby", "b1", 0, 5).await;
    assert_eq!(subject.cursor("bobby", "b1").await, 5);
    subject.advance("bobby", "b1", 7, 9).await;
    assert_eq!(
        subject.cursor("bobby", "b1").await,
        5,
        "6 and 7 were not acknowledged"
    );
    subject.advance("bobby", "b1", 0, 4).await;
    assert_eq!(subject.cursor("bobby", "b1").await, 5, "never back");
    subject.advance("bobby", "b1", 3, 8).await;
    assert_eq!(
        subject.cursor("bobby", "b1").await,
        8,
        "over what is acknowledged already"
    );
    subject.advance("bobby", "unknown", 0, 8).await;
    // Together with messages.
    let stream = subject.stream(&user("bobby")).await;
    let moved = CursorMove {
        stream,
        device: device("b1"),
        from: seq(8),
        to: seq(20),
    };
    let message = subject.message(&user("sender"), &user("bobby"));
    subject.try_commit(&[message], &[moved]).await.unwrap();
    assert_eq!(subject.cursor("bobby", "b1").await, 20);
}

async fn a_new_device_starts_at_the_highest_acknowledged_place(database: Database) {
    let subject = Subject::new(&database);
    subject.fill("bobby", 10).await;
    let opened = subject.open("bobby", "b1", Start::Acknowledged).await;
    assert!(opened.untouched);
    assert_eq!((opened.cursor.get(), opened.place.head.get()), (0, 10));
    let again = subject.open("bobby", "b1", Start::Acknowledged).await;
    assert!(again.untouched, "until it acknowledges something");
    subject.cursor("bobby", "b2").await;
    subject.advance("bobby", "b1", 0, 7).await;
    let moved = subject.open("bobby", "b1", Start::Acknowledged).await;
    assert!(!moved.untouched);
    subject.advance("bobby", "b2", 0, 3).await;
    assert_eq!(subject.cursor("bobby", "b3").await, 7);
    // Past devices count as well.
    subject
        .store
        .forget_device(&user("bobby"), &device("b3"))
        .await
        .unwrap();
    subject
        .store
        .forget_device(&user("bobby"), &device("b1"))
        .await
        .unwrap();
    assert_eq!(subject.cursor("bobby", "b4").await, 7);
    subject
        .store
        .forget_device(&user("bobby"), &device("b2"))
        .await
        .unwrap();
    assert_eq!(subject.cursor("bobby", "b1").await, 7, "never back");
    subject
        .store
        .forget_device(&user("nobody"), &device("b2"))
        .await
        .unwrap();
}

async fn a_new_device_can_start_at_the_oldest_item(database: Database) {
    let subject = Subject::new(&database);
    subject.fill("bobby", 10).await;
    subject.cursor("bobby", "b1").await;
    subject.advance("bobby", "b1", 0, 7).await;
    assert_eq!(
        subject
            .open("bobby", "b2", Start::Oldest)
            .await
            .cursor
            .get(),
        0
    );
    assert_eq!(
        subject
            .open("bobby", "b1", Start::Oldest)
            .await
            .cursor
            .get(),
        7
    );
    assert_eq!(subject.cursor("bobby", "b3").await, 7);
    let opened = subject.open("bobby", "b3", Start::OldestAgain).await;
    assert_eq!((opened.cursor.get(), opened.untouched), (0, false));
}

async fn a_place_is_kept_from_the_first_look(database: Database) {
    let subject = Subject::new(&database);
    assert_eq!(
        subject.cursor("bobby", "b1").await,
        0,
        "before the first message"
    );
    subject.fill("bobby", 10).await;
    subject.cursor("bobby", "b2").await;
    subject.advance("bobby", "b2", 0, 10).await;
    assert_eq!(
        subject.cursor("bobby", "b1").await,
        0,
        "though another is further by now"
    );
}
