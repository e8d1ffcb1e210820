//! How much work a JSON Schema can make, found before it is used.
//!
//! A schema may refer to parts of itself, and a part that is named twice is checked twice. Twenty-five
//! parts that each name the next one twice are a few lines and check a single value 33 million times.
//! So references are followed here, counting, and what would multiply is refused. So is a part that
//! comes back to itself without going deeper into the document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Parts of a schema, each as often as it is reached.
const PARTS_MAX: u64 = 10_000;
/// References inside references.
const REFERENCES_DEEP_MAX: usize = 64;

/// Checks a schema. Errors: a JSON pointer to the reference that multiplies, and why it is refused.
pub(super) fn check(schema: &Value) -> Result<(), (String, String)> {
    let mut walk = Walk { root: schema, known: BTreeMap::new(), open: Vec::new(), descents: 0 };
    let size = walk.part(schema, &mut String::new())?;
    if size.parts > PARTS_MAX {
        let message = format!("its references expand it to more than {PARTS_MAX} parts");
        return Err((String::new(), message));
    }
    Ok(())
}

/// What one part stands for.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Itself and all it refers to.
    parts: u64,
    /// How many ways lead back to a part that is being checked, for one place of a document.
    returns: u64,
}

impl Size {
    /// Both are checked, at the same place or at places that may overlap.
    fn and(self, other: Self) -> Self {
        Self {
            parts: self.parts.saturating_add(other.parts),
            returns: self.returns.saturating_add(other.returns),
        }
    }

    /// Both are checked, at places that never overlap.
    fn beside(self, other: Self) -> Self {
        Self { returns: self.returns.max(other.returns), ..self.and(other) }
    }
}

struct Walk<'s> {
    root: &'s Value,
    known: BTreeMap<&'s str, Size>,
    /// References being followed, each with how deep in the document it began.
    open: Vec<(&'s str, usize)>,
    descents: usize,
}

