-- Every change is told by one event, and every event is in the audit log once. The chain itself is
-- checked apart from this.
with outbox as (
    select 'registry' as source, sequence, id, envelope from registry.outbox
    union all
    select 'approval', sequence, id, envelope from approval.outbox
    union all
    select 'rollout', sequence, id, envelope from rollout.outbox
    union all
    select 'access', sequence, id, envelope from access.outbox
),
waiting as (
    select outbox.source, outbox.envelope
    from outbox
    where not exists (select from access.audit_log as entry where entry.event_id = outbox.id)
),
events as (
    select type, resource_id from access.audit_log
    union all
    select waiting.envelope::jsonb ->> 'type', waiting.envelope::jsonb -> 'resource' ->> 'id'
    from waiting
),
told as (
    select type, resource_id, count(*) as times
    from events
    where type in ('image.webhook_received', 'image.rollout_created', 'image.approval.requested',
                   'device.enrolled', 'image.rollout_completed', 'image.rollout_cancelled',
                   'image.rollout_failed', 'image.rollout_rolled_back')
    group by type, resource_id
)
select format('event %s of %s is behind the cursor and not in the audit log', outbox.sequence,
              outbox.source) as finding
from outbox
join access.audit_sources as cursor on cursor.source = outbox.source
where outbox.sequence <= cursor.cursor
  and not exists (
      select from access.audit_log as entry
      where entry.event_id = outbox.id and entry.envelope = outbox.envelope
        and entry.source = outbox.source
  )
union all
select format('the events of %s have a gap: %s numbers from %s to %s', source, count(*), min(sequence),
              max(sequence))
from outbox
where sequence is not null
group by source
having count(*) <> max(sequence) - min(sequence) + 1
union all
select format('%s %s is told by %s events of type %s', changed.kind, changed.id,
              coalesce(told.times, 0), changed.type)
from (
    select 'push' as kind, id::text as id, 'image.webhook_received' as type
    from approval.pushes
    where decision is distinct from 'rejected'
    union all
    select 'review', id::text, 'image.approval.requested' from approval.image_approval_requests
    union all
    select 'device', id::text, 'device.enrolled' from rollout.devices
    union all
    select 'rollout', id::text, 'image.rollout_created' from rollout.image_update_rollouts
    union all
    select 'rollout', id::text,
           case state
               when 'succeeded' then 'image.rollout_completed'
               when 'cancelled' then 'image.rollout_cancelled'
               when 'superseded' then 'image.rollout_cancelled'
               when 'failed' then 'image.rollout_failed'
               else 'image.rollout_rolled_back'
           end
    from rollout.image_update_rollouts
    where state in ('succeeded', 'cancelled', 'failed', 'superseded', 'rolled_back', 'rollback_incomplete')
) as changed
left join told on told.type = changed.type and told.resource_id = changed.id
where told.times is distinct from 1
