use partyline_plugin::database::Database;

use super::{World, address, client, new_registration};
use crate::contact::{Contact, Contacted};
use crate::secret::SecretHash;
use crate::store::{self, Device};

fn contact(world: &World, id: &str, brought: Option<&str>) -> Contact {
    Contact {
        app: world.app.clone(),
        client_id: client(id),
        assigned: false,
        brought: brought.map(SecretHash::of),
        issue: brought.is_none().then(|| SecretHash::of("issued")),
        registration: new_registration(),
        may_register: true,
        address: address(),
        passing_limit: 100,
        now: 1,
    }
}

async fn known(world: &World, contact: Contact) -> Device {
    match store::write(&world.database, contact).await.unwrap() {
        Contacted::Known(device) => device,
        other => panic!("{other:?}"),
    }
}

async fn issued(world: &World, contact: Contact) -> Device {
    match store::write(&world.database, contact).await.unwrap() {
        Contacted::Issued(device) => device,
        other => panic!("{other:?}"),
    }
}

async fn refused(world: &World, contact: Contact) {
    let outcome = store::write(&world.database, contact).await.unwrap();
    assert!(matches!(outcome, Contacted::Refused), "{outcome:?}");
}

pub(super) async fn a_first_contact_can_be_repeated(database: Database) {
    let world = World::new(database).await;
    let first = known(&world, contact(&world, "phone", Some("own"))).await;
    assert!(!first.lasting);
    let again = known(&world, contact(&world, "phone", Some("own"))).await;
    assert_eq!(again.registration, first.registration);
    assert!(again.lasting, "it has come back with its secret");
    refused(&world, contact(&world, "phone", Some("another's"))).await;
    refused(&world, contact(&world, "phone", None)).await;
    let other = known(&world, contact(&world, "tablet", Some("own"))).await;
    assert_ne!(other.registration, first.registration);
}

pub(super) async fn an_issued_secret_is_replaceable_until_used(database: Database) {
    let world = World::new(database).await;
    let first = issued(&world, contact(&world, "phone", None)).await;
    let lost = Contact {
        issue: Some(SecretHash::of("newer")),
        ..contact(&world, "phone", None)
    };
    let again = issued(&world, lost).await;
    assert_eq!(again.registration, first.registration);
    assert!(!again.lasting);
    let used = known(&world, contact(&world, "phone", Some("newer"))).await;
    assert!(used.lasting);
    refused(&world, contact(&world, "phone", None)).await;
    refused(&world, contact(&world, "phone", Some("issued"))).await;
    known(&world, contact(&world, "phone", Some("newer"))).await;
}

pub(super) async fn contacts_side_by_side_make_one_device(database: Database) {
    let world = World::new(database).await;
    let (one, other) = tokio::join!(
        known(&world, contact(&world, "phone", Some("own"))),
        known(&world, contact(&world, "phone", Some("own"))),
    );
    assert_eq!(one.registration, other.registration);
}

pub(super) async fn assigned_ids_never_last(database: Database) {
    let world = World::new(database).await;
    let assigned = Contact {
        assigned: true,
        ..contact(&world, "auto-1", Some("own"))
    };
    known(&world, assigned).await;
    let again = known(&world, contact(&world, "auto-1", Some("own"))).await;
    assert!(again.assigned && !again.lasting);
}

pub(super) async fn new_devices_are_limited_per_address(database: Database) {
    let world = World::new(database).await;
    let limited = |id, brought| Contact {
        passing_limit: 2,
        ..contact(&world, id, brought)
    };
    known(&world, limited("one", Some("own"))).await;
    known(&world, limited("two", Some("own"))).await;
    let third = store::write(&world.database, limited("three", Some("own")))
        .await
        .unwrap();
    assert!(matches!(third, Contacted::TooMany));
    let elsewhere = Contact {
        address: "192.0.2.2".to_owned(),
        ..limited("four", Some("own"))
    };
    known(&world, elsewhere).await;
    known(&world, limited("one", Some("own"))).await;
    known(&world, limited("three", Some("own"))).await;
}

pub(super) async fn only_a_proof_settles_a_device_that_may_not_register(database: Database) {
    let world = World::new(database).await;
    let closed = |brought| Contact {
        may_register: false,
        ..contact(&world, "phone", brought)
    };
    let unknown = store::write(&world.database, closed(Some("own")))
        .await
        .unwrap();
    assert!(matches!(unknown, Contacted::NotAllowed));
    issued(&world, contact(&world, "phone", None)).await;
    refused(&world, closed(Some("own"))).await;
    let proven = known(&world, closed(Some("issued"))).await;
    assert!(proven.lasting && !proven.replaceable);
}