impl<'s> Walk<'s> {
    fn part(&mut self, part: &'s Value, pointer: &mut String) -> Result<Size, (String, String)> {
        let mut size = Size { parts: 1, returns: 0 };
        match part {
            Value::Object(fields) => {
                for (keyword, value) in fields {
                    size = size.and(
                        self.at(keyword, pointer, |walk, pointer| walk.keyword(keyword, value, pointer))?,
                    );
                }
            }
            Value::Array(items) => {
                for (position, item) in items.iter().enumerate() {
                    let item = |walk: &mut Self, pointer: &mut String| walk.part(item, pointer);
                    size = size.and(self.at(&position.to_string(), pointer, item)?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(size)
    }

    fn at(
        &mut self,
        key: &str,
        pointer: &mut String,
        look: impl FnOnce(&mut Self, &mut String) -> Result<Size, (String, String)>,
    ) -> Result<Size, (String, String)> {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let size = look(self, pointer)?;
        pointer.truncate(length);
        Ok(size)
    }

    fn keyword(
        &mut self,
        keyword: &str,
        value: &'s Value,
        pointer: &mut String,
    ) -> Result<Size, (String, String)> {
        match (keyword, value) {
            ("$defs" | "definitions" | "enum" | "const" | "default" | "examples", _) => Ok(Size::default()),
            ("$ref", Value::String(target)) => self.reference(target, pointer),
            ("$dynamicRef" | "$recursiveRef", _) => refuse(pointer, "dynamic references are not supported"),
            ("$id" | "id", Value::String(_)) if pointer.matches('/').count() > 1 => {
                refuse(pointer, "only the whole schema has an `$id`")
            }
            ("properties", Value::Object(fields)) => self.deeper(|walk| walk.properties(fields, pointer)),
            ("patternProperties" | "dependentSchemas", Value::Object(fields)) => {
                let moved = usize::from(keyword == "patternProperties");
                self.descents += moved;
                let size = self.overlapping(fields, pointer);
                self.descents -= moved;
                size
            }
            (
                "additionalProperties"
                | "unevaluatedProperties"
                | "propertyNames"
                | "items"
                | "prefixItems"
                | "additionalItems"
                | "unevaluatedItems"
                | "contains",
                value,
            ) => self.deeper(|walk| walk.part(value, pointer)),
            (_, value) => self.part(value, pointer),
        }
    }

    fn deeper<T>(&mut self, look: impl FnOnce(&mut Self) -> T) -> T {
        self.descents += 1;
        let size = look(self);
        self.descents -= 1;
        size
    }

    /// Each at its own place.
    fn properties(
        &mut self,
        fields: &'s Map<String, Value>,
        pointer: &mut String,
    ) -> Result<Size, (String, String)> {
        let mut size = Size::default();
        for (name, part) in fields {
            size = size.beside(self.at(name, pointer, |walk, pointer| walk.part(part, pointer))?);
        }
        Ok(size)
    }

    /// Keys are no keywords, and several may be about one place.
    fn overlapping(
        &mut self,
        fields: &'s Map<String, Value>,
        pointer: &mut String,
    ) -> Result<Size, (String, String)> {
        let mut size = Size::default();
        for (name, part) in fields {
            size = size.and(self.at(name, pointer, |walk, pointer| walk.part(part, pointer))?);
        }
        Ok(size)
    }

    fn reference(&mut self, target: &'s str, pointer: &str) -> Result<Size, (String, String)> {
        if let Some((_, began)) = self.open.iter().find(|(open, _)| *open == target) {
            if *began == self.descents {
                return refuse(pointer, "this reference leads back to itself");
            }
            return Ok(Size { parts: 0, returns: 1 });
        }
        if let Some(size) = self.known.get(target) {
            return Ok(*size);
        }
        let inside = target.strip_prefix('#').filter(|inside| inside.is_empty() || inside.starts_with('/'));
        let Some(part) = inside.and_then(|inside| self.root.pointer(inside)) else {
            return refuse(pointer, "a schema refers only to places inside itself, as in `#/$defs/name`");
        };
        if self.open.len() >= REFERENCES_DEEP_MAX {
            return refuse(pointer, "references lead to references too often");
        }
        self.open.push((target, self.descents));
        let size = self.part(part, &mut inside.unwrap_or_default().to_owned())?;
        self.open.pop();
        if size.returns > 1 {
            return refuse(pointer, "what this refers to comes back to itself in more than one way");
        }
        if size.parts > PARTS_MAX {
            return refuse(pointer, "what this refers to expands to too many parts");
        }
        // Where it came back to itself, those who refer to it from outside do not.
        let size = Size { returns: if self.open.is_empty() { 0 } else { size.returns }, ..size };
        self.known.insert(target, size);
        Ok(size)
    }
}

fn refuse(pointer: &str, why: &str) -> Result<Size, (String, String)> {
    Err((pointer.to_owned(), why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ordinary_and_recursive_schemas_are_fine() {
        let fine = [
            json!(true),
            json!({"$id": "https://example.com/order", "type": "object", "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {"a": {"type": "string"}}}),
            json!({"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}}),
            json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"properties": {
                "left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}}}}}),
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}),
            json!({"enum": [{"$ref": "nowhere"}]}),
        ];
        for schema in fine {
            assert_eq!(check(&schema), Ok(()), "{schema}");
        }
    }

    #[test]
    fn what_multiplies_or_never_ends_is_refused() {
        let step = |next: usize| json!({"allOf": [{"$ref": format!("#/$defs/{next}")}, {"$ref": format!("#/$defs/{next}")}]});
        let mut doubling: Map<String, Value> = (0..30).map(|at| (at.to_string(), step(at + 1))).collect();
        doubling.insert("30".to_owned(), json!({}));
        let mut chain: Map<String, Value> =
            (0..200).map(|at| (at.to_string(), json!({"$ref": format!("#/$defs/{}", at + 1)}))).collect();
        chain.insert("200".to_owned(), json!({}));
        let refused = [
            json!({"$ref": "#/$defs/0", "$defs": doubling}),
            json!({"$ref": "#/$defs/0", "$defs": chain}),
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [
                {"properties": {"c": {"$ref": "#/$defs/a"}}}, {"properties": {"c": {"$ref": "#/$defs/a"}}}]}}}),
            json!({"anyOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]}),
            json!({"$ref": "https://example.com/x"}),
            json!({"$ref": "#anchor"}),
            json!({"$dynamicRef": "#x"}),
            json!({"properties": {"a": {"$id": "b", "$ref": "#/c"}}}),
        ];
        for schema in refused {
            assert!(check(&schema).is_err(), "{schema}");
        }
    }
}
