//! Answers for programs: the REST document, or some members of it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::text;

/// Which members are asked for; none = the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members(Vec<String>);

impl Members {
    /// Reads `id,status`.
    pub fn parse(text: &str) -> Self {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self(names.map(str::to_owned).collect())
    }

    /// Whether the whole document is asked for.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The members of one document, on one line.
    pub fn of_object(&self, document: &Value) -> String {
        if self.is_all() {
            return document.to_string();
        }
        let members: Vec<_> = self
            .0
            .iter()
            .map(|name| {
                let value = find(document, name).unwrap_or(&Value::Null);
                format!("{}:{value}", Value::from(name.as_str()))
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// The members of every item, as an array on one line.
    pub fn of_list(&self, items: &[Value]) -> String {
        let items: Vec<_> = items.iter().map(|item| self.of_object(item)).collect();
        format!("[{}]", items.join(","))
    }

    /// What to say about members that no item has: a slip of the pen, or one that all leave out.
    pub fn warning(&self, items: &[Value]) -> Option<String> {
        let missing: Vec<_> = self
            .0
            .iter()
            .filter(|name| !items.iter().any(|item| find(item, name).is_some()))
            .map(|name| format!("`{}`", text::clean(name)))
            .collect();
        if missing.is_empty() || items.is_empty() {
            return None;
        }
        let known: BTreeSet<_> =
            items.iter().filter_map(Value::as_object).flat_map(|item| item.keys()).collect();
        let known = known.iter().map(|name| text::clean(name)).collect::<Vec<_>>().join(", ");
        Some(format!("note: nothing here has {}; there are: {known}", missing.join(", ")))
    }
}

/// A member by its name, or by a path such as `rollout.status`.
fn find<'a>(item: &'a Value, name: &str) -> Option<&'a Value> {
    match item.get(name) {
        Some(value) => Some(value),
        None => {
            let (first, rest) = name.split_once('.')?;
            find(item.get(first)?, rest)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_come_in_the_order_asked_for() {
        let item = json!({"id": "1", "a": {"b": [2]}, "status": null});
        let members = Members::parse("status, id,a.b,z");
        assert_eq!(members.of_object(&item), r#"{"status":null,"id":"1","a.b":[2],"z":null}"#);
        assert_eq!(Members::parse("id").of_list(&[item]), r#"[{"id":"1"}]"#);
        assert_eq!(Members::parse("id").of_list(&[]), "[]");
    }

    #[test]
    fn a_member_that_nothing_has_is_told_with_those_there_are() {
        let items = [json!({"id": 1}), json!({"id": 2, "status": "paused"})];
        assert_eq!(Members::parse("id,status").warning(&items), None);
        assert_eq!(Members::parse("stauts").warning(&[]), None);
        assert_eq!(
            Members::parse("id,stauts").warning(&items).as_deref(),
            Some("note: nothing here has `stauts`; there are: id, status")
        );
    }
}
