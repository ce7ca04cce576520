-- Applied by the owner after every migration. The role of the process may change rows of its own
-- schema and nothing else; the reader may look.
grant usage on schema rollout to slipway_rollout, slipway_reader;
grant select, insert, update, delete on all tables in schema rollout to slipway_rollout;
grant usage, select on all sequences in schema rollout to slipway_rollout;
revoke insert, update, delete on rollout._migrations from slipway_rollout;
grant select on all tables in schema rollout to slipway_reader;
-- Hashes of credentials are nobody's to read.
revoke select on rollout.device_credentials, rollout.enrolment_keys from slipway_reader;
