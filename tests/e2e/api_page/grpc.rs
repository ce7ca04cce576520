//! The RPCs.

use std::fmt::Write as _;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ServiceDescriptor,
};
use serde_json::{Map, Value, json};

/// How deep examples go.
const DEPTH: usize = 3;

const HEAD: &str = "\
## gRPC

Every process serves reflection and health, so `grpcurl` needs no protos. `localhost:4011` is `registry`, 4012 `approval`, 4013
`rollout`, 4014 `access`, 4020 the device link. Errors carry `google.rpc.ErrorInfo` with the same reasons as REST, and
`BadRequest` with the fields that are wrong.

Below each RPC stands a request with all its fields, as `grpcurl -d` takes it.
";

/// The chapter about RPCs.
pub fn written() -> String {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut page = String::from(HEAD);
    for service in pool.services() {
        writeln!(page, "\n### `{}`\n\n{}", service.full_name(), about(&pool, &service)).unwrap();
        for method in service.methods() {
            rpc(&mut page, &pool, &method);
        }
    }
    page
}

fn rpc(page: &mut String, pool: &DescriptorPool, method: &MethodDescriptor) {
    let stream = if method.is_server_streaming() { "stream " } else { "" };
    let (input, output) = (method.input(), method.output());
    let example = example(&input, DEPTH);
    let text = example.to_string();
    // What is printed is what the message takes.
    let mut reader = serde_json::Deserializer::from_str(&text);
    DynamicMessage::deserialize(input.clone(), &mut reader)
        .unwrap_or_else(|error| panic!("{}: {text}: {error}", method.full_name()));
    let comment = comment(pool, method.parent_file().name(), method.path());
    writeln!(
        page,
        "\n#### `{}`\n\n`{}` → {stream}`{}`\n\n{comment}\n\n```json\n{text}\n```",
        method.name(),
        input.name(),
        output.name(),
    )
    .unwrap();
}

fn about(pool: &DescriptorPool, service: &ServiceDescriptor) -> String {
    comment(pool, service.parent_file().name(), service.path())
}

/// The comment that stands before something, as paragraphs.
fn comment(pool: &DescriptorPool, file: &str, path: &[i32]) -> String {
    let file = pool.get_file_by_name(file).unwrap();
    let file = file.file_descriptor_proto();
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let comment = locations
        .filter(|location| location.path == path)
        .find_map(|location| location.leading_comments.clone())
        .unwrap_or_default();
    let lines = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
    fenced(lines).trim().to_owned()
}

/// Indented lines of a comment are commands; they stand in a block of their own.
fn fenced<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    let mut in_block = false;
    for line in lines {
        let is_command = line.starts_with("  ") && !line.trim().is_empty();
        if is_command != in_block {
            text.push_str(if is_command { "```sh\n" } else { "```\n" });
            in_block = is_command;
        }
        text.push_str(if is_command { line.trim_start() } else { line.trim_end() });
        text.push('\n');
    }
    if in_block {
        text.push_str("```\n");
    }
    text
}

fn example(message: &MessageDescriptor, depth: usize) -> Value {
    match message.full_name() {
        "google.protobuf.Timestamp" => return json!("2026-11-21T11:00:00Z"),
        "google.protobuf.Duration" => return json!("60s"),
        "google.protobuf.FieldMask" => return json!("name"),
        _ => {}
    }
    let mut members = Map::new();
    let mut chosen = Vec::new();
    for field in message.fields() {
        let choice = field.containing_oneof().map(|choice| choice.full_name().to_owned());
        if choice.as_ref().is_some_and(|choice| chosen.contains(choice)) {
            continue;
        }
        chosen.extend(choice);
        let too_deep = depth == 0 && matches!(field.kind(), Kind::Message(_));
        if !too_deep {
            members.insert(field.name().to_owned(), field_example(&field, depth));
        }
    }
    Value::Object(members)
}

fn field_example(field: &FieldDescriptor, depth: usize) -> Value {
    if field.is_map() {
        return json!({"line": "3"});
    }
    let one = match field.kind() {
        Kind::Message(message) => example(&message, depth.saturating_sub(1)),
        Kind::Enum(kind) => {
            let named = kind.values().nth(1).or_else(|| kind.values().next());
            json!(named.unwrap().name())
        }
        Kind::Bool => json!(true),
        Kind::Double | Kind::Float => json!(0.2),
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Fixed64 => json!("1"),
        Kind::String if field.name().ends_with("id") => {
            json!("0198f3a4-6c1e-7000-8000-0b9d2f7a4c13")
        }
        Kind::String => json!("…"),
        Kind::Bytes => json!("e30="),
        _ => json!(1),
    };
    if field.is_list() { json!([one]) } else { one }
}
