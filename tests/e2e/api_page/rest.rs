//! The routes.

use std::fmt::Write as _;

use serde_json::Value;

use super::example;

/// The chapter about routes.
pub fn written(document: &Value) -> String {
    let mut page = String::from("## REST\n");
    for tag in document["tags"].as_array().unwrap() {
        let name = tag["name"].as_str().unwrap();
        let about = tag["description"].as_str().unwrap_or_default();
        writeln!(page, "\n### {}\n\n{about}", title(name)).unwrap();
        for (path, method, operation) in operations(document) {
            if operation["tags"][0] == name {
                route(&mut page, document, path, method, operation);
            }
        }
    }
    page
}

/// Paths without parameters that are read.
pub fn plain_reads(document: &Value) -> Vec<String> {
    operations(document)
        .filter(|(path, method, _)| *method == "get" && !path.contains('{'))
        .filter(|(_, _, operation)| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.filter(|parameter| parameter["required"] == true).count() == 0
        })
        .map(|(path, _, _)| path.to_owned())
        .collect()
}

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods
            .filter(|(_, operation)| operation["responses"].is_object())
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn route(page: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let summary = operation["summary"].as_str().unwrap_or_default();
    writeln!(page, "\n#### `{} {path}`\n\n{summary}.", method.to_uppercase()).unwrap();
    if let Some(description) = operation["description"].as_str() {
        writeln!(page, "{description}").unwrap();
    }
    let query: Vec<_> = operation["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|parameter| parameter["in"] == "query")
        .map(|parameter| format!("`{}`", parameter["name"].as_str().unwrap()))
        .collect();
    if !query.is_empty() {
        writeln!(page, "Parameters: {}.", query.join(", ")).unwrap();
    }
    let body = content(&operation["requestBody"]);
    writeln!(page, "\n```sh\n{}\n```", curl(document, path, method, body)).unwrap();
    answers(page, document, operation);
}

fn answers(page: &mut String, document: &Value, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    let told = responses.iter().filter(|(code, _)| *code != "default").map(|(code, answer)| {
        let answer = example::resolved(document, answer);
        let about = answer["description"].as_str().unwrap_or_default().trim_end_matches('.');
        format!("{code} {about}")
    });
    writeln!(page, "\n{}.", told.collect::<Vec<_>>().join(" · ")).unwrap();
    let good = responses.iter().find(|(code, _)| code.starts_with('2'));
    if let Some(schema) = good.and_then(|(_, answer)| content(answer)) {
        let example = example::of(document, schema);
        if !example.is_null() && example != "…" {
            let text = serde_json::to_string_pretty(&example).unwrap();
            writeln!(page, "\n```json\n{text}\n```").unwrap();
        }
    }
}

fn content(part: &Value) -> Option<&Value> {
    let contents = part["content"].as_object()?;
    contents.values().next().map(|content| &content["schema"])
}

fn curl(document: &Value, path: &str, method: &str, body: Option<&Value>) -> String {
    let method = match method {
        "get" => String::new(),
        other => format!("-X {} ", other.to_uppercase()),
    };
    let mut line = format!("curl {method}\"$SLIPWAY{path}\" -H \"Authorization: Bearer $TOKEN\"");
    if let Some(schema) = body {
        let example = example::of(document, schema);
        let json = if example.is_null() { "{}".to_owned() } else { example.to_string() };
        write!(line, " \\\n  -H 'Content-Type: application/json' -d '{json}'").unwrap();
    }
    line
}

fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
