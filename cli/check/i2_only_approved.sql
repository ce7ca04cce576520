-- No device was given anything that was not approved.
select format('rollout %s brings %s, but its push %s asked for %s and was answered `%s`', rollout.id,
              coalesce(rollout.digest, rollout.tag), push.id, coalesce(push.digest, push.tag),
              coalesce(push.decision, 'nothing')) as finding
from rollout.image_update_rollouts as rollout
join approval.pushes as push on push.id = rollout.request_id
where push.decision is distinct from 'allow'
   or push.repository <> rollout.repository
   or rollout.digest is distinct from case when push.pinned then push.digest end
union all
select format('rollout %s goes on, but %s is %s in the registry', rollout.id, image.repository,
              image.approval_status)
from rollout.image_update_rollouts as rollout
join registry.images as image using (repository)
where rollout.state in ('running', 'settling')
  and image.approval_status = 'rejected'
  and image.updated_at < now() - interval '5 minutes'
union all
select format('%s@%s is in a target, but nobody asked for it', target.repository, target.digest)
from (
    select distinct split_part(service ->> 'image', ':', 1) as repository, service ->> 'digest' as digest
    from rollout.device_target_state, jsonb_array_elements(services) as service
    where service ? 'digest'
) as target
where not exists (
    select
    from (
        select type, envelope from access.audit_log
        union all
        select type, envelope from rollout.outbox
    ) as event
    where event.type in ('image.rollout_created', 'device.target_set', 'fleet.template_set')
      and strpos(event.envelope, target.digest) > 0
)
