//! The document as a judge: whether an answer is one that it describes.

use crate::support::Reply;
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// The document, and the same with objects closed, so that a field that it does not name is a fault.
pub struct Document {
    root: Value,
    closed: Value,
}

impl Document {
    pub fn read(text: &str) -> Self {
        let root: Value = serde_json::from_str(text).unwrap();
        let mut closed = root["components"].clone();
        for (name, schema) in closed["schemas"].as_object_mut().unwrap() {
            // Orders are open by contract. Replies are open to what later versions add, but this version is tested.
            if name != "Order" && schema.get("properties").is_some() {
                schema["additionalProperties"] = false.into();
            }
        }
        Self { root, closed }
    }

    pub const fn root(&self) -> &Value {
        &self.root
    }

    pub fn at(&self, pointer: &str) -> &Value {
        self.root.pointer(pointer).unwrap_or_else(|| panic!("the document has no {pointer}"))
    }

    /// Every operation, as method (in capitals), path and content.
    pub fn operations(&self) -> Vec<(String, String, &Value)> {
        let paths = self.at("/paths").as_object().unwrap();
        let of = |(path, item): (&String, _)| {
            let methods = Value::as_object(item).unwrap().iter();
            methods.map(|(method, it)| (method.to_uppercase(), path.clone(), it)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// Follows a reference, if the value is one.
    pub fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(target) => self.at(target.strip_prefix('#').unwrap()),
            None => value,
        }
    }

    pub fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({ "allOf": [schema], "components": self.closed });
        let built = jsonschema::options().with_draft(Draft::Draft202012).build(&whole);
        built.unwrap_or_else(|error| panic!("{error}: {schema}"))
    }

    /// Asserts that an answer is described, and returns under which `method path status`: several where the method is
    /// one that the path does not take, none where there is no such path.
    pub fn judge(&self, method: &str, path: &str, reply: &Reply) -> Vec<String> {
        let status = reply.status.to_string();
        let here: Vec<_> = self.operations().into_iter().filter(|(_, known, _)| known == path).collect();
        let asked: Vec<_> = match here.iter().find(|(known, _, _)| known == method) {
            Some(operation) => vec![operation],
            None => here.iter().collect(),
        };
        if asked.is_empty() {
            self.fits(method, &here, self.resolve(&self.at("/x-other-paths")[&status]), reply);
        }
        let documented = asked.iter().map(|(known, _, operation)| {
            let response = operation["responses"].get(&status);
            let response = response.unwrap_or_else(|| panic!("{method} {path}: {status} is not documented"));
            self.fits(method, &here, self.resolve(response), reply);
            assert!(
                known == method || status == "405",
                "{method} {path} is not documented, but answers {status}"
            );
            format!("{known} {path} {status}")
        });
        documented.collect()
    }

    fn fits(&self, method: &str, here: &[(String, String, &Value)], response: &Value, reply: &Reply) {
        let header = |name: &str| {
            let line =
                reply.head.lines().find_map(|line| line.strip_prefix(&format!("{}: ", name.to_lowercase())));
            line.map(str::to_owned)
        };
        for name in ["Retry-After", "Allow", "WWW-Authenticate"] {
            let described = response.get("headers").is_some_and(|headers| headers.get(name).is_some());
            assert_eq!(header(name).is_some(), described, "{name}: {reply:?}");
        }
        if let Some(wait) = header("Retry-After") {
            let schema = self.validator(self.at("/components/headers/RetryAfter/schema"));
            assert!(schema.is_valid(&wait.parse::<u64>().unwrap().into()), "{reply:?}");
        }
        if let Some(allowed) = header("Allow") {
            let mut allowed: Vec<_> = allowed.split(", ").map(str::to_uppercase).collect();
            allowed.sort();
            let mut known: Vec<_> = here.iter().map(|(method, _, _)| method.clone()).collect();
            known.sort();
            assert_eq!(allowed, known, "{reply:?}");
        }
        let content = response.get("content");
        if reply.body.is_empty() {
            let may_be_bare =
                content.is_none() || response.get("x-no-body-when").is_some() || method == "HEAD";
            assert!(may_be_bare, "a body is documented: {reply:?}");
            return;
        }
        let media = header("content-type").unwrap_or_else(|| panic!("no content-type: {reply:?}"));
        let described = content.and_then(|content| content.get(&media));
        let described = described.unwrap_or_else(|| panic!("{media} is not documented: {reply:?}"));
        let body = reply.json();
        let wrong: Vec<_> =
            self.validator(&described["schema"]).iter_errors(&body).map(|it| it.to_string()).collect();
        assert!(wrong.is_empty(), "{wrong:?}: {reply:?}");
    }
}

/// Calls `visit` with every object of a value and its pointer.
pub fn walk(value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    fn step(pointer: &str, value: &Value, visit: &mut impl FnMut(&str, &Value)) {
        match value {
            Value::Object(fields) => {
                visit(pointer, value);
                fields.iter().for_each(|(key, value)| step(&format!("{pointer}/{key}"), value, visit));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(at, value)| step(&format!("{pointer}/{at}"), value, visit));
            }
            _ => {}
        }
    }
    step("", value, visit);
}
