//! How many tests passed and failed, from the runner's own closing lines.

use std::fmt;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// The counts in nextest's one closing line, or nothing in other lines.
    pub(super) fn of_nextest(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let (_, counts) = line
            .trim_start()
            .strip_prefix("Summary [")?
            .split_once(" run: ")?;
        Some(Self::of_counts(counts))
    }

    /// The counts in the closing line of one test binary, or nothing in other lines.
    pub(super) fn of_libtest(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        Some(Self::of_counts(counts))
    }

    fn of_counts(counts: &str) -> Self {
        let mut tally = Self::default();
        for (count, label) in counts.split([',', ';']).filter_map(count) {
            match label {
                "passed" => tally.passed += count,
                // nextest's other words for tests that did not pass
                "failed" | "timed out" | "exec failed" => tally.failed += count,
                _ => {}
            }
        }
        tally
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
        }
    }

    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// `3 passed (1 slow)` is three with the label `passed`.
fn count(text: &str) -> Option<(u64, &str)> {
    let text = text.split('(').next()?.trim();
    let (count, label) = text.split_once(' ')?;
    Some((count.parse().ok()?, label))
}

/// Removes `ESC [ ... m`.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, text)| text));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u64, failed: u64) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn reads_the_summary_of_nextest() {
        let clean = "     Summary [   0.006s] 3 tests run: 3 passed, 0 skipped";
        assert_eq!(Tally::of_nextest(clean), Some(tally(3, 0)));
        let single = "     Summary [   0.006s] 1 test run: 1 passed, 8 skipped";
        assert_eq!(Tally::of_nextest(single), Some(tally(1, 0)));
    }

    #[test]
    fn counts_every_way_to_fail() {
        let line = "Summary [ 9.1s] 8/9 tests run: 4 passed (1 slow, 1 leaky), 2 failed, \
                    1 timed out, 1 exec failed, 5 skipped";
        assert_eq!(Tally::of_nextest(line), Some(tally(4, 4)));
    }

    #[test]
    fn reads_the_result_of_libtest() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(Tally::of_libtest(ok), Some(tally(12, 0)));
        let failed = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured";
        assert_eq!(Tally::of_libtest(failed), Some(tally(12, 3)));
    }

    #[test]
    fn sees_through_colours() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.006s] \u{1b}[1m3\u{1b}[0m tests run: \
                    \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m1\u{1b}[0m failed";
        assert_eq!(Tally::of_nextest(line), Some(tally(2, 1)));
    }

    #[test]
    fn other_lines_count_nothing() {
        for line in [
            "",
            "test a ... ok",
            "running 3 tests",
            "        PASS [ 0.1s] a b",
        ] {
            assert_eq!(Tally::of_nextest(line), None, "{line}");
            assert_eq!(Tally::of_libtest(line), None, "{line}");
        }
    }

    #[test]
    fn nextest_repeats_what_a_failed_test_printed_and_that_is_not_counted_again() {
        let repeated = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(Tally::of_nextest(repeated), None);
        assert_eq!(Tally::of_nextest(repeated.trim_start()), None);
    }

    #[test]
    fn adds_up() {
        assert_eq!(tally(1, 2).plus(tally(3, 4)), tally(4, 6));
    }

    #[test]
    fn shows_plain_numbers() {
        assert_eq!(tally(4, 6).to_string(), "4 passed, 6 failed");
    }
}
