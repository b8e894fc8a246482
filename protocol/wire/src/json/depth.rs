/// How deeply objects and arrays may be nested; the outermost counts as 1.
pub const MAX_DEPTH: usize = 32;

/// How deeply a message body may be nested. What carries it to its receivers (a reply, a page, an
/// item) must stay within [`MAX_DEPTH`] too, so it leaves eight levels to them.
pub const MAX_BODY_DEPTH: usize = 24;

/// Whether the text nests no deeper than `max` levels. One pass, no allocation, and meaningful
/// for broken JSON too: it runs before a parser builds anything.
pub(crate) fn within_depth(json: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(within_depth(nested(32).as_bytes(), 32));
        assert!(!within_depth(nested(33).as_bytes(), 32));
        let text = format!(r#"{{"a":"{}\"{}"}}"#, "[".repeat(40), "{".repeat(40));
        assert!(within_depth(text.as_bytes(), 1));
        assert!(within_depth("[],".repeat(100).as_bytes(), 1));
    }
}
