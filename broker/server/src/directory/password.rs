//! Where a new password comes from.

use std::io::{self, IsTerminal, Read};

use anyhow::{Context, bail};
use rand::RngExt;
use rand::distr::Uniform;

/// More than any password has; what is longer is not read.
const MAX_INPUT: u64 = 4096;
/// Of 36 characters: 103 bits.
const LENGTH: usize = 20;
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

pub(super) enum Password {
    /// Read from standard input.
    Given(String),
    /// Made here, to be shown once.
    Made(String),
}

impl Password {
    /// Reads standard input, unless it is a terminal or empty or `generate` says not to.
    pub(super) fn obtain(generate: bool) -> anyhow::Result<Self> {
        let stdin = io::stdin();
        if generate || stdin.is_terminal() {
            return Self::make();
        }
        match given(stdin.lock())? {
            Some(password) => Ok(Self::Given(password)),
            None => Self::make(),
        }
    }

    fn make() -> anyhow::Result<Self> {
        let mut rng = rand::rng();
        let index = Uniform::new(0, ALPHABET.len()).context("no alphabet")?;
        let letters = (0..LENGTH).filter_map(|_| ALPHABET.get(rng.sample(index)).copied());
        Ok(Self::Made(letters.map(char::from).collect()))
    }

    pub(super) fn expose(&self) -> &str {
        match self {
            Self::Given(password) | Self::Made(password) => password,
        }
    }
}

/// One line, without its end; `None` if there is nothing.
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
    Ok((!line.is_empty()).then(|| line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let read = |text: &str| given(text.as_bytes());
        for (text, want) in [
            ("", None),
            ("\n", None),
            ("hush", Some("hush")),
            ("hush\n", Some("hush")),
            ("hush\r\n", Some("hush")),
            (" hush \n", Some(" hush ")),
        ] {
            assert_eq!(read(text).unwrap().as_deref(), want, "{text:?}");
        }
        assert!(read("hush\nhush\n").is_err());
        assert!(given(&[0xff, 0xfe][..]).is_err());
    }

    #[test]
    fn a_made_password_is_new() {
        let (one, two) = (Password::make().unwrap(), Password::make().unwrap());
        assert_eq!(one.expose().len(), LENGTH);
        assert_ne!(one.expose(), two.expose());
    }
}
