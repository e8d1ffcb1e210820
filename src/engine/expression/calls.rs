//! Parsing calls: functions, methods, `has`, and the comprehensions.

use super::names;
use super::parse::Parser;
use super::tree::{Call, Each, EachKind, FUNCTIONS, Function, Kind, Node, Root};
use super::{COMPREHENSIONS_NESTED_MAX, Problem, pattern};

impl Parser<'_> {
    /// `f(…)`.
    pub(super) fn global(&mut self, name: &str, start: usize, name_end: usize) -> Result<Node, Problem> {
        let (mut arguments, end) = self.sequence(")")?;
        if name == "has" {
            let count = arguments.len();
            return match (arguments.pop().map(|it| it.kind), count) {
                (Some(Kind::Select(of, field)), 1) => Self::node(Kind::Has(of, field), start, end),
                (Some(Kind::Root(root @ (Root::StepOutput(_) | Root::StepError(_)))), 1) => {
                    Self::node(Kind::HasRoot(root), start, end)
                }
                _ => Err(Problem::new(start, "`has` asks for one field, as in `has(input.name)`")),
            };
        }
        self.call(name, arguments, Call::Global, (start, name_end, end))
    }

    /// `x.f(…)`; the opening bracket is behind.
    pub(super) fn method(&mut self, receiver: Node, name: &str, name_end: usize) -> Result<Node, Problem> {
        let kind = match name {
            "all" => EachKind::All,
            "exists" => EachKind::Exists,
            "exists_one" | "existsOne" => EachKind::ExistsOne,
            "map" => EachKind::Map,
            "filter" => EachKind::Filter,
            _ => {
                let start = receiver.start;
                let (arguments, end) = self.sequence(")")?;
                let all = std::iter::once(receiver).chain(arguments).collect();
                return self.call(name, all, Call::Method, (start, name_end, end));
            }
        };
        self.comprehension(kind, receiver, name_end)
    }

    fn comprehension(&mut self, kind: EachKind, range: Node, at: usize) -> Result<Node, Problem> {
        self.comprehensions += 1;
        if self.comprehensions > COMPREHENSIONS_NESTED_MAX {
            let message = format!("comprehensions nest deeper than {COMPREHENSIONS_NESTED_MAX}");
            return Err(Problem::new(at, message).hint("split the work over a `logic` step"));
        }
        let at = self.next.start;
        let (variable, _) = self.name("the name of a variable")?;
        if ["true", "false", "null", "in"].contains(&variable.as_str()) {
            return Err(Problem::new(at, format!("`{variable}` cannot be the name of a variable")));
        }
        self.locals.push(variable);
        self.expect(",")?;
        let mut body = self.expression()?;
        let mut filter = None;
        if kind == EachKind::Map && self.take(",")? {
            filter = Some(std::mem::replace(&mut body, self.expression()?));
        }
        let end = self.expect(")")?.end;
        self.locals.pop();
        self.comprehensions -= 1;
        let start = range.start;
        Self::node(Kind::Each(Box::new(Each { kind, range, filter, body })), start, end)
    }

    fn call(
        &mut self,
        name: &str,
        mut arguments: Vec<Node>,
        style: Call,
        (start, name_end, end): (usize, usize, usize),
    ) -> Result<Node, Problem> {
        let at = name_end - name.len();
        let Some((_, function, _, least, most)) =
            FUNCTIONS.iter().find(|it| it.0 == name && (it.2 == style || it.2 == Call::Both)).copied()
        else {
            return Err(names::unknown_function(name, style, at));
        };
        if arguments.len() < least || arguments.len() > most {
            let own = usize::from(style == Call::Method);
            let wanted = if least == most {
                (least - own).to_string()
            } else {
                format!("{} or {}", least - own, most - own)
            };
            let count = arguments.len() - own;
            return Err(Problem::new(at, format!("`{name}` takes {wanted} arguments, not {count}")));
        }
        if function == Function::Matches
            && let Some(Node { kind: Kind::Text(text), start: at, .. }) = arguments.get(1)
        {
            let regex = pattern::compile(text).map_err(|why| Problem::new(*at, why))?;
            let subject = Box::new(arguments.swap_remove(0));
            return Self::node(Kind::Matches(subject, Box::new(regex)), start, end);
        }
        Self::node(Kind::Call(function, arguments), start, end)
    }
}
