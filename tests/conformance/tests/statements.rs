//! A test for each case, named for its statements, against our own broker; and the tables in `docs`.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use partyline_conformance::{Case, Outcome, OwnBroker, Standard, check_committed, run_case};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for standard in Standard::ALL {
        let number = standard.number();
        for case in standard.cases() {
            let name = format!("{number}::{}::{}", case.name, case.statements.join("+"));
            trials.push(Trial::test(name, move || test(standard, case)));
        }
        let name = format!("{number}::the_committed_table_agrees_with_the_catalogue");
        trials.push(Trial::test(name, move || {
            let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
            Ok(check_committed(standard, &docs)?)
        }));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

#[tokio::main]
async fn test(standard: Standard, case: &'static Case) -> Result<(), Failed> {
    let broker = OwnBroker::start().await?;
    let outcome = run_case(standard, case, broker.addresses()).await;
    broker.stop().await;
    match outcome {
        Outcome::Passed => Ok(()),
        Outcome::Failed(why) | Outcome::NotOffered(why) => Err(why.into()),
    }
}
