//! What every Slipway begins with, as document 1 shows it.

use proto::reason;
use proto::registry::v1 as pb;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::harness::{Registry, Who, refused, tag};

#[tokio::test]
async fn the_first_images_and_tags_have_the_numbers_of_the_examples() {
    let registry = Registry::start().await;
    let request = pb::ListImagesRequest { page_size: 1_000, ..Default::default() };
    let list = registry.images(Who::Viewer).list_images(request).await.unwrap().into_inner();
    let shown: Vec<_> = list
        .images
        .iter()
        .map(|image| (image.id, image.repository.as_str(), image.category.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            (1, "docker.io/library/redis", "database"),
            (2, "docker.io/library/postgres", "database"),
            (3, "docker.io/library/nginx", "web"),
            (4, "docker.io/library/node", "runtime"),
            (5, "docker.io/library/python", "runtime"),
            (6, "docker.io/library/mysql", "database"),
            (7, "docker.io/library/mongo", "database"),
            (8, "docker.io/library/influxdb", "database"),
            (9, "docker.io/grafana/grafana", "monitoring"),
        ]
    );
    assert_eq!(list.total_size, 9);
    assert!(list.images.iter().all(|image| {
        image.approval_status() == pb::ApprovalStatus::Approved && image.is_official
    }));
    let redis = &list.images[0];
    assert_eq!(
        (redis.registry.as_str(), redis.namespace.as_str(), redis.image_name.as_str()),
        ("docker.io", "library", "redis")
    );
    assert_eq!(
        (redis.description.as_str(), redis.tag_count),
        ("Redis in-memory data structure store", 4)
    );
    let tags: Vec<_> = registry
        .tags(1)
        .await
        .into_iter()
        .map(|tag| (tag.id, tag.tag, tag.is_recommended))
        .collect();
    let expected = [
        (1, "7-alpine".to_owned(), true),
        (2, "7.2-alpine".to_owned(), false),
        (3, "7.4-alpine".to_owned(), false),
        (4, "latest".to_owned(), false),
    ];
    assert_eq!(tags, expected);
}

#[tokio::test]
async fn categories_are_counted_most_first() {
    let registry = Registry::start().await;
    let answer = registry.images(Who::Viewer).list_categories(pb::ListCategoriesRequest {}).await;
    let categories = answer.unwrap().into_inner().categories;
    let counts: Vec<_> = categories.iter().map(|one| (one.category.as_str(), one.count)).collect();
    assert_eq!(counts, [("database", 5), ("runtime", 2), ("monitoring", 1), ("web", 1)]);
}

#[tokio::test]
async fn refused_requests_use_up_no_numbers() {
    let registry = Registry::start().await;
    let request = pb::CreateImageRequest { repository: "redis".to_owned(), ..Default::default() };
    let problem = refused(registry.images(Who::Admin).create_image(request).await);
    assert_eq!(problem.reason(), reason::IMAGE_EXISTS);
    let request = pb::CreateTagRequest { image_id: 1, tag: Some(tag("latest")) };
    let problem = refused(registry.images(Who::Admin).create_tag(request).await);
    assert_eq!(problem.reason(), reason::TAG_EXISTS);
    assert_eq!(registry.create_image("portainer/portainer-ce").await.id, 10);
    assert_eq!(registry.create_tag(1, tag("7.5-alpine")).await.id, 5);
}

#[tokio::test]
async fn the_printed_selects_work_for_the_reader() {
    let registry = Registry::start().await;
    let mut reader = registry.reader().await;
    sqlx::query("set search_path to registry").execute(&mut reader).await.unwrap();
    let image = sqlx::query(
        "SELECT i.id, i.approval_status
         FROM images i
         WHERE i.image_name = $1 AND i.registry = $2",
    )
    .bind("redis")
    .bind("docker.io")
    .fetch_one(&mut reader)
    .await
    .unwrap();
    assert_eq!((image.get::<i64, _>(0), image.get::<&str, _>(1)), (1, "approved"));
    let tag =
        sqlx::query("SELECT id, is_deprecated FROM image_tags WHERE image_id = $1 AND tag = $2")
            .bind(1_i64)
            .bind("7-alpine")
            .fetch_one(&mut reader)
            .await
            .unwrap();
    assert_eq!((tag.get::<i64, _>(0), tag.get::<bool, _>(1)), (1, false));
    let refused = sqlx::query("update images set approval_status = 'rejected'")
        .execute(&mut reader)
        .await
        .expect_err("the reader reads only");
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn columns_and_indexes_have_the_printed_names() {
    let registry = Registry::start().await;
    let mut reader = registry.reader().await;
    let indexes =
        names(&mut reader, "select indexname from pg_indexes where schemaname = 'registry'");
    let indexes = indexes.await;
    for index in
        ["idx_images_name", "idx_images_status", "idx_image_tags_image_id", "idx_image_tags_tag"]
    {
        assert!(indexes.iter().any(|name| name == index), "{index} in {indexes:?}");
    }
    let columns = "select table_name || '.' || column_name from information_schema.columns
        where table_schema = 'registry'";
    let columns = names(&mut reader, columns).await;
    let images = "id image_name registry namespace description category is_official approval_status
        approved_by approved_at created_at updated_at";
    let tags = "id image_id tag digest size_bytes architecture os pushed_at is_recommended
        is_deprecated security_scan_status vulnerabilities_count created_at updated_at";
    for (table, expected) in [("images", images), ("image_tags", tags)] {
        for column in expected.split_whitespace() {
            let column = format!("{table}.{column}");
            assert!(columns.contains(&column), "{column} in {columns:?}");
        }
    }
}

#[tokio::test]
async fn the_schema_keeps_what_the_code_relies_on() {
    let registry = Registry::start().await;
    let mut owner = registry.owner().await;
    for (statement, constraint) in [
        (
            "update registry.image_tags set is_recommended = true where id = 2",
            "image_tags_one_recommended_idx",
        ),
        ("update registry.images set image_name = 'x' where id = 1", "images_parts_check"),
        ("update registry.images set approved_by = null where id = 1", "images_approved_check"),
        (
            "update registry.images set approval_status = 'maybe' where id = 1",
            "images_approval_status_check",
        ),
        ("update registry.gate set only_row = false", "gate_only_row_check"),
        (
            "insert into registry.image_tags (image_id, tag, created_at, updated_at)
             values (1, 'latest', now(), now())",
            "image_tags_image_id_tag_key",
        ),
    ] {
        let error = sqlx::query(statement).execute(&mut owner).await.expect_err(statement);
        assert_eq!(runtime::database::constraint(&error), Some(constraint));
    }
    owner.close().await.unwrap();
}

async fn names(db: &mut PgConnection, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(db).await.unwrap()
}
