//! How filters relate to topics and to each other. All texts are valid names and filters.

/// A filter that starts with a wildcard leaves the topics under `$` alone.
fn hides_reserved(filter: &str, other: &str) -> bool {
    filter.starts_with(['+', '#']) && other.starts_with('$')
}

/// The same filter without a parent that is no topic: the empty text is none, so `#` and `/#` ask
/// for one level more than they spell.
fn spelled_out(filter: &str) -> &str {
    match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        _ => filter,
    }
}

pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.is_empty() || hides_reserved(filter, topic) {
        return false;
    }
    let mut levels = topic.split('/');
    for want in filter.split('/') {
        if want == "#" {
            return true;
        }
        match levels.next() {
            Some(level) if want == "+" || want == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

pub(super) fn covers(filter: &str, other: &str) -> bool {
    if hides_reserved(filter, other) {
        return false;
    }
    let mut levels = spelled_out(other).split('/');
    for want in filter.split('/') {
        if want == "#" {
            return true;
        }
        match levels.next() {
            Some("#") | None => return false,
            Some(level) if want == "+" || want == level => {}
            Some(_) => return false,
        }
    }
    levels.next().is_none()
}

pub(super) fn overlaps(one: &str, other: &str) -> bool {
    if hides_reserved(one, other) || hides_reserved(other, one) {
        return false;
    }
    let mut ones = spelled_out(one).split('/');
    let mut others = spelled_out(other).split('/');
    loop {
        match (ones.next(), others.next()) {
            (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
            (Some(a), Some(b)) if a == "+" || b == "+" || a == b => {}
            _ => return false,
        }
    }
}
