-- Applied by the owner after every migration. The role of the process may change rows of its own
-- schema and nothing else; the reader may look.
grant usage on schema approval to slipway_approval, slipway_reader;
grant select, insert, update, delete on all tables in schema approval to slipway_approval;
grant usage, select on all sequences in schema approval to slipway_approval;
revoke insert, update, delete on approval._migrations from slipway_approval;
grant select on all tables in schema approval to slipway_reader;
revoke all on approval.receiver_secrets from slipway_reader;
