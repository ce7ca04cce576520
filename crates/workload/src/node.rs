//! Walking a JSON document: each step knows its path and notes what is wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::Violation;
use crate::violation::{Violations, show};

/// A value within a document. Readers return `None` after they have noted what is wrong.
pub(crate) struct Node<'a> {
    value: &'a Value,
    path: String,
    violations: &'a Violations,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value, violations: &'a Violations) -> Self {
        Self { value, path: String::new(), violations }
    }

    /// Notes what is wrong with this value.
    pub(crate) fn note(&self, message: impl fmt::Display) {
        self.violations.push(Violation::new(&self.path, message));
    }

    /// Notes what is wrong with this value, in a reader's place for a result.
    pub(crate) fn refuse<T>(&self, message: impl fmt::Display) -> Option<T> {
        self.note(message);
        None
    }

    /// Reads a text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.value.as_str() {
            Some(text) if text.contains('\0') => {
                self.refuse("the text holds a NUL character; remove it")
            }
            Some(text) => Some(text),
            None => self.refuse(self.not("text; write it in quotes")),
        }
    }

    /// Reads a text that a function understands; its error is the message.
    pub(crate) fn parsed<T, E: fmt::Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(self.text()?).map_or_else(|error| self.refuse(error), Some)
    }

    /// Reads one of a few words.
    pub(crate) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        found.or_else(|| {
            let known = words.iter().map(|(word, _)| *word);
            self.refuse(format!("{} is not known here; use {}", show(text), listed(known, "or")))
        })
    }

    /// Reads true or false.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.refuse(self.not("true or false; write one of them")))
    }

    /// Reads a whole number within bounds.
    pub(crate) fn integer(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        let Some(number) = self.value.as_i64() else {
            return self.refuse(self.not(&format!("a whole number; write one {}", span(&bounds))));
        };
        if bounds.contains(&number) {
            return Some(number);
        }
        self.refuse(format!("{number} is out of bounds; use a whole number {}", span(&bounds)))
    }

    /// Reads a number.
    pub(crate) fn number(&self) -> Option<f64> {
        self.value.as_f64().or_else(|| self.refuse(self.not("a number; write it without quotes")))
    }

    /// Says whether the value is a number.
    pub(crate) fn is_number(&self) -> bool {
        self.value.is_number()
    }

    /// Reads a list.
    pub(crate) fn items<T>(&self, read: impl Fn(&Node<'a>) -> Option<T>) -> Option<Vec<T>> {
        let Some(items) = self.value.as_array() else {
            return self.refuse(self.not("a list; write its long form, `[…]`"));
        };
        let node = |(i, value)| Node {
            value,
            path: item_path(&self.path, i),
            violations: self.violations,
        };
        Some(items.iter().enumerate().map(node).filter_map(|node| read(&node)).collect())
    }

    /// Reads a list of texts.
    pub(crate) fn texts(&self) -> Option<Vec<String>> {
        self.items(|item| item.text().map(str::to_owned))
    }

    /// Reads an object with keys of the caller's choice.
    pub(crate) fn entries<K: Ord, T>(
        &self,
        read: impl Fn(&str, &Node<'a>) -> Option<(K, T)>,
    ) -> Option<BTreeMap<K, T>> {
        let members = self.members()?;
        Some(
            members.iter().filter_map(|(key, value)| read(key, &self.member(key, value))).collect(),
        )
    }

    /// Reads an object with fields of ours.
    pub(crate) fn fields(&self) -> Option<Fields<'_, 'a>> {
        Some(Fields { node: self, members: self.members()?, known: Vec::new() })
    }

    fn members(&self) -> Option<&'a Map<String, Value>> {
        self.value
            .as_object()
            .or_else(|| self.refuse(self.not("an object; write its long form, `{…}`")))
    }

    fn member(&self, key: &str, value: &'a Value) -> Node<'a> {
        Node { value, path: member_path(&self.path, key), violations: self.violations }
    }

    fn not(&self, wanted: &str) -> String {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        format!("this is {found}, not {wanted}")
    }
}

/// The fields of an object. Those never asked for are refused at the end.
pub(crate) struct Fields<'n, 'a> {
    node: &'n Node<'a>,
    members: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'_, 'a> {
    /// Returns a field when it is given.
    pub(crate) fn get(&mut self, name: &'static str) -> Option<Node<'a>> {
        self.known.push(name);
        self.members.get(name).map(|value| self.node.member(name, value))
    }

    /// Returns a field and notes it when it is missing.
    pub(crate) fn require(&mut self, name: &'static str) -> Option<Node<'a>> {
        let field = self.get(name);
        if field.is_none() {
            let path = member_path(&self.node.path, name);
            self.node.violations.push(Violation::new(path, "this is missing; give it"));
        }
        field
    }

    /// Notes fields that nobody asked for.
    pub(crate) fn finish(self) {
        self.finish_with(|_| None);
    }

    /// Notes fields that nobody asked for, with words of their own for some.
    pub(crate) fn finish_with(self, words: impl Fn(&str) -> Option<&'static str>) {
        for (key, value) in self.members {
            if self.known.contains(&key.as_str()) {
                continue;
            }
            let field = self.node.member(key, value);
            match words(key) {
                Some(words) => field.note(words),
                None => {
                    let known = listed(self.known.iter().copied(), "and");
                    field.note(format!("{} is not a field here; there are {known}", show(key)));
                }
            }
        }
    }
}

/// Returns the path of an object's member.
pub(crate) fn member_path(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match (plain, path) {
        (true, "") => key.to_owned(),
        (true, path) => format!("{path}.{key}"),
        (false, path) => format!("{path}[{}]", Value::String(key.chars().take(60).collect())),
    }
}

/// Returns the path of a list's item.
pub(crate) fn item_path(path: &str, position: usize) -> String {
    format!("{path}[{position}]")
}

fn span(bounds: &RangeInclusive<i64>) -> String {
    format!("from {} to {}", bounds.start(), bounds.end())
}

fn listed<'w>(words: impl Iterator<Item = &'w str>, last: &str) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, words)) => format!("{} {last} {end}", words.join(", ")),
        None => "none".to_owned(),
    }
}
