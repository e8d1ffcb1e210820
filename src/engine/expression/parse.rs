//! Tokens to a tree: precedence climbing, with every name resolved on the way.

use std::collections::BTreeSet;

use super::names::{self, Names};
use super::token::{Lexeme, Lexer, Token};
use super::tree::{Kind, Node, Operator, Root};
use super::{DEPTH_MAX, NESTING_MAX, Problem};

/// A parsed expression and what it looks at.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) node: Node,
    pub(super) roots: BTreeSet<Root>,
    /// Where the text after the expression begins: behind the closing brace, or the end.
    pub(super) end: usize,
}

/// How an expression ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// With the text.
    End,
    /// With the brace that closes `${`.
    Brace,
}

/// Parses one expression from a byte offset on. Errors: the first thing wrong with it.
pub(super) fn parse(text: &str, from: usize, until: Until, names: &Names) -> Result<Parsed, Problem> {
    let mut lexer = Lexer::new(text, from);
    let next = lexer.next()?;
    let mut parser = Parser {
        lexer,
        next,
        names,
        locals: Vec::new(),
        roots: BTreeSet::new(),
        nesting: 0,
        comprehensions: 0,
    };
    let empty = match until {
        Until::End => parser.next.token == Token::End,
        Until::Brace => parser.next.token == Token::Mark("}"),
    };
    if empty {
        return Err(Problem::new(from, "there is no expression here"));
    }
    let node = parser.expression()?;
    let closed = match until {
        Until::End => parser.next.token == Token::End,
        Until::Brace => parser.next.token == Token::Mark("}"),
    };
    if !closed {
        return Err(parser.unexpected(match until {
            Until::End => "the end of the expression",
            Until::Brace => "`}` to close `${`",
        }));
    }
    Ok(Parsed { node, roots: parser.roots, end: parser.next.end })
}

