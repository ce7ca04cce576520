//! What every proto must hold: permissions, comments, names, reasons.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, FileDescriptor};

fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).expect("our descriptors decode")
}

fn files() -> Vec<FileDescriptor> {
    pool().files().filter(|file| file.package_name().starts_with("slipway.")).collect()
}

#[test]
fn every_rpc_declares_its_permission() {
    let missing: Vec<_> = proto::permission::ALL
        .iter()
        .filter(|permission| permission.name.is_empty())
        .map(|permission| permission.path)
        .collect();
    assert!(missing.is_empty(), "RPCs without option (slipway.option.v1.permission): {missing:?}");
    assert!(proto::permission::ALL.len() > 60, "the table holds every RPC");
}

#[test]
fn a_permission_is_found_by_its_path() {
    let found = proto::permission::of("/slipway.registry.v1.ImageRegistry/GetImage");
    assert_eq!(found.map(|permission| permission.name), Some("images.read"));
    assert_eq!(proto::permission::of("/slipway.registry.v1.ImageRegistry/Nothing"), None);
}

#[test]
fn every_element_has_a_comment() {
    let mut bare = Vec::new();
    for file in files() {
        let info = file.file_descriptor_proto().source_code_info.clone().expect("source info");
        let mut said = BTreeSet::new();
        for location in &info.location {
            if !location.leading_comments().trim().is_empty() {
                said.insert(location.path.clone());
            }
        }
        let mut check = |path: &[i32], name: &str| {
            if !said.contains(path) {
                bare.push(format!("{}: {name}", file.name()));
            }
        };
        for service in file.services() {
            check(service.path(), service.full_name());
            for method in service.methods() {
                check(method.path(), method.full_name());
            }
        }
        for message in file.messages() {
            check_message(&message, &mut check);
        }
        for enumeration in file.enums() {
            check_enum(&enumeration, &mut check);
        }
    }
    assert!(bare.is_empty(), "no comment above: {bare:#?}");
}

fn check_message(message: &prost_reflect::MessageDescriptor, check: &mut impl FnMut(&[i32], &str)) {
    if message.is_map_entry() {
        return;
    }
    check(message.path(), message.full_name());
    for field in message.fields() {
        check(field.path(), field.full_name());
    }
    for child in message.child_messages() {
        check_message(&child, check);
    }
    for child in message.child_enums() {
        check_enum(&child, check);
    }
}

fn check_enum(enumeration: &prost_reflect::EnumDescriptor, check: &mut impl FnMut(&[i32], &str)) {
    check(enumeration.path(), enumeration.full_name());
    let zero = enumeration.get_value(0).expect("every enum has a zero");
    assert!(
        zero.name().ends_with("_UNSPECIFIED"),
        "{} begins with *_UNSPECIFIED",
        zero.full_name()
    );
    for value in enumeration.values() {
        check(value.path(), value.full_name());
    }
}

#[test]
fn every_list_pages() {
    for service in files().iter().flat_map(|file| file.services().collect::<Vec<_>>()) {
        for method in service.methods().filter(|method| method.name().starts_with("List")) {
            if matches!(method.name(), "ListCategories" | "ListFleets" | "ListEvents") {
                continue;
            }
            let (input, output) = (method.input(), method.output());
            for (message, field) in [
                (&input, "page_size"),
                (&input, "page_token"),
                (&output, "next_page_token"),
                (&output, "total_size"),
            ] {
                assert!(
                    message.get_field_by_name(field).is_some(),
                    "{} has no {field}",
                    message.full_name()
                );
            }
        }
    }
}

#[test]
fn every_service_ends_its_comment_with_a_grpcurl_line() {
    for file in files() {
        let info = file.file_descriptor_proto().source_code_info.clone().expect("source info");
        for service in file.services() {
            let comment = info
                .location
                .iter()
                .find(|location| location.path == service.path())
                .map(|location| location.leading_comments().to_owned())
                .unwrap_or_default();
            let line = format!("{}/", service.full_name());
            assert!(
                comment.contains("grpcurl") && comment.contains(&line),
                "{} shows no grpcurl line of its own",
                service.full_name()
            );
        }
    }
}

/// A reason that a comment promises is a constant, so that programs can rely on it.
#[test]
fn every_reason_in_a_comment_is_a_constant() {
    let source = include_str!("../src/reason.rs");
    let known: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|line| line.split(':').next())
        .collect();
    let mut unknown = BTreeSet::new();
    for file in files() {
        let info = file.file_descriptor_proto().source_code_info.clone().expect("source info");
        for location in &info.location {
            let comment = location.leading_comments();
            let Some(fails) = comment.find("Fails ") else { continue };
            for word in comment[fails..].split('`').skip(1).step_by(2) {
                let shouting = word.len() > 3
                    && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
                    && word.contains('_');
                if shouting && !known.contains(word) && !word.ends_with('_') {
                    unknown.insert(format!("{}: {word}", file.name()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "reasons without a constant: {unknown:#?}");
    for name in known {
        assert!(
            source.contains(&format!("pub const {name}: &str = \"{name}\";")) || name == "DOMAIN",
            "{name} says something else than its name"
        );
    }
}
