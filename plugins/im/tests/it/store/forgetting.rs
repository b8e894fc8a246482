//! Users and apps that go.

use partyline_im::store::Start;
use partyline_plugin::database::Database;
use partyline_protocol::{AppKey, Member};

use super::{ALL, Subject, device, fresh, seqs};
use crate::support::{on_both, user};

on_both!(
    a_user_goes_alone,
    an_app_goes_with_all_that_is_its,
    heads_are_those_of_the_present_user
);

async fn a_user_goes_alone(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    // More than a slice.
    let messages: Vec<_> = (0..1500).map(|_| subject.message(&bobby, &alice)).collect();
    subject.commit(&messages).await;
    let opened = async |user: &Member| {
        subject
            .store
            .open(user, &device("d1"), Start::Oldest, &fresh())
            .await
            .unwrap()
    };
    let before = opened(&bobby).await;
    subject.store.forget_user(&bobby).await.unwrap();
    subject.store.forget_user(&bobby).await.unwrap();
    assert_eq!(subject.store.place(&bobby).await.unwrap(), None);
    let known = [(bobby.clone(), messages[0].client_msg_id.clone())];
    assert_eq!(subject.store.known(&known).await.unwrap(), []);

    let after = opened(&bobby).await;
    assert_ne!(before.place.epoch, after.place.epoch);
    assert_ne!(before.place.stream, after.place.stream);
    assert_eq!((after.place.head.get(), after.cursor.get()), (0, 0));
    let mut again = subject.message(&bobby, &alice);
    again.client_msg_id = messages[0].client_msg_id.clone();
    let placed = subject.commit(&[again]).await;
    assert_eq!(
        placed[0].seq.get(),
        1501,
        "the conversation goes on for the other"
    );
    assert_eq!(seqs(&subject.items(&bobby, ALL).await), [1]);
    let items = subject.items(&alice, ALL).await;
    assert_eq!(items.len(), 1501);
    assert_eq!(items[0].client_msg_id, None);
}

async fn an_app_goes_with_all_that_is_its(database: Database) {
    let subject = Subject::new(&database);
    let other = |name: &str| Member {
        appkey: AppKey::parse("b".repeat(24)).unwrap(),
        ..user(name)
    };
    let (alice, bobby) = (user("alice"), user("bobby"));
    subject
        .commit(&[
            subject.message(&alice, &bobby),
            subject.message(&bobby, &bobby),
        ])
        .await;
    subject
        .commit(&[subject.message(&other("alice"), &other("bobby"))])
        .await;
    subject.store.forget_app(&alice.appkey).await.unwrap();
    for gone in [&alice, &bobby] {
        assert_eq!(subject.store.place(gone).await.unwrap(), None);
    }
    assert_eq!(subject.items(&other("alice"), ALL).await.len(), 1);
    let placed = subject.commit(&[subject.message(&alice, &bobby)]).await;
    assert_eq!(placed[0].seq.get(), 1, "nothing is left of the app");
}

async fn heads_are_those_of_the_present_user(database: Database) {
    let subject = Subject::new(&database);
    let (alice, bobby) = (user("alice"), user("bobby"));
    subject
        .commit(&[
            subject.message(&alice, &bobby),
            subject.message(&alice, &alice),
        ])
        .await;
    let heads = subject.store.heads(&alice, None, ALL, 10).await.unwrap();
    assert_eq!(heads.heads.len(), 2);
    let stranger = subject
        .store
        .heads(&user("carol"), None, ALL, 10)
        .await
        .unwrap();
    assert_eq!(stranger.heads, []);
    subject.store.forget_user(&bobby).await.unwrap();
    let heads = subject.store.heads(&bobby, None, ALL, 10).await.unwrap();
    assert_eq!(
        heads.heads,
        [],
        "a user of the same name was in no conversation"
    );
    let unknown = partyline_protocol::Conversation::parse("group:7").unwrap();
    assert_eq!(
        subject
            .store
            .heads(&alice, Some(&unknown), ALL, 10)
            .await
            .unwrap()
            .heads,
        []
    );
}
