-- After a pause, a cancel or the end, no further device is sent anything.
with events as (
    select sequence, null::bigint as position, resource_id as rollout, type
    from access.audit_log
    where resource_kind = 'rollout'
    union all
    select null, position, envelope::jsonb -> 'resource' ->> 'id', type
    from rollout.outbox
    where not exists (select from access.audit_log as entry where entry.event_id = outbox.id)
      and envelope::jsonb -> 'resource' ->> 'kind' = 'rollout'
),
marks as (
    select rollout, type,
           row_number() over (partition by rollout order by sequence nulls last, position) as place
    from events
)
select format('rollout %s began a batch after `%s`', began.rollout, stopped.type) as finding
from marks as began
join marks as stopped on stopped.rollout = began.rollout and stopped.place < began.place
where began.type = 'image.rollout_batch_started'
  and stopped.type in ('image.rollout_paused', 'image.rollout_cancel_requested',
                       'image.rollout_rollback_requested', 'image.rollout_cancelled',
                       'image.rollout_completed', 'image.rollout_failed',
                       'image.rollout_rolled_back')
  and not exists (
      select from marks as resumed
      where resumed.rollout = began.rollout and resumed.type = 'image.rollout_resumed'
        and resumed.place > stopped.place and resumed.place < began.place
  )
union all
select format('rollout %s is %s, and device %s is still %s', rollout.id, rollout.state,
              assignment.device_id, assignment.state)
from rollout.image_update_rollouts as rollout
join rollout.assignments as assignment on assignment.rollout_id = rollout.id
where rollout.state in ('rolled_back', 'rollback_incomplete', 'cancelled', 'superseded', 'failed')
  and assignment.state in ('queued', 'offered', 'acked', 'downloading', 'staged', 'installing',
                           'verifying', 'reverting')
  -- Who had begun to swap when a newer release came finishes, and is judged.
  and not (rollout.state = 'superseded'
           and assignment.state in ('installing', 'verifying', 'reverting'))
