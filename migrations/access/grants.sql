-- Applied by the owner after every migration. The role of the process may change rows of its own
-- schema and nothing else; the reader may look.
grant usage on schema access to slipway_access, slipway_reader;
grant select, insert, update, delete on all tables in schema access to slipway_access;
grant usage, select on all sequences in schema access to slipway_access;
revoke insert, update, delete on access._migrations from slipway_access;
grant select on all tables in schema access to slipway_reader;
