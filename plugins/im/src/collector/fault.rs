//! Whose fault an error of the database is.

use partyline_plugin::sqlx;

/// Whether an error can be the fault of one row: then the others of its transaction may be stored
/// without it. Any other error would meet each of them: a full disk, a lost connection, conflicts
/// without end.
pub(super) fn is_of_one_row(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Encode(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_row_code(&code)),
        _ => false,
    }
}

/// Codes of PostgreSQL have five characters, those of SQLite are numbers below 10,000.
fn is_row_code(code: &str) -> bool {
    if code.len() == 5 {
        // Data exceptions, integrity constraints, errors raised by triggers.
        return ["22", "23", "P0"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // TOOBIG, CONSTRAINT, MISMATCH, whatever their extension.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

/// Whether another process that writes to the same store allotted the same message number.
pub(super) fn is_number_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| {
        error.constraint() == Some("im_message_pkey")
            || error.message() == "UNIQUE constraint failed: im_message.id"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_are_at_fault_alone() {
        // Unique violation and too large a value in both, a trigger's error in both.
        for code in ["23505", "2067", "22001", "18", "P0001", "1811"] {
            assert!(is_row_code(code), "{code}");
        }
        // Full, read-only, busy, out of space, shutting down, deadlock, lost connection.
        for code in ["13", "8", "5", "10", "53100", "57P01", "40P01", "08006"] {
            assert!(!is_row_code(code), "{code}");
        }
        assert!(!is_of_one_row(&sqlx::Error::PoolTimedOut));
    }
}
