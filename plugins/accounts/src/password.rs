//! What a password may be.

use thiserror::Error;

use crate::secret::TOKEN_PREFIX;

/// Least length of a password, in bytes.
const MIN: usize = 4;
/// Greatest length of a password, in bytes.
const MAX: usize = 128;

/// Why a text can't be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has {MIN} to {MAX} bytes, this one has {0}")]
    Length(usize),
    /// It would be taken for a login token.
    #[error("a password can't begin with {TOKEN_PREFIX}, as login tokens do")]
    ReservedPrefix,
}

/// Checks the rules for new passwords; what breaks them can't be anybody's password either, so
/// it isn't hashed at login.
pub(crate) fn check(password: &[u8]) -> Result<(), PasswordError> {
    if !(MIN..=MAX).contains(&password.len()) {
        return Err(PasswordError::Length(password.len()));
    }
    if is_token(password) {
        return Err(PasswordError::ReservedPrefix);
    }
    Ok(())
}

/// Whether a CONNECT's password is a login token.
pub(crate) fn is_token(password: &[u8]) -> bool {
    password.starts_with(TOKEN_PREFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_4_to_128_bytes_and_no_token_prefix() {
        assert_eq!(check(b"abc"), Err(PasswordError::Length(3)));
        assert_eq!(check(b"abcd"), Ok(()));
        assert_eq!(check(&[b'a'; 128]), Ok(()));
        assert_eq!(check(&[b'a'; 129]), Err(PasswordError::Length(129)));
        assert_eq!(check(b"plt_abcd"), Err(PasswordError::ReservedPrefix));
        assert_eq!(check(b"PLT_abcd"), Ok(()));
    }
}
