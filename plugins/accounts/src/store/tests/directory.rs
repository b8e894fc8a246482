use partyline_plugin::Clock;
use partyline_plugin::database::Database;
use partyline_plugin::services::{Accounts, UserState};
use partyline_protocol::KickReason;

use super::{World, user};
use crate::store::{self, ChangeKind};
use crate::{Config, Directory, DirectoryError, PasswordError, Registration, secret};

pub(super) async fn the_first_start_happens_once(database: Database) {
    let directory = Directory::new(database.clone(), Clock::default(), Config::for_test()).unwrap();
    let first = directory.first_start().await.unwrap().unwrap();
    assert_eq!(
        (&*first.developer.name, &*first.app.name),
        ("developer", "demo")
    );
    assert_ne!(first.developer.secret, first.app.master_secret);
    let app = &first.app.app_key;
    assert!(
        directory
            .verify_master(app, first.app.master_secret.expose())
            .await
            .unwrap()
    );
    assert!(directory.first_start().await.unwrap().is_none());
    directory.delete_app(app).await.unwrap();
    assert!(
        directory.first_start().await.unwrap().is_none(),
        "not after the app is deleted"
    );
}

pub(super) async fn first_starts_side_by_side_make_one(database: Database) {
    let directory = Directory::new(database.clone(), Clock::default(), Config::for_test()).unwrap();
    directory.create_app("demo").await.unwrap();
    let (one, other) = tokio::join!(directory.first_start(), directory.first_start());
    let made: Vec<_> = [one.unwrap(), other.unwrap()]
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(made.len(), 1);
    assert!(
        made[0].app.name.starts_with("demo-"),
        "an app named demo was there before"
    );
    assert_eq!(directory.apps().await.unwrap().len(), 2);
}

pub(super) async fn an_app_is_found_listed_changed_and_deleted(database: Database) {
    let World { directory, app, .. } = World::new(database).await;
    let listed = directory.apps().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].app_key, &*listed[0].name), (&app, "test"));
    assert_eq!(listed[0].registration, Registration::Open);

    let master = directory.rotate_secret(&app).await.unwrap();
    assert!(
        directory
            .verify_master(&app, master.expose())
            .await
            .unwrap()
    );
    let newer = directory.rotate_secret(&app).await.unwrap();
    assert!(
        !directory
            .verify_master(&app, master.expose())
            .await
            .unwrap()
    );
    assert!(directory.verify_master(&app, newer.expose()).await.unwrap());

    let token = directory
        .set_registration(&app, Registration::Token)
        .await
        .unwrap()
        .unwrap();
    let stored = directory.app(&app).await.unwrap().unwrap();
    assert!(
        stored
            .registration_token
            .as_ref()
            .unwrap()
            .matches(token.expose())
    );
    assert!(directory.app_exists(&app).await.unwrap());

    directory.delete_app(&app).await.unwrap();
    assert!(!directory.app_exists(&app).await.unwrap());
    let gone = directory.rotate_secret(&app).await.unwrap_err();
    assert!(matches!(gone, DirectoryError::NoSuchApp(key) if key == app));
}

pub(super) async fn app_names_are_unique_and_checked(database: Database) {
    let World { directory, .. } = World::new(database).await;
    let taken = directory.create_app("test").await.unwrap_err();
    assert!(matches!(taken, DirectoryError::AppExists(name) if name == "test"));
    for name in ["", "a\nb", &"x".repeat(65)] {
        let refused = directory.create_app(name).await.unwrap_err();
        assert!(matches!(refused, DirectoryError::AppName), "{name:?}");
    }
}

pub(super) async fn a_user_is_added_once_and_only_to_an_app(database: Database) {
    let World { directory, app, .. } = World::new(database).await;
    let alice = user("alice");
    let made = directory.add_user(&app, &alice, None).await.unwrap();
    assert!(made.is_some(), "a password is made where none is given");
    let twice = directory
        .add_user(&app, &alice, Some("password"))
        .await
        .unwrap_err();
    assert!(matches!(twice, DirectoryError::UserExists(_)));
    let short = directory
        .add_user(&app, &user("bobby"), Some("abc"))
        .await
        .unwrap_err();
    assert!(matches!(
        short,
        DirectoryError::Password(PasswordError::Length(3))
    ));
    let nowhere = secret::new_app_key().unwrap();
    let no_app = directory
        .add_user(&nowhere, &alice, Some("password"))
        .await
        .unwrap_err();
    assert!(matches!(no_app, DirectoryError::NoSuchApp(_)));
    let nobody = user("nobody");
    for refused in [
        directory.disable_user(&app, &nobody).await,
        directory
            .set_password(&app, &nobody, Some("password"))
            .await
            .map(drop),
        directory.delete_user(&app, &nobody).await,
    ] {
        assert!(matches!(refused, Err(DirectoryError::NoSuchUser(_))));
    }
}

