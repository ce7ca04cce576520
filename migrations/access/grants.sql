-- Applied by the owner after every migration. The role of the process may change rows of its own
-- schema and nothing else; the reader may look, but not at what tokens are known by. The audit log
-- only grows: its role may add entries and move the head, never change or remove an entry.
grant usage on schema access to slipway_access, slipway_reader;
grant select, insert, update, delete on all tables in schema access to slipway_access;
grant usage, select on all sequences in schema access to slipway_access;
revoke insert, update, delete on access._migrations from slipway_access;
revoke update, delete, truncate on access.audit_log from slipway_access;
revoke insert, delete, truncate on access.audit_head from slipway_access;
grant select on all tables in schema access to slipway_reader;
revoke all on access.token_hashes from slipway_reader;
