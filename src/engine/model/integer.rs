//! Integers that JSON can write and 64 bits cannot hold.
//!
//! A parser reads them as doubles, so that `18446744073709551617` comes back as
//! `18446744073709552000`. Those that a double holds exactly, as programs write them that know of nothing
//! but doubles, keep their value and pass. Whoever takes a document from outside refuses it instead of changing it.

/// An integer that neither an `i64`, a `u64` nor a double holds, and where it stands in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OversizedInteger<'t> {
    /// As it is written.
    pub digits: &'t str,
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl<'t> OversizedInteger<'t> {
    /// The first one of a JSON text. What is no JSON is not judged here.
    #[must_use]
    pub fn find(json: &'t str) -> Option<Self> {
        let bytes = json.as_bytes();
        let (mut at, mut quoted) = (0, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                b'-' | b'0'..=b'9' if !quoted => {
                    let in_number = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
                    let length = bytes[at..].iter().take_while(|b| in_number(b)).count();
                    let number = &json[at..at + length];
                    if !Self::fits(number) {
                        return Some(Self::at(json, at, number));
                    }
                    at += length;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// Whether a number of JSON keeps its value: it is no integer, it has 64 bits, or a double is exactly it.
    #[must_use]
    pub fn fits(number: &str) -> bool {
        /// So many digits always fit.
        const DIGITS_SAFE: usize = 18;
        let digits = number.strip_prefix('-').unwrap_or(number);
        digits.len() <= DIGITS_SAFE
            || !digits.bytes().all(|b| b.is_ascii_digit())
            || number.parse::<u64>().is_ok()
            || number.parse::<i64>().is_ok()
            || number.parse::<f64>().is_ok_and(|it| it.is_finite() && format!("{it:.0}") == number)
    }

    fn at(json: &str, at: usize, digits: &'t str) -> Self {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let before = &json[..at];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            digits,
            line: number(before.matches('\n').count() + 1),
            column: number(before[line_start..].chars().count() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(json: &str) -> Option<&str> {
        OversizedInteger::find(json).map(|it| it.digits)
    }

    #[test]
    fn integers_of_64_bits_and_everything_else_pass() {
        for json in [
            "18446744073709551615",
            "-9223372036854775808",
            "[18446744073709551616, 100000000000000000000, -22396856897385361218799056977920]",
            "[1, 2.5, 1e300, -0, 123456789012345678901234567890.5]",
            r#"{"18446744073709551616": "18446744073709551616", "a\"": "\\", "b": 7}"#,
            "nonsense",
            "",
        ] {
            assert_eq!(digits(json), None, "{json}");
        }
    }

    #[test]
    fn an_integer_beyond_them_is_found_with_its_place() {
        let json = "{\"ä\": \"\\\"\",\n \"b\": [1, 18446744073709551617]}";
        let found = OversizedInteger::find(json).unwrap();
        assert_eq!((found.digits, found.line, found.column), ("18446744073709551617", 2, 11));
        assert_eq!(digits("-9223372036854775809"), Some("-9223372036854775809"));
        assert_eq!(digits("[\"x\",99999999999999999999,1]"), Some("99999999999999999999"));
    }
}
