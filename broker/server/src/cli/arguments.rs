//! What the commands take.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use partyline_accounts::Registration;
use partyline_acl::{Action, Effect};
use partyline_protocol::{AppKey, Username};

/// Arguments of every command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Folder of the database and of `partyline.toml`
    #[arg(long, global = true, value_name = "DIR", default_value = "./data")]
    pub(crate) data: PathBuf,
    /// Configuration file, in place of `partyline.toml` in the data folder
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print results and errors as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// Addresses to listen on; they go before the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args)]
pub(crate) struct ServeArgs {
    /// Address for MQTT over TCP
    #[arg(long, value_name = "ADDR")]
    pub(crate) mqtt: Option<SocketAddr>,
    /// Address for MQTT over TLS; its certificate is in `[mqtt.tls]` of the configuration
    #[arg(long, value_name = "ADDR")]
    pub(crate) mqtts: Option<SocketAddr>,
    /// Address for MQTT over WebSocket
    #[arg(long, value_name = "ADDR")]
    pub(crate) ws: Option<SocketAddr>,
    /// Address for HTTP: `/healthz` and `/readyz`
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
}

impl ServeArgs {
    /// These, and `others` where one is missing.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            mqtt: self.mqtt.or(others.mqtt),
            mqtts: self.mqtts.or(others.mqtts),
            ws: self.ws.or(others.ws),
            http: self.http.or(others.http),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Create an app and print its key and master secret
    Create {
        /// Its name, for people
        name: String,
    },
    /// List the apps
    List,
    /// Replace the master secret and print the new one; the old one stops working
    Rotate {
        /// The app's key
        app_key: AppKey,
    },
    /// Say who may register devices in the app: open, token or closed
    Registration {
        /// The app's key
        app_key: AppKey,
        /// `open`, `token` (a new one is printed) or `closed`
        policy: Registration,
    },
    /// Delete the app with its users, devices and messages, without asking
    Delete {
        /// The app's key
        app_key: AppKey,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a user; the password is read from standard input, or made and printed if there is none
    Add(PasswordArgs),
    /// End the user's logins and refuse new ones
    Disable(UserArgs),
    /// Let a disabled user in again
    Enable(UserArgs),
    /// Delete the user with their devices and messages, without asking
    Delete(UserArgs),
    /// Set a new password, read from standard input, or made and printed if there is none
    Password(PasswordArgs),
}

/// Which user.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    /// The app's key
    pub(crate) app_key: AppKey,
    /// The user's name
    pub(crate) username: Username,
}

/// Which user, and where the password comes from.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    #[command(flatten)]
    pub(crate) user: UserArgs,
    /// Make a password and print it, without reading standard input
    #[arg(long)]
    pub(crate) generate: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AclCommand {
    /// List the app's rules in the order in which they are asked
    List {
        /// The app's key
        app_key: AppKey,
    },
    /// Add a rule at the end, or before another
    Add(RuleArgs),
    /// Remove a rule
    Remove {
        /// The app's key
        app_key: AppKey,
        /// Its number in the list
        number: usize,
    },
    /// Replace all rules of the app by those on standard input: what `list --json` printed, or a JSON
    /// array of objects with `effect`, `action`, `topic` and, if it is about one user, `user`
    Set {
        /// The app's key
        app_key: AppKey,
    },
}

/// A new rule.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// The app's key
    pub(crate) app_key: AppKey,
    /// `allow` or `deny`
    pub(crate) effect: Effect,
    /// `publish`, `subscribe` or `all`
    pub(crate) action: Action,
    /// A topic filter; %a is the app key, %u the user, %c the client id, %% a percent sign
    pub(crate) topic: String,
    /// Only where this user is logged in
    #[arg(long, value_name = "USERNAME")]
    pub(crate) user: Option<Username>,
    /// The number that it is to have, in place of the end of the list
    #[arg(long, value_name = "NUMBER")]
    pub(crate) at: Option<usize>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print what defaults, file and environment make together, without secrets
    Show,
}
