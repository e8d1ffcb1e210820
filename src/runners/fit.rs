//! Making what the world answers small enough to be recorded.

/// Nesting of an output. Sixteen levels below the limit of documents, because an output is read inside
/// other documents: a result, a list, a history.
pub(super) const DEPTH_MAX: usize = crate::engine::model::limits::JSON_DEPTH_MAX - 16;

/// Bytes of a fault's message. It is shown in lists and logs.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Whether JSON text nests at most [`DEPTH_MAX`] levels.
pub(super) fn shallow(json: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// The text, cut at a character boundary if it has more than `bytes_max` bytes.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push_str(" [cut]");
    }
    text
}

/// How many bytes a text takes inside a JSON document, without its quotes.
pub(super) fn quoted_len(text: &str) -> usize {
    text.chars().map(quoted_char_len).sum()
}

/// The longest start of a text that takes at most `bytes_max` bytes inside a JSON document.
pub(super) fn quoted_start(text: &str, bytes_max: usize) -> &str {
    let mut taken = 0;
    for (at, char) in text.char_indices() {
        taken += quoted_char_len(char);
        if taken > bytes_max {
            return &text[..at];
        }
    }
    text
}

const fn quoted_char_len(char: char) -> usize {
    match char {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..'\u{20}' => 6,
        _ => char.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(shallow(&nested(DEPTH_MAX)));
        assert!(!shallow(&nested(DEPTH_MAX + 1)));
        assert!(shallow(&serde_json::json!({ "a\"[": nested(500) }).to_string()));
        assert!(shallow(&format!("[{}]", "[],".repeat(1_000) + "0")));
    }

    #[test]
    fn the_length_inside_json_is_what_serde_writes() {
        for text in ["", "plain", "ü☺𝄞", "\"\\\n\r\t\u{8}\u{c}", "\0\u{1f}\u{7f}/"] {
            let written = serde_json::to_string(text).expect("text is JSON").len() - 2;
            assert_eq!(quoted_len(text), written, "{text:?}");
        }
    }

    #[test]
    fn a_start_never_splits_a_character_or_an_escape() {
        assert_eq!(quoted_start("ab\ncd", 3), "ab");
        assert_eq!(quoted_start("ab\ncd", 4), "ab\n");
        assert_eq!(quoted_start("☺☺", 5), "☺");
        assert_eq!(quoted_start("all", 3), "all");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("short".into(), 5), "short");
        assert_eq!(cut("☺☺".into(), 4), "☺ [cut]");
    }
}