pub(super) async fn users_are_looked_up_in_the_order_asked(database: Database) {
    let World { directory, app, .. } = World::new(database).await;
    let [alice, bobby, carol] = ["alice", "bobby", "carol"].map(user);
    directory
        .add_user(&app, &alice, Some("password"))
        .await
        .unwrap();
    directory
        .add_user(&app, &bobby, Some("password"))
        .await
        .unwrap();
    directory.disable_user(&app, &bobby).await.unwrap();
    let names = [
        carol.clone(),
        bobby.clone(),
        alice.clone(),
        bobby.clone(),
        user("Alice"),
    ];
    let (active, disabled) = (Some(UserState::Active), Some(UserState::Disabled));
    let expected = [None, disabled, active, disabled, None];
    assert_eq!(directory.users(&app, &names).await.unwrap(), expected);
    assert_eq!(
        directory.users(&app, &names).await.unwrap(),
        expected,
        "from memory"
    );
    directory
        .add_user(&app, &carol, Some("password"))
        .await
        .unwrap();
    directory.enable_user(&app, &bobby).await.unwrap();
    directory.delete_user(&app, &alice).await.unwrap();
    let expected = [active, active, None, active, None];
    assert_eq!(directory.users(&app, &names).await.unwrap(), expected);
    assert_eq!(directory.users(&app, &[]).await.unwrap(), []);
}

pub(super) async fn a_deleted_name_is_free_once_the_streams_have_forgotten_it(database: Database) {
    let (
        World {
            directory,
            app,
            database,
            ..
        },
        alice,
    ) = World::with_user(database, "alice").await;
    directory.delete_user(&app, &alice).await.unwrap();
    let early = directory
        .add_user(&app, &alice, Some("password"))
        .await
        .unwrap_err();
    assert!(matches!(early, DirectoryError::StillDeleting(_)));
    let mut store = store::read(&database).await.unwrap();
    let pending = store.forgettable(10).await.unwrap();
    drop(store);
    assert_eq!(pending.len(), 1);
    assert_eq!((&pending[0].app, pending[0].user.as_str()), (&app, "alice"));
    store::write(&database, Forgotten(pending)).await.unwrap();
    directory
        .add_user(&app, &alice, Some("password"))
        .await
        .unwrap();
}

pub(super) async fn changes_are_numbered_in_the_order_of_their_commits(database: Database) {
    let (
        World {
            directory,
            app,
            database,
            ..
        },
        alice,
    ) = World::with_user(database, "alice").await;
    let before = store::read(&database)
        .await
        .unwrap()
        .newest_change()
        .await
        .unwrap();
    let (one, two, three) = tokio::join!(
        directory.rotate_secret(&app),
        directory.disable_user(&app, &alice),
        directory.set_password(&app, &alice, Some("password")),
    );
    for done in [one.map(drop), two, three.map(drop)] {
        done.unwrap();
    }
    let mut store = store::read(&database).await.unwrap();
    let changes = store.changes_after(before, 10).await.unwrap();
    let ids: Vec<i64> = changes.iter().map(|change| change.id).collect();
    assert_eq!(ids, [before + 1, before + 2, before + 3]);
    assert_eq!(store.newest_change().await.unwrap(), before + 3);
    let mut kinds: Vec<_> = changes.iter().map(|change| change.kind.as_str()).collect();
    kinds.sort_unstable();
    let expected = [
        ChangeKind::Ended(KickReason::Disabled),
        ChangeKind::MasterSecret,
        ChangeKind::Ended(KickReason::PasswordChanged),
    ];
    assert_eq!(kinds, expected.map(ChangeKind::as_str));
    assert!(changes.iter().all(|change| change.app == app));
}

struct Forgotten(Vec<store::Forget>);

#[async_trait::async_trait]
impl store::Transaction for Forgotten {
    type Output = ();

    async fn run(&self, store: &mut dyn store::Store) -> Result<(), sqlx::Error> {
        for what in &self.0 {
            store.forgotten(what).await?;
        }
        Ok(())
    }
}
