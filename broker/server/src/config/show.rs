//! The merged configuration, for people.

use anyhow::Context;
use figment::value::Dict;

use super::{Config, redact};
use crate::output::Output;

/// Prints the merged values, without secrets.
pub(crate) fn show(config: &Config, output: Output) -> anyhow::Result<()> {
    let mut values: Dict = config
        .figment
        .extract()
        .context("the configuration has no tables")?;
    redact::redact(&mut values);
    let text = toml::to_string_pretty(&values).context("a value has no form in TOML")?;
    output.print(text.trim_end(), &values)?;
    Ok(())
}
