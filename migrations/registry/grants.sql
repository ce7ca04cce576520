-- Applied by the owner after every migration. The role of the process may change rows of its own
-- schema and nothing else; the reader may look.
grant usage on schema registry to slipway_registry, slipway_reader;
grant select, insert, update, delete on all tables in schema registry to slipway_registry;
grant usage, select on all sequences in schema registry to slipway_registry;
revoke insert, update, delete on registry._migrations from slipway_registry;
grant select on all tables in schema registry to slipway_reader;
