//! What an expression is once it is understood.

use regex::Regex;

use crate::model::StepIndex;

/// One node, and the bytes of the text it was read from.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The longest way down to a leaf. Bounded, because evaluation recurses.
    pub(super) depth: usize,
}

impl Node {
    /// What its value is, with its article, if that is known without running it and is no boolean.
    pub(super) fn never_a_bool(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Null => Some("null"),
            Kind::Int(_) | Kind::Double(_) | Kind::Negate(_) => Some("a number"),
            Kind::Text(_) | Kind::Root(Root::StepStatus(_)) => Some("a string"),
            Kind::Root(Root::Now) => Some("a timestamp"),
            Kind::List(_) => Some("a list"),
            Kind::Map(_) | Kind::Root(Root::Execution | Root::Workflow) => Some("a map"),
            Kind::Binary(operator, _) => operator.is_arithmetic().then_some("the result of arithmetic"),
            Kind::Choice(three) => three[1].never_a_bool().and(three[2].never_a_bool()),
            Kind::Each(each) => match each.kind {
                EachKind::Map | EachKind::Filter => Some("a list"),
                EachKind::All | EachKind::Exists | EachKind::ExistsOne => None,
            },
            Kind::Call(function, _) => function.never_a_bool(),
            Kind::Bool(_)
            | Kind::Root(Root::Input | Root::Result | Root::StepOutput(_) | Root::StepError(_))
            | Kind::Local(_)
            | Kind::Select(..)
            | Kind::Has(..)
            | Kind::HasRoot(_)
            | Kind::Index(_)
            | Kind::Not(_)
            | Kind::And(_)
            | Kind::Or(_)
            | Kind::Matches(..) => None,
        }
    }
}

/// What a node does.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Int(i128),
    Double(f64),
    Text(String),
    Root(Root),
    /// The variable of a comprehension, counted from the outermost.
    Local(usize),
    Select(Box<Node>, String),
    /// `has(a.b)`.
    Has(Box<Node>, String),
    /// `has(steps.a.output)`.
    HasRoot(Root),
    Index(Box<[Node; 2]>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Binary(Operator, Box<[Node; 2]>),
    /// `condition ? then : otherwise`.
    Choice(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
    /// `matches` with a literal pattern, compiled once.
    Matches(Box<Node>, Box<Regex>),
    Each(Box<Each>),
}

/// A name an expression may begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    Input,
    Execution,
    Workflow,
    Now,
    /// In a step's `output`: what its runner answered.
    Result,
    StepOutput(StepIndex),
    StepStatus(StepIndex),
    StepError(StepIndex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    const fn is_arithmetic(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder)
    }

    /// As it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

/// A comprehension: a macro of CEL that visits a list, or the keys of a map.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Node,
    /// Only `map` with three arguments has one.
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// A function; the receiver of a method is its first argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    Double,
    Text,
    Bool,
    Type,
    Dyn,
    Timestamp,
    Duration,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Replace,
    Substring,
    IndexOf,
    FullYear,
    Month,
    DayOfMonth,
    Date,
    DayOfWeek,
    DayOfYear,
    Hours,
    Minutes,
    Seconds,
    Milliseconds,
}

/// Whether a function is called as `f(x)`, as `x.f()`, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Global,
    Method,
    Both,
}

/// Name, function, how it is called, and how many arguments it takes, the receiver included.
pub(super) const FUNCTIONS: [(&str, Function, Call, usize, usize); 32] = [
    ("size", Function::Size, Call::Both, 1, 1),
    ("contains", Function::Contains, Call::Method, 2, 2),
    ("startsWith", Function::StartsWith, Call::Method, 2, 2),
    ("endsWith", Function::EndsWith, Call::Method, 2, 2),
    ("matches", Function::Matches, Call::Both, 2, 2),
    ("int", Function::Int, Call::Global, 1, 1),
    ("uint", Function::Int, Call::Global, 1, 1),
    ("double", Function::Double, Call::Global, 1, 1),
    ("string", Function::Text, Call::Global, 1, 1),
    ("bool", Function::Bool, Call::Global, 1, 1),
    ("type", Function::Type, Call::Global, 1, 1),
    ("dyn", Function::Dyn, Call::Global, 1, 1),
    ("timestamp", Function::Timestamp, Call::Global, 1, 1),
    ("duration", Function::Duration, Call::Global, 1, 1),
    ("lowerAscii", Function::LowerAscii, Call::Method, 1, 1),
    ("upperAscii", Function::UpperAscii, Call::Method, 1, 1),
    ("trim", Function::Trim, Call::Method, 1, 1),
    ("split", Function::Split, Call::Method, 2, 2),
    ("join", Function::Join, Call::Method, 1, 2),
    ("replace", Function::Replace, Call::Method, 3, 3),
    ("substring", Function::Substring, Call::Method, 2, 3),
    ("indexOf", Function::IndexOf, Call::Method, 2, 2),
    ("getFullYear", Function::FullYear, Call::Method, 1, 1),
    ("getMonth", Function::Month, Call::Method, 1, 1),
    ("getDayOfMonth", Function::DayOfMonth, Call::Method, 1, 1),
    ("getDate", Function::Date, Call::Method, 1, 1),
    ("getDayOfWeek", Function::DayOfWeek, Call::Method, 1, 1),
    ("getDayOfYear", Function::DayOfYear, Call::Method, 1, 1),
    ("getHours", Function::Hours, Call::Method, 1, 1),
    ("getMinutes", Function::Minutes, Call::Method, 1, 1),
    ("getSeconds", Function::Seconds, Call::Method, 1, 1),
    ("getMilliseconds", Function::Milliseconds, Call::Method, 1, 1),
];

impl Function {
    /// What it gives, if that is never a boolean.
    const fn never_a_bool(self) -> Option<&'static str> {
        match self {
            Self::Contains | Self::StartsWith | Self::EndsWith | Self::Matches | Self::Bool | Self::Dyn => {
                None
            }
            Self::Split => Some("a list"),
            Self::Timestamp => Some("a timestamp"),
            Self::Duration => Some("a duration"),
            Self::Text
            | Self::Type
            | Self::LowerAscii
            | Self::UpperAscii
            | Self::Trim
            | Self::Join
            | Self::Replace
            | Self::Substring => Some("a string"),
            Self::Size
            | Self::Int
            | Self::Double
            | Self::IndexOf
            | Self::FullYear
            | Self::Month
            | Self::DayOfMonth
            | Self::Date
            | Self::DayOfWeek
            | Self::DayOfYear
            | Self::Hours
            | Self::Minutes
            | Self::Seconds
            | Self::Milliseconds => Some("a number"),
        }
    }

    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        FUNCTIONS.iter().find(|it| it.1 == self).map_or("getMilliseconds", |it| it.0)
    }
}
