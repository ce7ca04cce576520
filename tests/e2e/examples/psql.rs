//! Documents 1 and 2: what they read from tables, in a session of `slipway psql`.

use runtime::secret::Secret;
use serde_json::json;
use sqlx::Row as _;
use testbed::Slipway;
use tokio::process::Command;

use testbed::steps::add_receiver;

use super::slipway;
use crate::PROGRAM;
use crate::scene::{device, policy, push};

/// What a statement prints; an error where it fails.
async fn psql(slipway: &Slipway, statement: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("reader.url");
    Secret::new(slipway.database.reader_url()).write(&url).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["psql", "--database-url-file"]).arg(&url).args(["-x", "-c", statement]);
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// The value of a column in what `psql -x` prints.
fn column<'a>(printed: &'a str, name: &str) -> &'a str {
    let lines = printed.lines().filter_map(|line| line.split_once('|'));
    let mut values = lines.filter(|(column, _)| column.trim() == name);
    values.next().unwrap_or_else(|| panic!("no `{name}` in {printed}")).1.trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_approval_request() {
    let slipway = slipway().await;
    add_receiver(&slipway.api).await;
    push(&slipway.api, "memcached", "latest").await.expect(403);
    let printed = "SELECT * FROM image_approval_requests WHERE image_name='memcached';";
    let row = psql(&slipway, printed).await.unwrap();
    for (name, value) in [
        ("image_name", "memcached"),
        ("registry", "docker.io"),
        ("requested_by", "default"),
        ("status", "pending"),
        ("reviewed_by", ""),
        ("reviewed_at", ""),
        ("notes", ""),
        ("rejection_reason", ""),
    ] {
        assert_eq!(column(&row, name), value, "{name} of {row}");
    }
    assert!(!column(&row, "id").is_empty() && !column(&row, "requested_at").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_policies_and_devices() {
    let slipway = slipway().await;
    policy(&slipway.api, "redis:*").await;
    policy(&slipway.api, "nginx:*").await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    device(&slipway.api, &["redis:7-alpine"]).await;
    let printed = "SELECT * FROM image_update_policies \nWHERE image_pattern LIKE '%redis%';";
    let row = psql(&slipway, printed).await.unwrap();
    assert_eq!(column(&row, "image_pattern"), "redis:*");
    assert_eq!(column(&row, "update_strategy"), "auto");
    assert_eq!(column(&row, "enabled"), "t");
    assert!(!row.contains("nginx"), "{row}");
    let count = psql(&slipway, "SELECT COUNT(*) FROM device_target_state;").await.unwrap();
    assert_eq!(column(&count, "count"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_lookups_of_images_and_tags_find_them() {
    let slipway = slipway().await;
    let lookup = "SELECT i.id, i.approval_status \n   FROM images i\n   \
        WHERE i.image_name = 'redis' AND i.registry = 'docker.io'";
    let row = psql(&slipway, lookup).await.unwrap();
    assert_eq!((column(&row, "id"), column(&row, "approval_status")), ("1", "approved"));
    let lookup =
        "SELECT id, is_deprecated FROM image_tags \n     WHERE image_id = 1 AND tag = '7-alpine'";
    let row = psql(&slipway, lookup).await.unwrap();
    assert_eq!((column(&row, "id"), column(&row, "is_deprecated")), ("1", "f"));
    psql(&slipway, "SELECT * FROM image_update_rollouts").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_only_reads() {
    let slipway = slipway().await;
    let insert = "INSERT INTO image_update_policies (image_pattern, update_strategy, batch_size, \
        batch_delay_minutes, enabled) VALUES ('redis:*', 'staged', 3, 5, true);";
    psql(&slipway, insert).await.unwrap_err();
    let count = psql(&slipway, "SELECT COUNT(*) FROM image_update_policies").await.unwrap();
    assert_eq!(column(&count, "count"), "0");
    for statement in ["DELETE FROM images", "CREATE TABLE registry.t (n int)"] {
        let error = psql(&slipway, statement).await.unwrap_err();
        assert!(error.contains("read-only"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_and_indexes_have_the_printed_names() {
    let slipway = slipway().await;
    let mut owner = slipway.database.owner().await;
    let names = "select indexname::text as name from pg_indexes where schemaname = 'registry'";
    let rows = sqlx::query(names).fetch_all(&mut owner).await.unwrap();
    let indexes: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
    let printed =
        ["idx_images_name", "idx_images_status", "idx_image_tags_image_id", "idx_image_tags_tag"];
    for name in printed {
        assert!(indexes.iter().any(|index| index == name), "{name} of {indexes:?}");
    }
    let printed = json!({
        "images": "id, image_name, registry, namespace, description, category, is_official, \
            approval_status, approved_by, approved_at, created_at, updated_at",
        "image_tags": "id, image_id, tag, digest, size_bytes, architecture, os, pushed_at, \
            is_recommended, is_deprecated, security_scan_status, vulnerabilities_count, created_at, \
            updated_at",
        "image_approval_requests": "id, image_name, registry, requested_by, requested_at, status, \
            reviewed_by, reviewed_at, notes, rejection_reason",
        "image_update_policies":
            "image_pattern, update_strategy, batch_size, batch_delay_minutes, enabled",
    });
    for (table, columns) in printed.as_object().unwrap() {
        let select = format!("SELECT {} FROM {table} LIMIT 1", columns.as_str().unwrap());
        psql(&slipway, &select).await.unwrap_or_else(|error| panic!("{table}: {error}"));
    }
}