pub(super) struct Parser<'t> {
    lexer: Lexer<'t>,
    pub(super) next: Lexeme,
    names: &'t Names,
    /// The variables of the comprehensions around this place.
    pub(super) locals: Vec<String>,
    roots: BTreeSet<Root>,
    nesting: usize,
    pub(super) comprehensions: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Result<Lexeme, Problem> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn at(&self, mark: &str) -> bool {
        matches!(self.next.token, Token::Mark(it) if it == mark)
    }

    pub(super) fn take(&mut self, mark: &str) -> Result<bool, Problem> {
        let there = self.at(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    pub(super) fn expect(&mut self, mark: &str) -> Result<Lexeme, Problem> {
        if self.at(mark) { self.advance() } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn unexpected(&self, wanted: &str) -> Problem {
        let found = match &self.next.token {
            Token::End => "the end of the text".to_owned(),
            Token::Int(_) | Token::Double(_) => "a number".to_owned(),
            Token::Text(_) => "a string".to_owned(),
            Token::Name(name) => format!("`{name}`"),
            Token::Mark(mark) => format!("`{mark}`"),
        };
        let problem = Problem::new(self.next.start, format!("expected {wanted}, found {found}"));
        if self.at("=") { problem.hint("to compare, write `==`") } else { problem }
    }

    /// Builds a node and checks that the tree stays shallow enough to walk.
    pub(super) fn node(kind: Kind, start: usize, end: usize) -> Result<Node, Problem> {
        let below = kind.children().map(|child| child.depth).max().unwrap_or(0);
        if below >= DEPTH_MAX {
            return Err(Problem::new(
                start,
                format!("the expression is more than {DEPTH_MAX} operators deep"),
            ));
        }
        Ok(Node { kind, start, end, depth: below + 1 })
    }

    pub(super) fn expression(&mut self) -> Result<Node, Problem> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(Problem::new(self.next.start, format!("brackets nest deeper than {NESTING_MAX}")));
        }
        let condition = self.logic(true)?;
        let node = if self.take("?")? {
            let then = self.logic(true)?;
            self.expect(":")?;
            let otherwise = self.expression()?;
            let (start, end) = (condition.start, otherwise.end);
            Self::node(Kind::Choice(Box::new([condition, then, otherwise])), start, end)?
        } else {
            condition
        };
        self.nesting -= 1;
        Ok(node)
    }

    /// A chain of `||`, or of the `&&` inside it. Chains are kept flat, so that long ones are not deep.
    fn logic(&mut self, or: bool) -> Result<Node, Problem> {
        let mark = if or { "||" } else { "&&" };
        let operand = |parser: &mut Self| if or { parser.logic(false) } else { parser.relation() };
        let first = operand(self)?;
        if !self.at(mark) {
            return Ok(first);
        }
        let start = first.start;
        let mut operands = vec![first];
        while self.take(mark)? {
            operands.push(operand(self)?);
        }
        let end = operands.last().map_or(start, |last| last.end);
        Self::node(if or { Kind::Or(operands) } else { Kind::And(operands) }, start, end)
    }

    fn relation(&mut self) -> Result<Node, Problem> {
        let mut left = self.sum()?;
        loop {
            let operator = match &self.next.token {
                Token::Mark("==") => Operator::Equal,
                Token::Mark("!=") => Operator::Unequal,
                Token::Mark("<") => Operator::Less,
                Token::Mark("<=") => Operator::LessOrEqual,
                Token::Mark(">") => Operator::Greater,
                Token::Mark(">=") => Operator::GreaterOrEqual,
                Token::Name(name) if name == "in" => Operator::In,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::sum)?;
        }
    }

    fn sum(&mut self) -> Result<Node, Problem> {
        let mut left = self.product()?;
        loop {
            let operator = match &self.next.token {
                Token::Mark("+") => Operator::Add,
                Token::Mark("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Node, Problem> {
        let mut left = self.unary()?;
        loop {
            let operator = match &self.next.token {
                Token::Mark("*") => Operator::Multiply,
                Token::Mark("/") => Operator::Divide,
                Token::Mark("%") => Operator::Remainder,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::unary)?;
        }
    }

    fn binary(
        &mut self,
        operator: Operator,
        left: Node,
        operand: fn(&mut Self) -> Result<Node, Problem>,
    ) -> Result<Node, Problem> {
        self.advance()?;
        let right = operand(self)?;
        let (start, end) = (left.start, right.end);
        Self::node(Kind::Binary(operator, Box::new([left, right])), start, end)
    }

    /// `!` and `-`; a row of them cancels out in pairs, so that it is never deep.
    fn unary(&mut self) -> Result<Node, Problem> {
        let start = self.next.start;
        for mark in ["!", "-"] {
            let mut count = 0_usize;
            while self.take(mark)? {
                count += 1;
            }
            if count > 0 {
                let operand = self.member()?;
                let end = operand.end;
                let wrap = |node| if mark == "!" { Kind::Not(node) } else { Kind::Negate(node) };
                let once = Self::node(wrap(Box::new(operand)), start, end)?;
                return if count % 2 == 1 { Ok(once) } else { Self::node(wrap(Box::new(once)), start, end) };
            }
        }
        self.member()
    }

    /// A value with the fields, indexes and methods written behind it.
    fn member(&mut self) -> Result<Node, Problem> {
        let mut node = self.primary()?;
        loop {
            if self.take(".")? {
                let start = node.start;
                let (name, end) = self.name("a field or a method")?;
                node = if self.take("(")? {
                    self.method(node, &name, end)?
                } else {
                    names::check_field(&node, &name, end - name.len())?;
                    Self::node(Kind::Select(Box::new(node), name), start, end)?
                };
            } else if self.take("[")? {
                let index = self.expression()?;
                let end = self.expect("]")?.end;
                let start = node.start;
                node = Self::node(Kind::Index(Box::new([node, index])), start, end)?;
            } else {
                return Ok(node);
            }
        }
    }

    pub(super) fn name(&mut self, what: &str) -> Result<(String, usize), Problem> {
        if !matches!(self.next.token, Token::Name(_)) {
            return Err(self.unexpected(what));
        }
        let lexeme = self.advance()?;
        match lexeme.token {
            Token::Name(name) => Ok((name, lexeme.end)),
            Token::Int(_) | Token::Double(_) | Token::Text(_) | Token::Mark(_) | Token::End => {
                unreachable!("the token was seen to be a name")
            }
        }
    }

    fn primary(&mut self) -> Result<Node, Problem> {
        let start = self.next.start;
        match &self.next.token {
            Token::Mark("(") => {
                self.advance()?;
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Mark("[") => {
                self.advance()?;
                let (items, end) = self.sequence("]")?;
                Self::node(Kind::List(items), start, end)
            }
            Token::Mark("{") => self.map(start),
            Token::Name(_) => self.named(),
            Token::Int(_) | Token::Double(_) | Token::Text(_) => {
                let lexeme = self.advance()?;
                let kind = match lexeme.token {
                    Token::Int(int) => Kind::Int(int),
                    Token::Double(double) => Kind::Double(double),
                    Token::Text(text) => Kind::Text(text),
                    Token::Name(_) | Token::Mark(_) | Token::End => {
                        unreachable!("the token was seen to be a literal")
                    }
                };
                Self::node(kind, start, lexeme.end)
            }
            Token::Mark(_) | Token::End => Err(self.unexpected("a value")),
        }
    }

    /// Expressions with commas between them, up to and with a closing mark.
    pub(super) fn sequence(&mut self, close: &str) -> Result<(Vec<Node>, usize), Problem> {
        let mut items = Vec::new();
        while !self.at(close) {
            items.push(self.expression()?);
            if !self.take(",")? {
                break;
            }
        }
        let end = self.expect(close)?.end;
        Ok((items, end))
    }

    fn map(&mut self, start: usize) -> Result<Node, Problem> {
        self.advance()?;
        let mut entries = Vec::new();
        while !self.at("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.take(",")? {
                break;
            }
        }
        let end = self.expect("}")?.end;
        Self::node(Kind::Map(entries), start, end)
    }

    /// A keyword, a variable, a step or a function.
    fn named(&mut self) -> Result<Node, Problem> {
        let start = self.next.start;
        let (name, end) = self.name("a name")?;
        if name == "steps" && !self.locals.contains(&name) {
            return self.step(start);
        }
        if self.take("(")? {
            return self.global(&name, start, end);
        }
        if let Some(slot) = self.locals.iter().rposition(|local| *local == name) {
            return Self::node(Kind::Local(slot), start, end);
        }
        let kind = match name.as_str() {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ => match names::type_name(&name) {
                Some(type_name) => Kind::Text(type_name.to_owned()),
                None => {
                    let root = self.names.root(&name, &self.locals, start);
                    Kind::Root(self.root(root.map_err(|problem| self.hyphen(problem))?))
                }
            },
        };
        Self::node(kind, start, end)
    }

    /// What looks like a field with a hyphen was read as a subtraction.
    fn hyphen(&self, problem: Problem) -> Problem {
        let before = self.lexer.before(problem.at).as_bytes();
        match before {
            [.., letter, b'-'] if letter.is_ascii_alphanumeric() => {
                problem.hint("a field with a hyphen is written in brackets, as in input[\"my-field\"]")
            }
            _ => problem,
        }
    }

    fn root(&mut self, root: Root) -> Root {
        self.roots.insert(root);
        root
    }

    /// `steps.<id>.<field>` or `steps["id"].<field>`. Ids may hold hyphens or be positions, so the word
    /// behind the dot is read whole.
    fn step(&mut self, start: usize) -> Result<Node, Problem> {
        let step = if self.at(".") {
            let word = self.lexer.word();
            self.next = self.lexer.next()?;
            let Token::Name(id) = word.token else { unreachable!("a word is a name") };
            self.names.step(&id, word.start)?
        } else if self.take("[")? {
            let at = self.next.start;
            let step = match &self.next.token {
                Token::Text(id) => self.names.step(id, at)?,
                Token::Int(position) => self.names.step(&position.to_string(), at)?,
                Token::Double(_) | Token::Name(_) | Token::Mark(_) | Token::End => {
                    let problem = Problem::new(at, "a step is named by a literal, so that it can be checked");
                    return Err(problem.hint("write `steps.<id>.output` or `steps[\"id\"].output`"));
                }
            };
            self.advance()?;
            self.expect("]")?;
            step
        } else {
            return Err(self.unexpected("the id of a step, as in `steps.<id>.output`"));
        };
        if !self.take(".")? {
            return Err(self.unexpected("`.output`, `.status` or `.error` behind a step"));
        }
        let (field, end) = self.name("`output`, `status` or `error`")?;
        let root = names::step_field(step, &field, end - field.len())?;
        let kind = Kind::Root(self.root(root));
        Self::node(kind, start, end)
    }
}

impl Kind {
    fn children(&self) -> Box<dyn Iterator<Item = &Node> + '_> {
        match self {
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Root(_)
            | Self::HasRoot(_)
            | Self::Local(_) => Box::new(std::iter::empty()),
            Self::Select(of, _)
            | Self::Has(of, _)
            | Self::Not(of)
            | Self::Negate(of)
            | Self::Matches(of, _) => Box::new(std::iter::once(&**of)),
            Self::Index(pair) | Self::Binary(_, pair) => Box::new(pair.iter()),
            Self::Choice(three) => Box::new(three.iter()),
            Self::List(nodes) | Self::And(nodes) | Self::Or(nodes) | Self::Call(_, nodes) => {
                Box::new(nodes.iter())
            }
            Self::Map(entries) => Box::new(entries.iter().flat_map(|(key, value)| [key, value])),
            Self::Each(each) => Box::new([&each.range, &each.body].into_iter().chain(&each.filter)),
        }
    }
}
