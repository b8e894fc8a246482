//! The topic of a rule, with its placeholders.

use partyline_protocol::{TopicError, TopicFilter, TopicLimits};

/// Why a rule's topic is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is no topic filter.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A `%` that begins no placeholder.
    #[error("{0} is no placeholder: there are %a, %u, %c, and %% for a percent sign")]
    Placeholder(String),
    /// It begins with `$`.
    #[error("topics that begin with $ are not for rules, their plugins decide")]
    Reserved,
}

/// What the placeholders stand for in one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    /// `%a`.
    pub(crate) app: &'a str,
    /// `%u`; empty where nobody is logged in.
    pub(crate) user: &'a str,
    /// `%c`.
    pub(crate) client_id: &'a str,
}

/// A rule's topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Without placeholders: parsed once.
    Fixed(TopicFilter),
    /// Levels that are filled in for each session.
    Levels(Vec<Vec<Piece>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    App,
    User,
    ClientId,
}

impl Piece {
    /// The text it stands for; `None` if the value is not fit for one level of a topic, since it
    /// would widen the rule or name another's topic.
    fn text<'a>(&'a self, values: &Values<'a>) -> Option<&'a str> {
        let value = match self {
            Self::Text(text) => return Some(text),
            Self::App => values.app,
            Self::User => values.user,
            Self::ClientId => values.client_id,
        };
        (!value.is_empty() && !value.contains(['/', '+', '#'])).then_some(value)
    }
}

impl Pattern {
    pub(crate) fn parse(topic: &str) -> Result<Self, PatternError> {
        if topic.starts_with('$') {
            return Err(PatternError::Reserved);
        }
        let levels = topic
            .split('/')
            .map(pieces)
            .collect::<Result<Vec<_>, _>>()?;
        // Placeholders stand for a word here, so that the places of wildcards are checked.
        let word = Values {
            app: "x",
            user: "x",
            client_id: "x",
        };
        let sample: Vec<String> = levels
            .iter()
            .filter_map(|level| join(level, &word))
            .collect();
        let sample = TopicFilter::parse(&sample.join("/"), &TopicLimits::MQTT)?;
        let fixed = levels
            .iter()
            .flatten()
            .all(|piece| matches!(piece, Piece::Text(_)));
        Ok(if fixed {
            Self::Fixed(sample)
        } else {
            Self::Levels(levels)
        })
    }

    /// The filter for one session, for an allow rule; `None` if a value is unfit, which never
    /// allows.
    pub(crate) fn strict(&self, values: &Values<'_>) -> Option<TopicFilter> {
        self.fill(|level| join(level, values))
    }

    /// The filter for one session, for a deny rule: a level with an unfit value matches as `+`.
    pub(crate) fn wide(&self, values: &Values<'_>) -> Option<TopicFilter> {
        self.fill(|level| Some(join(level, values).unwrap_or_else(|| "+".to_owned())))
    }

    fn fill(&self, text: impl Fn(&[Piece]) -> Option<String>) -> Option<TopicFilter> {
        match self {
            Self::Fixed(filter) => Some(filter.clone()),
            Self::Levels(levels) => {
                let levels: Option<Vec<String>> = levels.iter().map(|level| text(level)).collect();
                TopicFilter::parse(&levels?.join("/"), &TopicLimits::MQTT).ok()
            }
        }
    }
}

fn pieces(level: &str) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    let mut rest = level;
    while let Some((text, after)) = rest.split_once('%') {
        let mut after = after.chars();
        let placeholder = match after.next() {
            Some('a') => Piece::App,
            Some('u') => Piece::User,
            Some('c') => Piece::ClientId,
            Some('%') => Piece::Text("%".to_owned()),
            Some(other) => return Err(PatternError::Placeholder(format!("%{other}"))),
            None => return Err(PatternError::Placeholder("%".to_owned())),
        };
        pieces.extend([Piece::Text(text.to_owned()), placeholder]);
        rest = after.as_str();
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// One level as text; `None` if one of its values is unfit.
fn join(level: &[Piece], values: &Values<'_>) -> Option<String> {
    level.iter().map(|piece| piece.text(values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(topic: &str, values: Values<'_>) -> (Option<String>, Option<String>) {
        let pattern = Pattern::parse(topic).unwrap();
        let text = |filter: TopicFilter| filter.to_string();
        (
            pattern.strict(&values).map(text),
            pattern.wide(&values).map(text),
        )
    }

    #[test]
    fn placeholders_are_filled_in() {
        let values = Values {
            app: "app",
            user: "anna",
            client_id: "phone",
        };
        for (topic, want) in [
            ("a/+/#", "a/+/#"),
            ("%a/%u/%c", "app/anna/phone"),
            ("a/dev-%c.%u/b", "a/dev-phone.anna/b"),
            ("100%%/%c", "100%/phone"),
            ("/%u/", "/anna/"),
        ] {
            let want = Some(want.to_owned());
            assert_eq!(filled(topic, values), (want.clone(), want), "{topic}");
        }
    }

    #[test]
    fn an_unfit_value_never_allows_and_widens_a_deny() {
        for unfit in ["", "a/b", "+", "#", "a+", "a#"] {
            let values = Values {
                app: "app",
                user: "anna",
                client_id: unfit,
            };
            assert_eq!(
                filled("x/%c/y", values),
                (None, Some("x/+/y".to_owned())),
                "{unfit}"
            );
            assert_eq!(
                filled("x/n-%c", values),
                (None, Some("x/+".to_owned())),
                "{unfit}"
            );
            let fit = Some("x/anna".to_owned());
            assert_eq!(filled("x/%u", values), (fit.clone(), fit), "{unfit}");
        }
    }

    #[test]
    fn bad_topics_are_refused() {
        use TopicError::{Empty, Nul, WildcardPlacement};
        for (topic, error) in [
            ("", Empty),
            ("a\0", Nul),
            ("a/#/b", WildcardPlacement),
            ("a+", WildcardPlacement),
            ("a/+%u", WildcardPlacement),
            ("%u#", WildcardPlacement),
        ] {
            assert_eq!(
                Pattern::parse(topic),
                Err(PatternError::Topic(error)),
                "{topic:?}"
            );
        }
        for (topic, unknown) in [("%x", "%x"), ("a/%", "%"), ("%A", "%A"), ("%%%ü", "%ü")] {
            let error = PatternError::Placeholder(unknown.to_owned());
            assert_eq!(Pattern::parse(topic), Err(error), "{topic}");
        }
        for topic in ["$im/inbox", "$SYS/#", "$share/g/a"] {
            assert_eq!(
                Pattern::parse(topic),
                Err(PatternError::Reserved),
                "{topic}"
            );
        }
    }
}
