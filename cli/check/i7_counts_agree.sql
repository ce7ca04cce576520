-- What is counted is what is there.
select format('rollout %s says it has %s devices, and has %s', rollout.id, rollout.device_count,
              count(assignment.id)) as finding
from rollout.image_update_rollouts as rollout
left join rollout.assignments as assignment
    on assignment.rollout_id = rollout.id and assignment.is_current
where rollout.ended_at is null
group by rollout.id
having count(assignment.id) <> rollout.device_count
union all
-- Connected devices of later batches may take the place of missing ones, so that a batch can have more
-- than were planned for it once it has begun, and less before.
select format('rollout %s planned batches of %s devices together, and has %s', rollout.id,
              sum(batch.size), rollout.device_count)
from rollout.image_update_rollouts as rollout
join rollout.rollout_batches as batch on batch.rollout_id = rollout.id
group by rollout.id
having sum(batch.size) <> rollout.device_count
union all
select format('batch %s of rollout %s was planned with %s devices and has %s before it began',
              batch.number, batch.rollout_id, batch.size, count(assignment.id))
from rollout.rollout_batches as batch
join rollout.image_update_rollouts as rollout
    on rollout.id = batch.rollout_id and rollout.ended_at is null
left join rollout.assignments as assignment
    on assignment.rollout_id = batch.rollout_id and assignment.batch_number = batch.number
   and assignment.is_current
where batch.started_at is null
group by batch.rollout_id, batch.number
having count(assignment.id) > batch.size
union all
select format('device %s is in rollout %s without a newest try', device_id, rollout_id)
from rollout.assignments
group by rollout_id, device_id
having count(*) filter (where is_current) <> 1
    or max(attempt) <> max(attempt) filter (where is_current)
union all
select format('image %s has %s recommended tags', image_id, count(*))
from registry.image_tags
where is_recommended
group by image_id
having count(*) > 1
