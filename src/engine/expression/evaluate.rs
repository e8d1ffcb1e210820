//! A tree and a scope to a value, within a budget.

use std::collections::BTreeMap;
use std::rc::Rc;

use regex::Regex;

use super::loaded::Loaded;
use super::text::Text;
use super::tree::{Each, EachKind, Function, Kind, Node, Operator};
use super::value::{List, Map, Val, compare, equal};
use super::{LIST_ITEMS_MAX, Stop, arithmetic, functions, pattern};
use crate::model::limits::PAYLOAD_BYTES_MAX;

/// One evaluation.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    /// The text the tree was read from, for messages.
    source: &'a str,
    loaded: &'a Loaded<'a>,
    locals: Vec<Val<'a>>,
    /// The last pattern that only became known here, compiled.
    pattern: Option<(String, Regex)>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(source: &'a str, loaded: &'a Loaded<'a>) -> Self {
        Self { source, loaded, locals: Vec::new(), pattern: None }
    }

    /// Evaluates a node. Errors: what is absent or does not fit together, and an empty budget.
    pub(super) fn run(&mut self, node: &'a Node) -> Result<Val<'a>, Stop<'a>> {
        self.spend(1)?;
        match &node.kind {
            Kind::Null => Ok(Val::Null),
            Kind::Bool(bool) => Ok(Val::Bool(*bool)),
            Kind::Int(int) => Ok(Val::Int(*int)),
            Kind::Double(double) => Ok(Val::Double(*double)),
            Kind::Text(text) => Ok(Val::text(text)),
            Kind::Root(root) => self.loaded.root(*root),
            Kind::HasRoot(root) => Ok(Val::Bool(self.loaded.has(*root))),
            Kind::Local(slot) => {
                Ok(self.locals.get(*slot).cloned().expect("the parser numbers variables that are in sight"))
            }
            Kind::Select(of, field) => self.select(of, field),
            Kind::Has(of, field) => match self.run(of)? {
                Val::Map(map) => Ok(Val::Bool(map.get(field).is_some())),
                // What is absent reads as null, so that nothing can be found in it.
                Val::Null => Ok(Val::Bool(false)),
                other => Err(self.stop(of, format!("has no fields: it is {}", other.what()))),
            },
            Kind::Index(pair) => self.index(&pair[0], &pair[1]),
            Kind::List(nodes) => {
                let items = nodes.iter().map(|node| self.run(node)).collect::<Result<_, _>>()?;
                Ok(Val::list(items))
            }
            Kind::Map(entries) => self.map(entries),
            Kind::Not(of) => match self.run(of)? {
                Val::Bool(bool) => Ok(Val::Bool(!bool)),
                other => Err(self.stop(of, format!("is {}, and `!` takes a bool", other.what()))),
            },
            Kind::Negate(of) => {
                let value = self.run(of)?;
                let blamed = if matches!(value, Val::Int(_) | Val::Span(_)) { node } else { of };
                arithmetic::negate(&value).map_err(|why| self.stop(blamed, why))
            }
            Kind::And(nodes) => self.logic(nodes, false),
            Kind::Or(nodes) => self.logic(nodes, true),
            Kind::Binary(operator, pair) => self.binary(*operator, node, &pair[0], &pair[1]),
            Kind::Choice(three) => match self.run(&three[0])? {
                Val::Bool(true) => self.run(&three[1]),
                Val::Bool(false) => self.run(&three[2]),
                other => Err(self.stop(&three[0], format!("is {}, and `? :` takes a bool", other.what()))),
            },
            Kind::Call(function, nodes) => {
                let arguments = nodes.iter().map(|node| self.run(node)).collect::<Result<Vec<_>, _>>()?;
                self.spend(arguments.iter().map(Val::weight).fold(0, u64::saturating_add))?;
                if let (Function::Matches, [Val::Text(text), Val::Text(pattern)]) = (*function, &*arguments) {
                    return self.matches(node, text, pattern).map(Val::Bool);
                }
                let value = functions::call(*function, arguments).map_err(|why| self.stop(node, why))?;
                self.checked(node, value)
            }
            Kind::Matches(of, regex) => match self.run(of)? {
                Val::Text(text) => {
                    self.spend(Val::text(&text).weight().saturating_mul(8))?;
                    Ok(Val::Bool(regex.is_match(&text)))
                }
                other => Err(self.stop(of, format!("is {}, and `matches` takes a string", other.what()))),
            },
            Kind::Each(each) => self.each(each),
        }
    }

    /// A condition. Errors: a value that is no bool, too.
    pub(super) fn truth(&mut self, node: &'a Node) -> Result<bool, Stop<'a>> {
        match self.run(node)? {
            Val::Bool(bool) => Ok(bool),
            other => Err(self.stop(node, format!("is {}, and a condition is a bool", other.what()))),
        }
    }

    fn spend(&self, units: u64) -> Result<(), Stop<'a>> {
        self.loaded.spend(units)
    }

    /// Whether two values are equal, at the cost of looking at them.
    fn equal(&self, left: &Val<'_>, right: &Val<'_>) -> Result<bool, Stop<'a>> {
        let mut work = 0;
        let equal = equal(left, right, &mut work);
        self.spend(work)?;
        Ok(equal)
    }

    /// A message that begins with the text of a node.
    fn stop(&self, node: &Node, why: impl AsRef<str>) -> Stop<'a> {
        Stop::wrong(format!(
            "`{}` {}",
            self.source.get(node.start..node.end).unwrap_or_default(),
            why.as_ref()
        ))
    }

    /// `matches` with a pattern that is only known now. Compiling one costs as much as much else.
    fn matches(&mut self, node: &Node, text: &str, pattern: &str) -> Result<bool, Stop<'a>> {
        const PATTERN_WORK: u64 = 20_000;
        if self.pattern.as_ref().is_none_or(|(known, _)| known != pattern) {
            self.spend(PATTERN_WORK)?;
            let regex = pattern::compile(pattern).map_err(|why| self.stop(node, format!("fails: {why}")))?;
            self.pattern = Some((pattern.to_owned(), regex));
        }
        self.spend(Val::text(text).weight().saturating_mul(8))?;
        Ok(self.pattern.as_ref().is_some_and(|(_, regex)| regex.is_match(text)))
    }

    /// Refuses strings and lists that grew too large.
    fn checked(&mut self, node: &Node, value: Val<'a>) -> Result<Val<'a>, Stop<'a>> {
        self.spend(value.weight())?;
        let large = match &value {
            Val::Text(text) => text.len() > PAYLOAD_BYTES_MAX,
            Val::List(list) => list.len() > LIST_ITEMS_MAX,
            Val::Null
            | Val::Bool(_)
            | Val::Int(_)
            | Val::Double(_)
            | Val::Time(_)
            | Val::Span(_)
            | Val::Map(_) => false,
        };
        if large {
            let text = self.source.get(node.start..node.end).unwrap_or_default();
            return Err(Stop::limit(format!("`{text}` grows beyond what an expression may build")));
        }
        Ok(value)
    }

    fn select(&mut self, of: &'a Node, field: &'a str) -> Result<Val<'a>, Stop<'a>> {
        let value = self.run(of)?;
        match &value {
            Val::Map(map) => map.get(field).ok_or_else(|| self.absent(of, Text::Borrowed(field), map)),
            other => {
                let text = self.source.get(of.start..of.end).unwrap_or_default();
                Err(Stop::wrong(format!("`{text}.{field}` is absent: `{text}` is {}", other.what())))
            }
        }
    }

    fn absent(&self, of: &Node, key: Text<'a>, map: &Map<'a>) -> Stop<'a> {
        let of = self.source.get(of.start..of.end).unwrap_or_default();
        Stop::Absent { of, key, map: map.clone() }
    }

    fn index(&mut self, of: &'a Node, index: &'a Node) -> Result<Val<'a>, Stop<'a>> {
        let value = self.run(of)?;
        let key = self.run(index)?;
        let key = arithmetic::whole(&key).map_or(key, Val::Int);
        match (&value, &key) {
            (Val::Map(map), Val::Text(key)) => map.get(key).ok_or_else(|| self.absent(of, key.clone(), map)),
            (Val::List(list), Val::Int(int)) => {
                let item = usize::try_from(*int).ok().and_then(|position| list.get(position));
                item.ok_or_else(|| self.stop(of, format!("has {} items, and none at {int}", list.len())))
            }
            (value, key) => {
                Err(self.stop(of, format!("is {} and cannot be indexed by {}", value.what(), key.what())))
            }
        }
    }

    fn map(&mut self, nodes: &'a [(Node, Node)]) -> Result<Val<'a>, Stop<'a>> {
        let mut entries = BTreeMap::new();
        for (key, value) in nodes {
            let name: Text<'a> = match self.run(key)? {
                Val::Text(name) => name,
                other => return Err(self.stop(key, format!("is {}, and a key is a string", other.what()))),
            };
            let value = self.run(value)?;
            if entries.insert(name, value).is_some() {
                return Err(self.stop(key, "is a key twice"));
            }
        }
        Ok(Val::map(entries))
    }

    /// `&&` and `||`. As CEL has it, a side that decides wins over a side that fails.
    fn logic(&mut self, nodes: &'a [Node], decisive: bool) -> Result<Val<'a>, Stop<'a>> {
        let mut first_stop = None;
        for node in nodes {
            match self.truth(node) {
                Ok(bool) if bool == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(stop) if stop.is_limit() => return Err(stop),
                Err(stop) => first_stop = first_stop.or(Some(stop)),
            }
        }
        first_stop.map_or(Ok(Val::Bool(!decisive)), Err)
    }

    fn binary(
        &mut self,
        operator: Operator,
        node: &Node,
        left: &'a Node,
        right: &'a Node,
    ) -> Result<Val<'a>, Stop<'a>> {
        let (left, right) = (self.run(left)?, self.run(right)?);
        let mismatch = || {
            let (operator, hint) = (operator.as_str(), conversion(&left, &right));
            format!("fails: `{operator}` does not take {} and {}{hint}", left.what(), right.what())
        };
        let order = || compare(&left, &right).ok_or_else(mismatch);
        let value = match operator {
            Operator::Equal => Ok(Val::Bool(self.equal(&left, &right)?)),
            Operator::Unequal => Ok(Val::Bool(!self.equal(&left, &right)?)),
            Operator::Less => order().map(|it| Val::Bool(it.is_lt())),
            Operator::LessOrEqual => order().map(|it| Val::Bool(it.is_le())),
            Operator::Greater => order().map(|it| Val::Bool(it.is_gt())),
            Operator::GreaterOrEqual => order().map(|it| Val::Bool(it.is_ge())),
            Operator::In => match (&left, &right) {
                (item, Val::List(list)) => {
                    let mut found = false;
                    for other in list.iter() {
                        found = found || self.equal(item, &other)?;
                    }
                    Ok(Val::Bool(found))
                }
                (Val::Text(key), Val::Map(map)) => Ok(Val::Bool(map.get(key).is_some())),
                // Keys are strings, so another scalar is just not among them.
                (Val::Bool(_) | Val::Int(_) | Val::Double(_), Val::Map(_)) => Ok(Val::Bool(false)),
                _ => Err(mismatch()),
            },
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => {
                self.spend(left.weight().saturating_add(right.weight()))?;
                arithmetic::compute(operator, &left, &right).unwrap_or_else(|| Err(mismatch()))
            }
        };
        let value = value.map_err(|why| self.stop(node, why))?;
        self.checked(node, value)
    }

    fn each(&mut self, each: &'a Each) -> Result<Val<'a>, Stop<'a>> {
        let items = match self.run(&each.range)? {
            Val::List(list) => list,
            Val::Map(map) => List::Built(Rc::new(map.keys().into_iter().map(Val::Text).collect())),
            other => {
                let why = format!("is {}, and only a list or a map can be gone through", other.what());
                return Err(self.stop(&each.range, why));
            }
        };
        if items.len() > LIST_ITEMS_MAX {
            let text = self.source.get(each.range.start..each.range.end).unwrap_or_default();
            let message = format!("`{text}` has {} items, more than {LIST_ITEMS_MAX}", items.len());
            return Err(Stop::limit(message));
        }
        match each.kind {
            EachKind::All => self.quantify(each, &items, false),
            EachKind::Exists => self.quantify(each, &items, true),
            EachKind::ExistsOne => {
                let mut count = 0;
                for item in items.iter() {
                    count += usize::from(self.holds(&each.body, item)?);
                }
                Ok(Val::Bool(count == 1))
            }
            EachKind::Filter => {
                let mut kept = Vec::new();
                for item in items.iter() {
                    if self.holds(&each.body, item.clone())? {
                        kept.push(item);
                    }
                }
                Ok(Val::list(kept))
            }
            EachKind::Map => {
                let mut made = Vec::new();
                for item in items.iter() {
                    let wanted = match &each.filter {
                        Some(filter) => self.holds(filter, item.clone())?,
                        None => true,
                    };
                    if wanted {
                        made.push(self.with(item, |machine| machine.run(&each.body))?);
                    }
                }
                Ok(Val::list(made))
            }
        }
    }

    /// `all` and `exists`: an item that decides wins over an item that fails.
    fn quantify(&mut self, each: &'a Each, items: &List<'a>, decisive: bool) -> Result<Val<'a>, Stop<'a>> {
        let mut first_stop = None;
        for item in items.iter() {
            match self.holds(&each.body, item) {
                Ok(bool) if bool == decisive => return Ok(Val::Bool(decisive)),
                Ok(_) => {}
                Err(stop) if stop.is_limit() => return Err(stop),
                Err(stop) => first_stop = first_stop.or(Some(stop)),
            }
        }
        first_stop.map_or(Ok(Val::Bool(!decisive)), Err)
    }

    fn holds(&mut self, body: &'a Node, item: Val<'a>) -> Result<bool, Stop<'a>> {
        self.with(item, |machine| machine.truth(body))
    }

    fn with<T>(
        &mut self,
        item: Val<'a>,
        run: impl FnOnce(&mut Self) -> Result<T, Stop<'a>>,
    ) -> Result<T, Stop<'a>> {
        self.spend(item.weight() / 8)?;
        let outside = self.locals.len();
        self.locals.push(item);
        let outcome = run(self);
        self.locals.pop();
        assert_eq!(self.locals.len(), outside, "a comprehension leaves no variable behind");
        outcome
    }
}

/// What to write when a string meets a value it is not compared with.
fn conversion(left: &Val<'_>, right: &Val<'_>) -> &'static str {
    match (left, right) {
        (Val::Time(_), Val::Text(_)) | (Val::Text(_), Val::Time(_)) => "; write `timestamp(…)`",
        (Val::Span(_), Val::Text(_)) | (Val::Text(_), Val::Span(_)) => "; write `duration(…)`",
        (Val::Text(_), Val::Int(_) | Val::Double(_)) | (Val::Int(_) | Val::Double(_), Val::Text(_)) => {
            "; write `int(…)` or `string(…)`"
        }
        _ => "",
    }
}
