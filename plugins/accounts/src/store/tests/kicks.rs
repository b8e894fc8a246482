use partyline_plugin::database::Database;
use partyline_protocol::{Platform, RegistrationId, RequestId, Username};

use super::logins::{active, admitted, log_in};
use super::{World, client, new_registration, user};
use crate::config::BanConfig;
use crate::ending::{KickOne, Kicking};
use crate::login::LogIn;
use crate::store::{self, Store, Transaction};

pub(super) async fn kick(world: &World, user: &Username, registration: &RegistrationId) -> Kicking {
    kick_by(world, user, registration, None).await
}

async fn kick_by(
    world: &World,
    user: &Username,
    registration: &RegistrationId,
    request: Option<(&RegistrationId, &str)>,
) -> Kicking {
    let request = request.map(|(device, id)| (device.clone(), RequestId::text(id).unwrap()));
    let kick = KickOne {
        app: world.app.clone(),
        user: user.clone(),
        registration: registration.clone(),
        request,
        ban: BanConfig::default(),
        now: 0,
    };
    store::write(&world.database, kick).await.unwrap()
}

struct PurgeKicks(i64);

#[async_trait::async_trait]
impl Transaction for PurgeKicks {
    type Output = ();

    async fn run(&self, store: &mut dyn Store) -> Result<(), sqlx::Error> {
        store.purge_kicks(self.0).await
    }
}

pub(super) async fn a_repeated_request_kicks_once_within_a_day(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let (desk, _) = admitted(&world, log_in(&world, &alice, "desk", Platform::Pc).await).await;
    let log_in_again = async |id: &str| {
        let login = LogIn {
            clears_ban: true,
            ..log_in(&world, &alice, id, Platform::Other).await
        };
        admitted(&world, login).await.0.registration
    };
    let phone = log_in_again("phone").await;
    let by = |target, id| {
        let (world, alice, desk) = (&world, &alice, &desk.registration);
        async move { kick_by(world, alice, target, Some((desk, id))).await }
    };
    assert_eq!(by(&phone, "1").await, Kicking::Kicked);
    assert_eq!(log_in_again("phone").await, phone);
    assert_eq!(by(&phone, "1").await, Kicking::Repeated);
    assert_eq!(active(&world, &alice).await, ["desk", "phone"]);
    // The same id, but another request.
    let tablet = log_in_again("tablet").await;
    assert_eq!(by(&tablet, "1").await, Kicking::Kicked);
    let from_elsewhere = kick_by(&world, &alice, &phone, Some((&tablet, "1"))).await;
    assert_eq!(from_elsewhere, Kicking::Kicked);
    log_in_again("phone").await;
    assert_eq!(by(&phone, "2").await, Kicking::Kicked);
    log_in_again("phone").await;
    store::write(&world.database, PurgeKicks(1)).await.unwrap();
    assert_eq!(by(&phone, "1").await, Kicking::Kicked, "a day later");
}

pub(super) async fn a_kick_is_for_own_devices_and_happens_once(database: Database) {
    let (world, alice) = World::with_user(database, "alice").await;
    let bobby = user("bobby");
    world
        .directory
        .add_user(&world.app, &bobby, Some("password"))
        .await
        .unwrap();
    let login = log_in(&world, &alice, "phone", Platform::Other).await;
    let (phone, _) = admitted(&world, login).await;
    assert_eq!(
        kick(&world, &bobby, &phone.registration).await,
        Kicking::NotTheirs
    );
    assert_eq!(
        kick(&world, &alice, &new_registration()).await,
        Kicking::NotTheirs
    );
    assert_eq!(
        kick(&world, &alice, &phone.registration).await,
        Kicking::Kicked
    );
    assert_eq!(
        kick(&world, &alice, &phone.registration).await,
        Kicking::NotLoggedIn
    );
    let mut store = store::read(&world.database).await.unwrap();
    let ban = store
        .ban(&world.app, &alice, &client("phone"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        ban.last_ms, 60_000,
        "repeating a kick doesn't lengthen the ban"
    );
    assert!(active(&world, &alice).await.is_empty());
}
