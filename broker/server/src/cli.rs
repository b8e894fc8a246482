//! The command line.

mod arguments;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use arguments::{AclCommand, AppCommand, ConfigCommand, GlobalArgs, PasswordArgs};
pub(crate) use arguments::{RuleArgs, ServeArgs};
pub(crate) use arguments::{UserArgs, UserCommand};

/// An MQTT broker whose one connection carries chat and plain topics.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "partyline", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the broker until SIGTERM or SIGINT.
    Serve(ServeArgs),
    /// Apps: the tenants that users, devices and topics belong to.
    #[command(subcommand)]
    App(AppCommand),
    /// Users of an app.
    #[command(subcommand)]
    User(UserCommand),
    /// Access rules of an app for its plain topics. They are asked after those of the configuration.
    #[command(subcommand)]
    Acl(AclCommand),
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Cli {
    /// Reads the process's arguments.
    pub(crate) fn read() -> Result<(GlobalArgs, Command), clap::Error> {
        Self::try_parse()?.resolve()
    }

    /// What is to be done: nothing named means serve, with its flags.
    fn resolve(self) -> Result<(GlobalArgs, Command), clap::Error> {
        let command = match self.command {
            None => Command::Serve(self.serve),
            Some(Command::Serve(flags)) => Command::Serve(flags.or(self.serve)),
            Some(other) if self.serve == ServeArgs::default() => other,
            Some(_) => {
                let message = "--mqtt, --mqtts, --ws and --http are flags of serve";
                return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
            }
        };
        Ok((self.global, command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(GlobalArgs, Command), clap::Error> {
        Cli::try_parse_from(line.split(' ')).and_then(Cli::resolve)
    }

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_serve() {
        for line in [
            "partyline --data d --mqtt 127.0.0.1:0",
            "partyline serve --data d --mqtt 127.0.0.1:0",
            "partyline --data d --mqtt 127.0.0.1:0 serve",
        ] {
            let (global, command) = parse(line).unwrap();
            assert_eq!(global.data.to_str(), Some("d"), "{line}");
            let Command::Serve(flags) = command else {
                panic!("{line}")
            };
            assert_eq!(flags.mqtt, Some(([127, 0, 0, 1], 0).into()), "{line}");
        }
    }

    #[test]
    fn flags_of_serve_belong_to_serve() {
        assert!(parse("partyline app list --mqtt 127.0.0.1:0").is_err());
        let error = parse("partyline --mqtt 127.0.0.1:0 app list").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ArgumentConflict);
        assert!(parse("partyline --json --data d app list").is_ok());
        assert!(parse("partyline app list --json --data d").is_ok());
    }

    #[test]
    fn ids_are_checked_at_the_edge() {
        assert!(parse("partyline app rotate 0123456789abcdef01234567").is_ok());
        let error = parse("partyline app rotate short").unwrap_err();
        assert!(error.to_string().contains("appkey has 5 bytes"), "{error}");
        assert!(parse("partyline user delete 0123456789abcdef01234567 $service").is_err());
    }
}
