//! One suite for both databases.

mod backend;
mod contacts;
mod directory;
mod kicks;
mod logins;
mod upkeep;

use std::net::IpAddr;

use partyline_plugin::Clock;
use partyline_plugin::database::Database;
use partyline_protocol::{AppKey, ClientId, RegistrationId, Username};

use crate::{Config, Directory, Registration, secret};

/// Runs each test on SQLite and on PostgreSQL, each time on a database of its own.
macro_rules! suite {
    ($($module:ident: $($test:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test]
                async fn $test() {
                    super::backend::on(partyline_testkit::Backend::Sqlite, super::$module::$test).await;
                }
            )+)+
        }

        mod postgres {
            $($(
                #[tokio::test]
                async fn $test() {
                    super::backend::on(partyline_testkit::Backend::Postgres, super::$module::$test).await;
                }
            )+)+
        }
    };
}

suite! {
    directory:
        the_first_start_happens_once,
        first_starts_side_by_side_make_one,
        an_app_is_found_listed_changed_and_deleted,
        app_names_are_unique_and_checked,
        a_user_is_added_once_and_only_to_an_app,
        users_are_looked_up_in_the_order_asked,
        a_deleted_name_is_free_once_the_streams_have_forgotten_it,
        changes_are_numbered_in_the_order_of_their_commits;
    contacts:
        a_first_contact_can_be_repeated,
        an_issued_secret_is_replaceable_until_used,
        contacts_side_by_side_make_one_device,
        a_replaced_device_is_another_and_the_old_one_gone,
        a_device_with_a_login_is_not_replaced,
        a_device_that_changed_since_it_was_read_is_judged_anew,
        assigned_ids_never_last,
        passing_devices_are_counted_per_address_across_apps,
        only_a_proof_settles_a_device_that_may_not_register;
    logins:
        a_login_has_one_token_a_device,
        a_newer_login_of_the_class_ends_the_older,
        assigned_ids_displace_nobody_and_are_displaced_by_nobody,
        a_login_that_names_no_platform_keeps_the_devices,
        a_login_stores_the_password_at_the_present_cost,
        logins_of_one_class_side_by_side_leave_one,
        a_ban_refuses_until_it_ends_or_is_cleared,
        the_device_limit_counts_logins,
        a_changed_password_ends_tokens_and_logins_in_progress,
        a_disabled_user_is_nowhere_logged_in,
        the_last_user_of_a_device_is_the_only_one;
    kicks:
        a_kick_is_for_own_devices_and_happens_once,
        a_repeated_request_kicks_once_within_a_day;
    upkeep:
        devices_that_never_came_back_are_found_and_removed,
        a_removed_device_is_forgotten_by_the_streams,
        what_is_too_old_is_purged;
}

/// A directory with one app, and the names tests use.
struct World {
    database: Database,
    directory: Directory,
    clock: Clock,
    app: AppKey,
}

impl World {
    async fn new(database: Database) -> Self {
        let clock = Clock::default();
        let directory =
            Directory::new(database.clone(), clock.clone(), Config::for_test()).unwrap();
        let app = directory.create_app("test").await.unwrap().app_key;
        directory
            .set_registration(&app, Registration::Open)
            .await
            .unwrap();
        Self {
            database,
            directory,
            clock,
            app,
        }
    }

    async fn with_user(database: Database, name: &str) -> (Self, Username) {
        let world = Self::new(database).await;
        let user = user(name);
        world
            .directory
            .add_user(&world.app, &user, Some("password"))
            .await
            .unwrap();
        (world, user)
    }
}

fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

fn client(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}

fn new_registration() -> RegistrationId {
    secret::new_registration_id().unwrap()
}

fn address() -> String {
    IpAddr::from([192, 0, 2, 1]).to_string()
}
