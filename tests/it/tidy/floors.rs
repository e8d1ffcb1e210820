//! Who stands on whom.

use std::collections::BTreeMap;

use super::source::Source;

/// The floor of each top-level module, as the essay of `src/lib.rs` lists them.
pub(super) struct Floors(BTreeMap<String, u32>);

impl Floors {
    /// Reads lines such as ``//! 2. [`storage`]: bytes; [`world`]: the clock``.
    pub(super) fn parse(lib: &str) -> Self {
        let mut floors = BTreeMap::new();
        let mut floor = None;
        for line in lib.lines().map_while(|line| line.strip_prefix("//!")) {
            let line = line.trim_start();
            if let Some((number, _)) = line.split_once(". ") {
                floor = number.parse().ok().or(floor);
            }
            let Some(floor) = floor else { continue };
            for name in line.split("[`").skip(1).filter_map(|rest| rest.split("`]").next()) {
                floors.insert(name.to_owned(), floor);
            }
        }
        Self(floors)
    }

    pub(super) fn of(&self, module: &str) -> Option<u32> {
        self.0.get(module).copied()
    }

    /// Every use of a module that is not below the one the file belongs to.
    pub(super) fn check(&self, source: &Source) -> Vec<String> {
        let Some(inside) = source.path.strip_prefix("src/") else { return Vec::new() };
        let module = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let Some(floor) = self.of(module).filter(|_| module != "engine") else { return Vec::new() };
        let depth = inside.trim_end_matches("/mod.rs").split('/').count();
        let mut wrong = Vec::new();
        for (at, line) in source.code.lines().enumerate() {
            for used in roots(line, depth) {
                let below = self.of(used).is_none_or(|other| other < floor || used == module);
                if !below {
                    wrong.push(format!("{}:{}: `{module}` may not use `{used}`", source.path, at + 1));
                }
            }
        }
        wrong
    }
}

/// The top-level modules that a line names: behind `crate::`, or behind as many `super::` as lead there.
fn roots(line: &str, depth: usize) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in line.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(list) => found.extend(heads(list)),
            None => found.push(word(rest)),
        }
    }
    let mut rest = line;
    while let Some(at) = rest.find("super::") {
        let mut chain = 0;
        rest = &rest[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            chain += 1;
            rest = after;
        }
        if chain >= depth {
            found.push(word(rest));
        }
    }
    found
}

/// The first words of the entries of a `{…}` list.
fn heads(list: &str) -> Vec<&str> {
    let mut depth = 1;
    let mut heads = vec![word(list.trim_start())];
    for (at, char) in list.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(word(list[at + 1..].trim_start())),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

fn word(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len());
    &text[..end]
}

/// The model names nothing else of the engine.
pub(super) fn model_stands_alone(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/engine/model/") {
        return Vec::new();
    }
    let lines = source.code.lines().enumerate();
    lines
        .flat_map(|(at, line)| roots(line, 2).into_iter().map(move |used| (at, used)))
        .filter(|(_, used)| {
            ["decide", "definition", "evolve", "explain", "expression", "owed"].contains(used)
        })
        .map(|(at, used)| format!("{}:{}: the model may not use `{used}`", source.path, at + 1))
        .collect()
}

mod tests {
    use super::*;

    const LIB: &str = "//! Essay.\n//!\n//! 1. [`engine`]: x.\n//! 2. [`storage`]: y;\n//!    [`world`]: z.\n\
                       //! 3. [`api`]: see [`engine`]\npub mod engine;";

    fn wrong(path: &str, text: &str) -> usize {
        let lib = LIB.replace(": see [`engine`]", "");
        Floors::parse(&lib).check(&Source::new(path, text)).len()
    }

    #[test]
    fn the_table_is_read() {
        let floors = Floors::parse(LIB);
        assert_eq!((floors.of("storage"), floors.of("world"), floors.of("api")), (Some(2), Some(2), Some(3)));
        assert_eq!(floors.of("nothing"), None);
    }

    #[test]
    fn only_lower_floors_and_oneself() {
        assert_eq!(wrong("src/api/mod.rs", "use crate::storage::Log;\nuse crate::engine::x;"), 0);
        assert_eq!(wrong("src/api/http/get.rs", "use crate::api::x;"), 0);
        assert_eq!(wrong("src/storage/mod.rs", "use crate::api::Router;"), 1);
        assert_eq!(wrong("src/storage/a.rs", "fn f() { crate::api::start() }"), 1);
        assert_eq!(wrong("src/storage/a.rs", "use crate::{engine::x, api::{y, z}, storage};"), 1);
        assert_eq!(wrong("src/storage/a.rs", "use crate::world::Clock;"), 1, "siblings are apart");
        assert_eq!(wrong("src/world.rs", "use crate::storage::Log;"), 1);
        assert_eq!(wrong("src/storage/a.rs", "// use crate::api::Router;"), 0, "a comment uses nothing");
        assert_eq!(wrong("src/lib.rs", "pub use crate::api::x;"), 0, "the root is on no floor");
    }

    #[test]
    fn the_way_up_is_no_way_around() {
        assert_eq!(wrong("src/storage/mod.rs", "use super::api::x;"), 1);
        assert_eq!(wrong("src/storage/a/b.rs", "use super::super::super::api::x;"), 1);
        assert_eq!(wrong("src/storage/a/b.rs", "use super::api::x;"), 0, "a module of its own");
    }

    #[test]
    fn the_model_is_below_the_rest_of_the_engine() {
        let wrong = |text| model_stands_alone(&Source::new("src/engine/model/event.rs", text)).len();
        assert_eq!(wrong("use crate::model::Payload;\nuse super::Fault;"), 0);
        assert_eq!(wrong("use crate::definition::Spec;"), 1);
        assert_eq!(wrong("use super::super::expression::Template;"), 1);
    }
}
