-- The images that every Slipway begins with. Their ids are part of the API's examples: redis is 1,
-- the next image is 10, the next tag is 5.
insert into registry.images
    (id, repository, registry, namespace, image_name, description, category, is_official,
     approval_status, approved_by, approved_at, created_at, updated_at)
overriding system value
select id, concat_ws('/', 'docker.io', namespace, image_name), 'docker.io', namespace, image_name,
    description, category, true, 'approved', 'slipway', now(), now(), now()
from (values
    (1, 'library', 'redis', 'database', 'Redis in-memory data structure store'),
    (2, 'library', 'postgres', 'database', 'PostgreSQL object-relational database'),
    (3, 'library', 'nginx', 'web', 'nginx web server and reverse proxy'),
    (4, 'library', 'node', 'runtime', 'Node.js JavaScript runtime'),
    (5, 'library', 'python', 'runtime', 'Python language runtime'),
    (6, 'library', 'mysql', 'database', 'MySQL relational database'),
    (7, 'library', 'mongo', 'database', 'MongoDB document database'),
    (8, 'library', 'influxdb', 'database', 'InfluxDB time series database'),
    (9, 'grafana', 'grafana', 'monitoring', 'Grafana dashboards and observability')
) as first (id, namespace, image_name, category, description);

insert into registry.image_tags (id, image_id, tag, is_recommended, created_at, updated_at)
overriding system value
values
    (1, 1, '7-alpine', true, now(), now()),
    (2, 1, '7.2-alpine', false, now(), now()),
    (3, 1, '7.4-alpine', false, now(), now()),
    (4, 1, 'latest', false, now(), now());

alter table registry.images alter column id restart with 10;
alter table registry.image_tags alter column id restart with 5;
