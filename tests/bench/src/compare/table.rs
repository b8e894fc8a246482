//! Medians of what was measured, as a table.

use std::fmt;

use super::loads::Load;
use crate::outcome::Outcome;

struct Row {
    load: &'static str,
    figure: &'static str,
    /// Of each broker: what was measured in its runs, nothing where it failed.
    values: Vec<Vec<f64>>,
    /// Of each broker: how often it failed.
    failures: Vec<usize>,
}

pub(super) struct Table {
    brokers: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            rows: Vec::new(),
        }
    }

    /// Adds what one run of a load on a broker found; `None` if it failed.
    pub(super) fn add(&mut self, broker: usize, load: &Load, outcome: Option<&Outcome>) {
        for figure in load.figures {
            let value = outcome.and_then(|outcome| outcome.get(figure));
            let row = self.row(load.name, figure);
            match value {
                Some(value) => row.values.get_mut(broker).map(|of| of.push(value)),
                None => row.failures.get_mut(broker).map(|of| *of += 1),
            };
        }
    }

    fn row(&mut self, load: &'static str, figure: &'static str) -> &mut Row {
        let mut found = self.rows.iter();
        let found = found.position(|row| row.load == load && row.figure == figure);
        let at = found.unwrap_or(self.rows.len());
        if at == self.rows.len() {
            self.rows.push(Row {
                load,
                figure,
                values: vec![Vec::new(); self.brokers.len()],
                failures: vec![0; self.brokers.len()],
            });
        }
        #[expect(clippy::indexing_slicing, reason = "it was found or pushed there")]
        &mut self.rows[at]
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| load | figure |")?;
        for broker in &self.brokers {
            write!(f, " {broker} |")?;
        }
        let first = self.brokers.first().map_or("", String::as_str);
        for other in self.brokers.iter().skip(1) {
            write!(f, " {first} / {other} |")?;
        }
        let columns = (2 * self.brokers.len()).saturating_sub(1);
        write!(f, "\n|---|---|{}", "---:|".repeat(columns))?;
        for row in &self.rows {
            write!(f, "\n| {} | {} |", row.load, row.figure)?;
            let medians: Vec<_> = row.values.iter().map(|values| median(values)).collect();
            for (median, failures) in medians.iter().zip(&row.failures) {
                match median {
                    Some(median) => write!(f, " {median:.2}")?,
                    None => write!(f, " -")?,
                }
                if *failures > 0 {
                    write!(f, " ({failures} failed)")?;
                }
                write!(f, " |")?;
            }
            let first = medians.first().copied().flatten();
            for other in medians.iter().skip(1) {
                match first.zip(*other) {
                    Some((first, other)) => write!(f, " {:.2} |", first / other)?,
                    None => write!(f, " - |")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn failures_are_shown_beside_the_medians() {
        let load = Load {
            name: "pairs",
            scenario: Box::new(crate::scenario::Storm {
                connections: 1,
                at_once: None,
            }),
            figures: &["cpu"],
        };
        let mut table = Table::new(vec!["ours".to_owned(), "theirs".to_owned()]);
        for (broker, value) in [(0, Some(2.0)), (1, Some(4.0)), (1, None)] {
            let outcome = value.map(|value| {
                let mut outcome = Outcome::default();
                outcome.add("cpu", value);
                outcome
            });
            table.add(broker, &load, outcome.as_ref());
        }
        let shown = table.to_string();
        let row = shown.lines().last().unwrap();
        assert_eq!(row, "| pairs | cpu | 2.00 | 4.00 (1 failed) | 0.50 |");
    }
}
