//! Parameters as a definition writes them: what is wrong with them before anything has run.
//!
//! A string with `${` in it may become anything, so it passes; what it becomes is looked at when the
//! step runs. Everything else would be refused at every attempt, so it is refused when it is saved.

use serde_json::Value;

use super::params;
use crate::engine::definition::Misfit;
use crate::engine::model::Fault;

/// The parameters of a step, and what is wrong with them so far.
pub(super) struct Written<'p> {
    params: &'p Value,
    misfits: Vec<Misfit>,
}

impl<'p> Written<'p> {
    pub(super) const fn new(params: &'p Value) -> Self {
        Self { params, misfits: Vec::new() }
    }

    /// Everything that is wrong.
    pub(super) fn misfits(self) -> Vec<Misfit> {
        self.misfits
    }

    /// Adds what is wrong with a place below the parameters.
    pub(super) fn wrong(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.misfits.push(Misfit { pointer: pointer.into(), message: message.into() });
    }

    /// Adds the fault that running would end with.
    pub(super) fn judge<T>(&mut self, pointer: impl Into<String>, judged: Result<T, Fault>) {
        if let Err(fault) = judged {
            self.wrong(pointer, fault.message);
        }
    }

    /// Whether a parameter is given. Null counts as left out.
    pub(super) fn has(&self, name: &str) -> bool {
        self.params.get(name).is_some_and(|value| !value.is_null())
    }

    /// Which of some parameters are given.
    pub(super) fn given(&self, names: &[&'static str]) -> Vec<&'static str> {
        names.iter().copied().filter(|name| self.has(name)).collect()
    }

    /// The value of a parameter, if it is given and no expression decides it.
    pub(super) fn known(&self, name: &str) -> Option<&'p Value> {
        self.params.get(name).filter(|value| !value.is_null() && !is_open(value))
    }

    /// The text of a parameter, if it is known. Reports what is no text.
    pub(super) fn text(&mut self, name: &str) -> Option<&'p str> {
        let value = self.known(name)?;
        let text = value.as_str();
        if text.is_none() {
            self.wrong(format!("/{name}"), format!("`{name}` has to be a string"));
        }
        text
    }

    /// The entries of a map whose values are known and can be written as text. Reports other values, and
    /// what is no map.
    pub(super) fn scalars(&mut self, name: &str) -> Vec<(&'p str, String)> {
        let mut entries = Vec::new();
        for (key, value) in self.entries(name) {
            if is_open(value) {
                continue;
            }
            match params::text(&format!("{name}.{key}"), value) {
                Ok(text) => entries.push((key, text)),
                Err(fault) => self.wrong(below(name, key), fault.message),
            }
        }
        entries
    }

    /// The keys of a map, if it is one and known. What is no map is reported where its values are read.
    pub(super) fn keys(&self, name: &str) -> Vec<&'p str> {
        let map = self.known(name).and_then(Value::as_object);
        map.into_iter().flatten().map(|(key, _)| key.as_str()).collect()
    }

    /// The entries of a map, if it is known. Reports what is no map.
    pub(super) fn entries(&mut self, name: &str) -> Vec<(&'p str, &'p Value)> {
        let Some(value) = self.known(name) else { return Vec::new() };
        let Some(map) = value.as_object() else {
            self.wrong(format!("/{name}"), format!("`{name}` has to be an object"));
            return Vec::new();
        };
        map.iter().map(|(key, value)| (key.as_str(), value)).collect()
    }
}

/// Whether an expression decides what a value will be.
pub(super) fn is_open(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("${"))
}

/// The pointer to an entry of a map.
pub(super) fn below(name: &str, key: &str) -> String {
    format!("/{name}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Settings;
    use super::super::testing::registry;
    use crate::engine::definition::Spec;

    /// Where the check finds something, in order.
    fn found(runner: &str, params: &Value) -> Vec<String> {
        let definition = json!({"name": "n", "steps": [{"type": runner, "params": params}]});
        match Spec::parse(&definition.to_string(), &registry(Settings::default()).catalogue()) {
            Ok(_) => Vec::new(),
            Err(findings) => findings
                .into_iter()
                .inspect(|it| assert_eq!(it.code, "bad_param", "{params}: {}", it.message))
                .map(|it| it.pointer.trim_start_matches("/steps/0/params").to_owned())
                .collect(),
        }
    }

    #[test]
    fn what_would_fail_at_every_attempt_is_found_when_it_is_saved() {
        let url = "https://a.example/x";
        let cases = [
            ("shell", json!({}), &[""][..]),
            ("shell", json!({"command": null, "argv": null}), &[""]),
            ("shell", json!({"command": "ls", "argv": ["ls"]}), &["/argv"]),
            ("shell", json!({"command": 7}), &["/command"]),
            ("shell", json!({"argv": []}), &["/argv"]),
            ("shell", json!({"argv": "ls"}), &["/argv"]),
            ("shell", json!({"argv": ["ls", 1, null, {}]}), &["/argv/2", "/argv/3"]),
            ("shell", json!({"command": "ls", "env": {"A": [], "B=C": "x"}}), &["/env/A", "/env/B=C"]),
            ("shell", json!({"command": "ls", "env": [], "cwd": 1}), &["/env", "/cwd"]),
            ("http", json!({"url": "not a url"}), &["/url"]),
            ("http", json!({"url": 7}), &["/url"]),
            ("http", json!({"url": "ftp://a.example/x"}), &["/url"]),
            ("http", json!({"url": url, "method": "GE T"}), &["/method"]),
            ("http", json!({"url": url, "headers": {"host": "b"}}), &["/headers/host"]),
            ("http", json!({"url": url, "headers": {"a b": 1, "c": "d\n"}}), &["/headers/a b", "/headers/c"]),
            ("http", json!({"url": url, "query": {"q": {}}}), &["/query/q"]),
            ("http", json!({"url": url, "json": 1, "form": {"a": []}}), &["/form", "/form/a"]),
            ("http", json!({"url": url, "expect": "ok"}), &["/expect"]),
            ("http", json!({"url": url, "expect": [200, 999]}), &["/expect"]),
            ("webhook", json!({"url": "/x", "secret": ""}), &["/url", "/secret"]),
            ("webhook", json!({"url": url, "secret": "s", "headers": 1}), &["/headers"]),
        ];
        for (runner, params, mut expected) in cases.map(|(a, b, c)| (a, b, c.to_vec())) {
            let mut found = found(runner, &params);
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{runner} {params}");
        }
    }

    #[test]
    fn what_an_expression_decides_passes() {
        let open = "${ input.x }";
        let passing = [
            (
                "shell",
                json!({"command": "echo ${ input.x }", "env": {"A": open, "B": 1, "C": true}, "stdin": []}),
            ),
            ("shell", json!({"argv": open, "env": open, "cwd": open, "timeout": 5})),
            ("shell", json!({"argv": ["ls", open, 1]})),
            ("http", json!({"url": open, "method": open, "headers": open, "query": open, "form": open})),
            (
                "http",
                json!({"url": "https://${ input.host }/x", "headers": {"a": open}, "expect": [open, 200]}),
            ),
            (
                "http",
                json!({"url": "http://a.example", "query": {"a": null, "b": [1, "x"]}, "expect": "2xx"}),
            ),
            ("http", json!({"url": "http://a.example", "method": "purge", "json": null, "body": open})),
            ("webhook", json!({"url": open, "secret": open, "payload": open})),
            ("noop", json!({"value": {"any": [1]}})),
        ];
        for (runner, params) in passing {
            assert_eq!(found(runner, &params), [""; 0], "{runner} {params}");
        }
    }
}
