//! Text to tokens, one at a time.

use super::Problem;

/// The smallest meaningful piece of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// An integer literal; its sign is an operator.
    Int(i128),
    /// A number with a fraction or an exponent.
    Double(f64),
    /// A string literal, with its escapes resolved.
    Text(String),
    /// A name or a keyword.
    Name(String),
    /// Punctuation.
    Mark(&'static str),
    /// Nothing is left.
    End,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lexeme {
    pub(super) token: Token,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Longer ones first, so that `<=` is not read as `<`.
const MARKS: [&str; 25] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}", "=",
];

/// Reads tokens from a text.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Lexer<'t> {
    /// Starts at a byte offset, which is at the edge of a character.
    pub(super) fn new(text: &'t str, position: usize) -> Self {
        assert!(text.is_char_boundary(position), "a lexer starts at the edge of a character");
        Self { text, position }
    }

    /// The next token. Errors: what cannot begin a token, and unfinished literals.
    pub(super) fn next(&mut self) -> Result<Lexeme, Problem> {
        let space = self.rest().len() - self.rest().trim_start().len();
        self.position += space;
        let start = self.position;
        let token = self.token()?;
        Ok(Lexeme { token, start, end: self.position })
    }

    /// Takes the letters, digits, `_` and `-` that come next: the id of a step.
    pub(super) fn word(&mut self) -> Lexeme {
        let start = self.position;
        let rest = self.rest();
        let lawful = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let length = rest.find(|c| !lawful(c)).unwrap_or(rest.len());
        self.position += length;
        Lexeme { token: Token::Name(rest[..length].to_owned()), start, end: self.position }
    }

    /// The text before a byte offset.
    pub(super) fn before(&self, position: usize) -> &'t str {
        &self.text[..position]
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn token(&mut self) -> Result<Token, Problem> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        if let Some(literal) = Quote::open(rest) {
            return self.quoted(literal);
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            self.position += length;
            return Ok(Token::Name(rest[..length].to_owned()));
        }
        let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) else {
            return Err(Problem::new(self.position, format!("unexpected character `{first}`")));
        };
        self.position += mark.len();
        Ok(Token::Mark(mark))
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let (start, rest) = (self.position, self.rest());
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let length = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            self.position += 2 + length;
            return self.integer(start, i128::from_str_radix(&hex[..length], 16).ok());
        }
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut length = digits(rest);
        let mut whole = true;
        if let Some(fraction) = rest[length..].strip_prefix('.').filter(|it| digits(it) > 0) {
            length += 1 + digits(fraction);
            whole = false;
        }
        if let Some(power) = rest[length..].strip_prefix(['e', 'E']) {
            let sign = usize::from(power.starts_with(['+', '-']));
            if digits(&power[sign..]) > 0 {
                length += 1 + sign + digits(&power[sign..]);
                whole = false;
            }
        }
        self.position += length;
        if whole {
            return self.integer(start, rest[..length].parse().ok());
        }
        let double = rest[..length].parse().ok().filter(|it: &f64| it.is_finite());
        double.map(Token::Double).ok_or_else(|| Problem::new(start, "this number is too large"))
    }

    /// An integer, with the `u` some write after it.
    fn integer(&mut self, start: usize, parsed: Option<i128>) -> Result<Token, Problem> {
        if self.rest().starts_with(['u', 'U']) {
            self.position += 1;
        }
        let lawful = parsed.filter(|it| *it <= i128::from(u64::MAX));
        lawful.map(Token::Int).ok_or_else(|| Problem::new(start, "this integer does not fit 64 bits"))
    }

    fn quoted(&mut self, quote: Quote) -> Result<Token, Problem> {
        let start = self.position;
        if quote.bytes {
            return Err(Problem::new(start, "bytes have no JSON form and are not supported"));
        }
        self.position += usize::from(quote.raw) + quote.mark.len();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote.mark) {
                self.position += quote.mark.len();
                return Ok(Token::Text(text));
            }
            let Some(next) = rest.chars().next() else {
                return Err(Problem::new(start, format!("this string has no closing {}", quote.mark)));
            };
            self.position += next.len_utf8();
            if next == '\\' && !quote.raw {
                text.push(self.escape()?);
            } else {
                text.push(next);
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<char, Problem> {
        let start = self.position - 1;
        let rest = self.rest();
        let wrong =
            || Problem::new(start, "unknown escape in a string; a backslash itself is written `\\\\`");
        let kind = rest.chars().next().ok_or_else(wrong)?;
        let (digits, radix, skip) = match kind {
            'x' | 'X' => (2, 16, 1),
            'u' => (4, 16, 1),
            'U' => (8, 16, 1),
            '0'..='3' => (3, 8, 0),
            _ => {
                self.position += kind.len_utf8();
                return simple_escape(kind).ok_or_else(wrong);
            }
        };
        let code = rest.get(skip..skip + digits).ok_or_else(wrong)?;
        let lawful = code.chars().all(|c| c.is_digit(radix));
        let code = u32::from_str_radix(code, radix).ok().filter(|_| lawful).ok_or_else(wrong)?;
        self.position += skip + digits;
        char::from_u32(code).ok_or_else(wrong)
    }
}

fn simple_escape(kind: char) -> Option<char> {
    Some(match kind {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'v' => '\u{b}',
        '\\' | '\'' | '"' | '`' | '?' => kind,
        _ => return None,
    })
}

/// How a string literal begins.
#[derive(Debug, Clone, Copy)]
struct Quote {
    mark: &'static str,
    raw: bool,
    bytes: bool,
}

impl Quote {
    fn open(rest: &str) -> Option<Self> {
        let (raw, bytes, quoted) = match rest.as_bytes().first()? {
            b'r' | b'R' => (true, false, &rest[1..]),
            b'b' | b'B' => (false, true, &rest[1..]),
            _ => (false, false, rest),
        };
        let mark = ["'''", "\"\"\"", "'", "\""].into_iter().find(|mark| quoted.starts_with(mark))?;
        Some(Self { mark, raw, bytes })
    }
}
