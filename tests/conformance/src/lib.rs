//! What the OASIS standards MQTT 3.1.1 and MQTT 5.0 demand of a server, as tests.
//!
//! Each [`Chapter`] lists its normative statements in our own words and the cases that test them.
//! A [`Case`] speaks to a broker through its socket alone, so it runs against any broker: as one test
//! each against our own (`cargo nextest run -p partyline-conformance`), and by address against
//! another (`cargo run -p partyline-conformance -- --address 127.0.0.1:1883`). A run can write the
//! tables `docs/conformance-3.1.1.md` and `docs/conformance-5.0.md` (`--write docs`).
//!
//! To add a case: write `async fn what_is_seen(stage: Stage) -> Result<()>` in the file of its
//! chapter, and put `case!(what_is_seen, "MQTT-3.1.0-1")` with all the statements that would be
//! broken if it failed into the chapter's `CASES`. A test checks that every statement that binds a
//! server has a case, and that the committed tables agree with the catalogue.

mod case;
mod ending;
mod own_broker;
mod run;
mod stage;
mod standard;
mod statement;
mod table;
mod v311;
mod v5;
mod websocket;

pub use case::{Case, NotOffered};
pub use own_broker::OwnBroker;
pub use run::{Outcome, run_all, run_case, run_on};
pub use stage::{BrokerAddresses, Stage};
pub use standard::{Chapter, Standard};
pub use statement::{Binds, Statement};
pub use table::{Table, check_committed};
