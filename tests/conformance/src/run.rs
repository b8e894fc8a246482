//! Running cases.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, stream};

use crate::{BrokerAddresses, Case, NotOffered, Stage, Standard};

/// The longest that a case may take.
const LONGEST: Duration = Duration::from_secs(50);

/// Cases that run at once against one broker.
const AT_ONCE: usize = 16;

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The broker did what it must.
    Passed,
    /// It did not; what was seen.
    Failed(String),
    /// The broker does not offer what the case needs.
    NotOffered(String),
}

/// Runs one case.
pub async fn run_case(standard: Standard, case: &Case, broker: BrokerAddresses) -> Outcome {
    run_on(Stage::new(broker, standard.version()), case).await
}

/// Runs one case on a stage that only it uses.
pub async fn run_on(stage: Stage, case: &Case) -> Outcome {
    let verdict = tokio::time::timeout(LONGEST, (case.run)(stage))
        .await
        .context("the case did not end in time")
        .flatten();
    match verdict {
        Ok(()) => Outcome::Passed,
        Err(error) if error.is::<NotOffered>() => Outcome::NotOffered(format!("{error:#}")),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Runs the cases of a standard whose name or statements contain `filter`, several at once, and tells
/// each outcome as it comes; by case.
pub async fn run_all(
    standard: Standard,
    filter: &str,
    broker: BrokerAddresses,
    mut tell: impl FnMut(&Case, &Outcome),
) -> BTreeMap<&'static str, Outcome> {
    let wanted = standard.cases().filter(|case| {
        case.name.contains(filter) || case.statements.iter().any(|id| id.contains(filter))
    });
    let mut outcomes = BTreeMap::new();
    let mut running = stream::iter(wanted)
        .map(|case| async move { (case, run_case(standard, case, broker).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((case, outcome)) = running.next().await {
        tell(case, &outcome);
        outcomes.insert(case.name, outcome);
    }
    outcomes
}
