//! Where a new password comes from.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, bail};

/// More than any password has; what is longer is not read.
const MAX_INPUT: u64 = 4096;

/// The password on standard input; `None` if one is to be made: that is a terminal or has nothing,
/// or `generate` says so.
pub(super) fn read(generate: bool) -> anyhow::Result<Option<String>> {
    let stdin = io::stdin();
    if generate || stdin.is_terminal() {
        return Ok(None);
    }
    given(stdin.lock())
}

/// One line, without its end; `None` if there is nothing at all. An empty line is an error: a script
/// whose variable is empty must not lock a user out.
fn given(input: impl Read) -> anyhow::Result<Option<String>> {
    let mut text = String::new();
    let read = input.take(MAX_INPUT).read_to_string(&mut text);
    read.context("cannot read the password from standard input")?;
    let line = text
        .strip_suffix('\n')
        .map_or(&*text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.contains(['\n', '\r']) {
        bail!("the password on standard input has more than one line");
    }
    if text.is_empty() {
        return Ok(None);
    }
    if line.is_empty() {
        bail!("the password on standard input is empty; --generate makes one");
    }
    Ok(Some(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let read = |text: &str| given(text.as_bytes());
        for (text, want) in [
            ("", None),
            ("hush", Some("hush")),
            ("hush\n", Some("hush")),
            ("hush\r\n", Some("hush")),
            (" hush \n", Some(" hush ")),
        ] {
            assert_eq!(read(text).unwrap().as_deref(), want, "{text:?}");
        }
        assert!(read("hush\nhush\n").is_err());
        assert!(read("\n").is_err() && read("\r\n").is_err());
        assert!(given(&[0xff, 0xfe][..]).is_err());
    }
}
