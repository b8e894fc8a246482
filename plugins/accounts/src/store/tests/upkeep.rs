use partyline_plugin::database::Database;
use partyline_protocol::{Platform, Username};

use super::{World, address, client, new_registration};
use crate::ban::Ban;
use crate::ending::RemoveDevices;
use crate::secret::SecretHash;
use crate::store::{self, Device, PlaceOwner, Store, Transaction};

fn device(world: &World, id: &str, owner: Option<&Username>) -> Device {
    Device {
        registration: new_registration(),
        app: world.app.clone(),
        owner: PlaceOwner(owner.cloned()),
        client_id: client(id),
        secret: None,
        replaceable: false,
        assigned: false,
        lasting: false,
        platform: Platform::Other.as_str().to_owned(),
        address: address(),
        first_seen: 0,
        last_seen: 100,
    }
}

/// Devices, each with the token of a user or none.
struct Insert(Vec<(Device, Option<Username>)>);

#[async_trait::async_trait]
impl Transaction for Insert {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        for (device, user) in &self.0 {
            assert!(store.insert_device(device).await?);
            if let Some(user) = user {
                let hash = SecretHash::of(device.client_id.as_str());
                store
                    .insert_token(&hash, &device.app, user, &device.registration, 0)
                    .await?;
            }
        }
        Ok(())
    }
}

async fn stale(world: &World, before: i64) -> Vec<Device> {
    let mut store = store::read(&world.database).await.unwrap();
    let mut stale = store.stale_devices(before, 100).await.unwrap();
    stale.sort_by(|one, other| one.client_id.cmp(&other.client_id));
    stale
}

fn ids(devices: &[Device]) -> Vec<&str> {
    devices
        .iter()
        .map(|device| device.client_id.as_str())
        .collect()
}

pub(super) async fn devices_that_never_came_back_are_found_and_removed(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let lasting = Device {
        lasting: true,
        ..device(&world, "lasting", None)
    };
    let assigned = Device {
        assigned: true,
        ..device(&world, "assigned", Some(&alice))
    };
    let seen = Device {
        last_seen: 200,
        ..device(&world, "seen", None)
    };
    let insert = Insert(vec![
        (device(&world, "passing", None), None),
        (device(&world, "with-user", None), Some(alice.clone())),
        (assigned, Some(alice.clone())),
        (lasting, None),
        (seen, None),
    ]);
    store::write(&world.database, insert).await.unwrap();
    assert!(stale(&world, 100).await.is_empty());
    let found = stale(&world, 101).await;
    assert_eq!(ids(&found), ["assigned", "passing"]);

    // One of them comes back between the look and the removal.
    let mut back = found.clone();
    back[1].last_seen = 99;
    store::write(&world.database, RemoveDevices(back))
        .await
        .unwrap();
    assert_eq!(ids(&stale(&world, 101).await), ["passing"]);
    store::write(&world.database, RemoveDevices(found))
        .await
        .unwrap();
    assert!(stale(&world, 101).await.is_empty());
    assert_eq!(ids(&stale(&world, 201).await), ["seen"]);
}

pub(super) async fn a_removed_device_is_forgotten_by_the_streams(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let own = Device {
        assigned: true,
        ..device(&world, "own", Some(&alice))
    };
    let (phone, nobodys) = (
        device(&world, "phone", None),
        device(&world, "nobodys", None),
    );
    let devices = vec![own.clone(), phone.clone(), nobodys.clone()];
    let insert = Insert(vec![
        (own.clone(), None),
        (phone.clone(), Some(alice.clone())),
        (nobodys, None),
    ]);
    store::write(&world.database, insert).await.unwrap();
    store::write(&world.database, RemoveDevices(devices))
        .await
        .unwrap();
    let mut store = store::read(&world.database).await.unwrap();
    let mut forget: Vec<_> = store
        .forgettable(10)
        .await
        .unwrap()
        .into_iter()
        .map(|what| (what.user.as_str().to_owned(), what.registration))
        .collect();
    forget.sort();
    let mut expected =
        [own, phone].map(|device| ("alice".to_owned(), device.registration.as_str().to_owned()));
    expected.sort();
    assert_eq!(forget, expected);
    assert!(
        store
            .token(&SecretHash::of("phone"))
            .await
            .unwrap()
            .is_none()
    );
}

struct Age(World, Username, Device);

#[async_trait::async_trait]
impl Transaction for Age {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        let Self(world, alice, device) = self;
        store.insert_device(device).await?;
        for (token, revoked) in [("old", 5), ("new", 15)] {
            let hash = SecretHash::of(token);
            store
                .insert_token(&hash, &world.app, alice, &device.registration, 0)
                .await?;
            store
                .revoke(&world.app, alice, &device.registration, revoked)
                .await?;
        }
        let held = SecretHash::of("held");
        store
            .insert_token(&held, &world.app, alice, &device.registration, 0)
            .await?;
        for (id, until) in [("old", 5), ("new", 15)] {
            let ban = Ban { until, last_ms: 1 };
            store.set_ban(&world.app, alice, &client(id), ban).await?;
        }
        store.seen(&device.registration, 50).await?;
        store.purge_logins(10).await?;
        store.purge_changes(world.clock.now_ms() + 1).await
    }
}

pub(super) async fn what_is_too_old_is_purged(database: Database) {
    let (world, alice) = World::with_user(database.clone(), "alice").await;
    let (app, device) = (world.app.clone(), device(&world, "phone", None));
    let registration = device.registration.clone();
    store::write(&database, Age(world, alice.clone(), device))
        .await
        .unwrap();
    let mut store = store::read(&database).await.unwrap();
    for (token, kept) in [("old", false), ("new", true), ("held", true)] {
        let found = store.token(&SecretHash::of(token)).await.unwrap();
        assert_eq!(found.is_some(), kept, "{token}");
    }
    for (id, kept) in [("old", false), ("new", true)] {
        assert_eq!(
            store
                .ban(&app, &alice, &client(id))
                .await
                .unwrap()
                .is_some(),
            kept,
            "{id}"
        );
    }
    assert!(store.changes_after(0, 10).await.unwrap().is_empty());
    assert!(
        store.newest_change().await.unwrap() > 0,
        "numbers are not used again"
    );
    let device = store
        .device_by_registration(&app, &registration)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(device.last_seen, 100, "time goes forward only");
}
