//! SPDX licence expressions: `OR`, `AND`, `WITH`, parentheses, and Cargo's old `/` for `OR`.

use std::collections::VecDeque;

use anyhow::{Result, bail};

/// A parsed expression. `AND` binds tighter than `OR`, `WITH` tighter than both.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// A licence, with its exception if there is one: `Apache-2.0 WITH LLVM-exception`.
    Licence(String),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut tokens = tokens(text);
        let expression = any(&mut tokens)?;
        match tokens.front() {
            None => Ok(expression),
            Some(rest) => bail!("unexpected `{rest}`"),
        }
    }

    /// Whether a choice can be made that needs only `allowed` licences.
    pub(super) fn satisfied_by(&self, allowed: &[&str]) -> bool {
        match self {
            Self::Licence(licence) => allowed.contains(&licence.as_str()),
            Self::All(parts) => parts.iter().all(|part| part.satisfied_by(allowed)),
            Self::Any(parts) => parts.iter().any(|part| part.satisfied_by(allowed)),
        }
    }
}

fn tokens(text: &str) -> VecDeque<String> {
    let spaced = text
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn any(tokens: &mut VecDeque<String>) -> Result<Expression> {
    let first = all(tokens)?;
    let mut parts = vec![first];
    while take(tokens, "OR") {
        parts.push(all(tokens)?);
    }
    Ok(single_or(parts, Expression::Any))
}

fn all(tokens: &mut VecDeque<String>) -> Result<Expression> {
    let first = operand(tokens)?;
    let mut parts = vec![first];
    while take(tokens, "AND") {
        parts.push(operand(tokens)?);
    }
    Ok(single_or(parts, Expression::All))
}

fn operand(tokens: &mut VecDeque<String>) -> Result<Expression> {
    if take(tokens, "(") {
        let inner = any(tokens)?;
        if !take(tokens, ")") {
            bail!("missing `)`");
        }
        return Ok(inner);
    }
    let licence = identifier(tokens)?;
    if take(tokens, "WITH") {
        let exception = identifier(tokens)?;
        return Ok(Expression::Licence(format!("{licence} WITH {exception}")));
    }
    Ok(Expression::Licence(licence))
}

fn identifier(tokens: &mut VecDeque<String>) -> Result<String> {
    let Some(token) = tokens.pop_front() else {
        bail!("it ends too early")
    };
    let in_alphabet = token
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.+:".contains(c));
    if !in_alphabet || ["AND", "OR", "WITH"].contains(&token.as_str()) {
        bail!("`{token}` where a licence should be");
    }
    Ok(token)
}

fn take(tokens: &mut VecDeque<String>, wanted: &str) -> bool {
    tokens.pop_front_if(|token| token == wanted).is_some()
}

fn single_or(mut parts: Vec<Expression>, combine: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            combine(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn satisfied(text: &str, allowed: &[&str]) -> bool {
        Expression::parse(text).unwrap().satisfied_by(allowed)
    }

    #[test]
    fn and_binds_tighter_than_or() {
        // MIT OR (ISC AND GPL)
        assert!(satisfied("MIT OR ISC AND GPL-3.0", &["MIT"]));
        assert!(!satisfied("MIT OR ISC AND GPL-3.0", &["ISC"]));
        assert!(satisfied("MIT OR ISC AND GPL-3.0", &["ISC", "GPL-3.0"]));
    }

    #[test]
    fn parentheses_override_the_binding() {
        assert!(!satisfied("(MIT OR ISC) AND GPL-3.0", &["MIT"]));
        assert!(satisfied(
            "(MIT OR ISC) AND Unicode-3.0",
            &["ISC", "Unicode-3.0"]
        ));
        assert!(satisfied("((MIT))", &["MIT"]));
    }

    #[test]
    fn an_exception_is_part_of_the_licence() {
        assert!(!satisfied(
            "Apache-2.0 WITH LLVM-exception",
            &["Apache-2.0"]
        ));
        assert!(satisfied(
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
            &["Apache-2.0 WITH LLVM-exception"]
        ));
    }

    #[test]
    fn the_old_slash_is_a_choice() {
        assert!(satisfied("MIT/Apache-2.0", &["Apache-2.0"]));
        assert_eq!(
            Expression::parse("MIT / Apache-2.0").unwrap(),
            Expression::parse("MIT OR Apache-2.0").unwrap()
        );
    }

    #[test]
    fn names_are_compared_whole() {
        assert!(!satisfied("GPL-2.0+", &["GPL-2.0"]));
        assert!(!satisfied("MIT-0", &["MIT"]));
    }

    #[test]
    fn broken_expressions_are_errors() {
        let broken = [
            "",
            "MIT OR",
            "OR MIT",
            "(MIT",
            "MIT)",
            "MIT ISC",
            "MIT WITH",
            "()",
            "MIT, ISC",
            "MIT or ISC",
        ];
        for text in broken {
            assert!(Expression::parse(text).is_err(), "{text:?} must not parse");
        }
    }
}
