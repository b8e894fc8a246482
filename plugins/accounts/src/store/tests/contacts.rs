use partyline_plugin::database::{Database, Pool};
use partyline_protocol::Username;

use super::{World, address, client, new_registration};
use crate::contact::{Contact, Contacted};
use crate::secret::SecretHash;
use crate::store::{self, Device, Store, Transaction};

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
    assert_ne!(again.registration, first.registration);
    assert!(again.replaceable && !again.lasting);
    let used = known(&world, contact(&world, "phone", Some("newer"))).await;
    assert!(used.lasting);
    refused(&world, contact(&world, "phone", None)).await;
    refused(&world, contact(&world, "phone", Some("issued"))).await;
    known(&world, contact(&world, "phone", Some("newer"))).await;
}

/// A login of the user on the device, ended or not.
struct Login<'a>(&'a Device, &'a Username, bool);

#[async_trait::async_trait]
impl Transaction for Login<'_> {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        let Self(
            Device {
                app, registration, ..
            },
            user,
            ended,
        ) = self;
        let token = SecretHash::of("token");
        store
            .insert_token(&token, app, user, registration, 1)
            .await?;
        if *ended {
            store.revoke(app, user, registration, 2).await?;
        }
        Ok(())
    }
}

pub(super) async fn a_replaced_device_is_another_and_the_old_one_gone(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let old = issued(&world, contact(&world, "phone", None)).await;
    store::write(&world.database, Login(&old, &alice, true))
        .await
        .unwrap();
    let new = known(&world, contact(&world, "phone", Some("own"))).await;
    assert_ne!(new.registration, old.registration);
    assert!(!new.replaceable && !new.lasting);
    let mut store = store::read(&world.database).await.unwrap();
    let gone = store
        .device_by_registration(&world.app, &old.registration)
        .await;
    assert!(gone.unwrap().is_none());
    let token = store.token(&SecretHash::of("token")).await.unwrap();
    assert!(token.is_none());
    let forget = store.forgettable(10).await.unwrap();
    let forget: Vec<_> = forget
        .iter()
        .map(|what| (what.user.as_str(), what.registration.as_str()))
        .collect();
    assert_eq!(forget, [("alice", old.registration.as_str())]);
}

pub(super) async fn a_device_with_a_login_is_not_replaced(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let phone = issued(&world, contact(&world, "phone", None)).await;
    store::write(&world.database, Login(&phone, &alice, false))
        .await
        .unwrap();
    refused(&world, contact(&world, "phone", None)).await;
    refused(&world, contact(&world, "phone", Some("own"))).await;
    let used = known(&world, contact(&world, "phone", Some("issued"))).await;
    assert_eq!(used.registration, phone.registration);
}

pub(super) async fn a_device_that_changed_since_it_was_read_is_judged_anew(database: Database) {
    let world = World::new(database).await;
    issued(&world, contact(&world, "phone", None)).await;
    let Pool::Postgres(pool) = world.database.pool() else {
        // SQLite has one writer: nothing changes between its reads and its writes.
        return;
    };
    let mut first = pool.begin().await.unwrap();
    let replacing = Contact {
        issue: Some(SecretHash::of("newer")),
        ..contact(&world, "phone", None)
    };
    let replaced = replacing.run(&mut *first).await.unwrap();
    assert!(matches!(replaced, Contacted::Issued(_)), "{replaced:?}");
    // Reads what was there before, and waits for the first one's commit to change it.
    let late = Contact {
        may_register: false,
        ..contact(&world, "phone", Some("issued"))
    };
    let late = refused(&world, late);
    let commit = async {
        let waiting = "SELECT COUNT(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(pool)
            .await
            .unwrap()
            == 0
        {}
        first.commit().await.unwrap();
    };
    tokio::join!(late, commit);
    let used = known(&world, contact(&world, "phone", Some("newer"))).await;
    assert!(used.lasting, "its secret is the newer one");
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

pub(super) async fn passing_devices_are_counted_per_address_across_apps(database: Database) {
    let world = World::new(database).await;
    let elsewhere = world.directory.create_app("other").await.unwrap().app_key;
    known(&world, contact(&world, "one", Some("own"))).await;
    let in_another_app = Contact {
        app: elsewhere,
        ..contact(&world, "one", Some("own"))
    };
    known(&world, in_another_app).await;
    let from_another_address = Contact {
        address: "192.0.2.2".to_owned(),
        ..contact(&world, "two", Some("own"))
    };
    known(&world, from_another_address).await;
    let count = async || {
        let mut store = store::read(&world.database).await.unwrap();
        store.count_passing(&address()).await.unwrap()
    };
    assert_eq!(count().await, 2);
    known(&world, contact(&world, "one", Some("own"))).await;
    assert_eq!(count().await, 1, "one has come back");
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
