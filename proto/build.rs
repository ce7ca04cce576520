//! Compiles the protos without `protoc`, and writes the table of permissions out of their options.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", root.join("slipway").display());

    let mut files = Vec::new();
    find_protos(&root.join("slipway"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    let pool = compiler.descriptor_pool();

    fs::write(out.join("descriptor.bin"), pool.encode_to_vec())?;
    fs::write(out.join("permissions.rs"), permission_table(&pool))?;
    tonic_prost_build::configure()
        .bytes(".slipway.approval.v1.SubmitDeliveryRequest.body")
        .boxed(".slipway.rollout.v1.CreateRolloutResponse.outcome.rollout")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn find_protos(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_protos(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "proto") {
            found.push(path);
        }
    }
    Ok(())
}

/// One line per RPC, sorted by path, for a binary search at run time.
fn permission_table(pool: &DescriptorPool) -> String {
    let mut rows: Vec<(String, String, String)> = pool
        .services()
        .filter(|service| service.package_name().starts_with("slipway."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| {
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let (name, also) = permission(pool, &method).unwrap_or_default();
            (path, name, also)
        })
        .collect();
    rows.sort();

    let mut text = String::from("&[\n");
    for (path, name, also) in rows {
        writeln!(text, "    Permission {{ path: {path:?}, name: {name:?}, also: {also:?} }},")
            .expect("writing to a string does not fail");
    }
    text.push(']');
    text
}

fn permission(pool: &DescriptorPool, method: &MethodDescriptor) -> Option<(String, String)> {
    let extension = pool.get_extension_by_name("slipway.option.v1.permission")?;
    let options: DynamicMessage = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    let value = options.get_extension(&extension);
    let message = value.as_message()?;
    let text = |field: &str| {
        message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned))
    };
    Some((text("name")?, text("also").unwrap_or_default()))
}
