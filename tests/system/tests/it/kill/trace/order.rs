//! In which order a message, its sync and its answer must come.

use anyhow::{Context, ensure};

use super::calls::{Call, parse};

/// Where a database has its log, and which calls bring it to the disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Log {
    /// The `-wal` file beside the database, synced.
    Sqlite,
    /// The files in `pg_wal`, synced.
    Postgres,
    /// The files in `pg_wal`, opened so that a write is a sync.
    PostgresSyncedByWrites,
}

/// Fails unless the message with this text was on the disk before anything was said to its sender.
pub(super) fn check(trace: &str, text: &str, log: Log) -> anyhow::Result<()> {
    let calls = parse(trace);
    let has_text = |call: &&Call| call.text.contains(text);
    // The broker reads it before it can pass it on, so this is not the database.
    let asked = calls
        .iter()
        .filter(|call| call.is_receive() && call.on.starts_with("TCP"))
        .find(has_text)
        .context("the message never came")?;
    let answer = calls
        .iter()
        .find(|call| call.is_send() && call.on == asked.on && call.began > asked.began)
        .context("nothing was answered")?;
    let passed_on = match log {
        Log::Sqlite => calls
            .iter()
            .filter(|call| call.is_write() && call.on.ends_with("-wal"))
            .find(has_text)
            .context("the message was not written to the log")?,
        Log::Postgres | Log::PostgresSyncedByWrites => {
            let inserted = calls
                .iter()
                .filter(|call| call.is_send() && call.on != asked.on)
                .find(has_text)
                .context("the message was not sent to the database")?;
            calls
                .iter()
                .filter(|call| call.is_send() && call.on == inserted.on)
                .find(|call| call.began > inserted.began && call.text.contains("COMMIT"))
                .context("the message was not committed")?
        }
    };
    let is_on_disk = |call: &&Call| match log {
        Log::Sqlite => call.is_sync() && call.on == passed_on.on,
        Log::Postgres => call.is_sync() && call.on.contains("/pg_wal/"),
        Log::PostgresSyncedByWrites => call.is_write() && call.on.contains("/pg_wal/"),
    };
    ensure!(
        calls
            .iter()
            .filter(is_on_disk)
            .any(|sync| sync.is_between(passed_on, answer)),
        "no sync returned between {passed_on:?} and {answer:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str =
        "7 1.0 recvfrom(9<TCP:[1:1->1:2]>, \"text-1\", 99, 0, NULL, NULL) = 6 <0.1>\n";
    const ANSWER: &str = "sendto(9<TCP:[1:1->1:2]>, \"$im/reply\", 9, 0, NULL, 0) = 9 <0.1>\n";

    fn verdict(lines: &[(&str, &str)], log: Log) -> Result<(), String> {
        let lines = lines.iter().map(|(at, call)| format!("{at} {call}"));
        let trace: String = std::iter::once(ASKED.to_owned()).chain(lines).collect();
        check(&trace, "text-1", log).map_err(|error| format!("{error:#}"))
    }

    const WRITTEN: &str = "pwrite64(5</d/x-wal>, \"..text-1..\", 4096, 32) = 4096 <0.1>\n";
    const SYNCED: &str = "fdatasync(5</d/x-wal>) = 0 <0.1>\n";

    #[test]
    fn sqlite_syncs_its_log_before_the_answer() {
        let check = |lines: &[(&str, &str)]| verdict(lines, Log::Sqlite);
        assert_eq!(
            check(&[("8 2", WRITTEN), ("8 3", SYNCED), ("7 4", ANSWER)]),
            Ok(())
        );
        let early_answers: [&[(&str, &str)]; 6] = [
            // Before the commit, after it without a sync, and before the sync.
            &[("7 2", ANSWER), ("8 3", WRITTEN), ("8 4", SYNCED)],
            &[("8 2", WRITTEN), ("7 3", ANSWER)],
            &[("8 2", WRITTEN), ("7 3", ANSWER), ("8 4", SYNCED)],
            // An earlier commit's sync, and one that has not returned.
            &[("8 2", SYNCED), ("8 3", WRITTEN), ("7 4", ANSWER)],
            &[
                ("8 2", WRITTEN),
                ("8 3", "fdatasync(5</d/x-wal> <unfinished ...>\n"),
                ("7 4", ANSWER),
                ("8 5", "<... fdatasync resumed>) = 0 <2.0>\n"),
            ],
            // Another database's sync.
            &[
                ("8 2", WRITTEN),
                ("8 3", "fdatasync(6</d/y-wal>) = 0 <0.1>\n"),
                ("7 4", ANSWER),
            ],
        ];
        for lines in early_answers {
            let error = check(lines).unwrap_err();
            assert!(error.starts_with("no sync returned between"), "{error}");
        }
        let other = "pwrite64(5</d/x-wal>, \"..a login..\", 4096, 32) = 4096 <0.1>\n";
        let error = check(&[("8 2", other), ("8 3", SYNCED), ("7 4", ANSWER)]).unwrap_err();
        assert_eq!(error, "the message was not written to the log");
    }

    const INSERTED: &str =
        "sendto(4<TCP:[1:7->1:8]>, \"INSERT text-1\", 13, 0, NULL, 0) = 13 <0.1>\n";
    const COMMIT: &str = "sendto(4<TCP:[1:7->1:8]>, \"COMMIT\", 6, 0, NULL, 0) = 6 <0.1>\n";
    const FLUSHED: &str = "fdatasync(3</p/pg_wal/0001>) = 0 <0.1>\n";

    #[test]
    fn postgres_syncs_its_log_before_the_answer() {
        let check = |lines: &[(&str, &str)]| verdict(lines, Log::Postgres);
        let good = [
            ("7 2", INSERTED),
            ("7 3", COMMIT),
            ("99 4", FLUSHED),
            ("7 5", ANSWER),
        ];
        assert_eq!(check(&good), Ok(()));
        let early_answers: [&[(&str, &str)]; 3] = [
            &[
                ("7 2", ANSWER),
                ("7 3", INSERTED),
                ("7 4", COMMIT),
                ("99 5", FLUSHED),
            ],
            &[
                ("7 2", INSERTED),
                ("7 3", COMMIT),
                ("7 4", ANSWER),
                ("99 5", FLUSHED),
            ],
            &[
                ("7 2", INSERTED),
                ("99 3", FLUSHED),
                ("7 4", COMMIT),
                ("7 5", ANSWER),
            ],
        ];
        for lines in early_answers {
            let error = check(lines).unwrap_err();
            assert!(error.starts_with("no sync returned between"), "{error}");
        }
        let other = "sendto(4<TCP:[1:7->1:8]>, \"a login\", 7, 0, NULL, 0) = 7 <0.1>\n";
        let error = check(&[
            ("7 2", other),
            ("7 3", COMMIT),
            ("99 4", FLUSHED),
            ("7 5", ANSWER),
        ]);
        assert_eq!(
            error.unwrap_err(),
            "the message was not sent to the database"
        );
        let error = check(&[("7 2", INSERTED), ("7 5", ANSWER)]).unwrap_err();
        assert_eq!(error, "the message was not committed");
    }

    #[test]
    fn a_write_is_a_sync_where_the_log_is_opened_so() {
        let write = "pwrite64(3</p/pg_wal/0001>, \"..\", 8192, 0) = 8192 <0.1>\n";
        let lines = [
            ("7 2", INSERTED),
            ("7 3", COMMIT),
            ("99 4", write),
            ("7 5", ANSWER),
        ];
        assert_eq!(verdict(&lines, Log::PostgresSyncedByWrites), Ok(()));
        verdict(&lines, Log::Postgres).unwrap_err();
    }
}
