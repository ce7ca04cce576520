//! Examples of what a schema describes.

use serde_json::{Map, Value, json};

/// A schema, with what it refers to put in its place.
pub fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

/// An example of a schema: its own, or one made of its parts.
pub fn of(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    if let Some(example) = schema["examples"].get(0) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0).or(schema.get("const")) {
        return first.clone();
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let parts = parts.iter().map(|part| of(document, part));
        let members = parts.filter_map(|part| part.as_object().cloned()).flatten();
        return Value::Object(members.collect());
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let real = choices.iter().find(|choice| choice["type"] != "null");
            return real.map_or(Value::Null, |choice| of(document, choice));
        }
    }
    plain(document, schema)
}

fn plain(document: &Value, schema: &Value) -> Value {
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap_or(&Value::Null),
        kind => kind,
    };
    match kind.as_str().unwrap_or_default() {
        "object" => members(document, schema),
        "array" => json!([of(document, &schema["items"])]),
        "integer" | "number" => json!(1),
        "boolean" => json!(true),
        "string" if schema["format"] == "date-time" => json!("2026-11-21T11:00:00Z"),
        "string" => json!("…"),
        _ => Value::Null,
    }
}

fn members(document: &Value, schema: &Value) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let members: Map<_, _> =
        properties.map(|(name, schema)| (name.clone(), of(document, schema))).collect();
    Value::Object(members)
}
