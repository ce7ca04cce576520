-- A batch begins when the one before it is through, and a scope has one live rollout.
select format('batch %s of rollout %s began before batch %s was through', batch.number,
              batch.rollout_id, before.number) as finding
from rollout.rollout_batches as batch
join rollout.rollout_batches as before
    on before.rollout_id = batch.rollout_id and before.number = batch.number - 1
where batch.started_at is not null
  and (before.completed_at is null or before.completed_at > batch.started_at)
union all
select format('batch %s of rollout %s was sent to device %s before it began', assignment.batch_number,
              assignment.rollout_id, assignment.device_id)
from rollout.assignments as assignment
join rollout.rollout_batches as batch
    on batch.rollout_id = assignment.rollout_id and batch.number = assignment.batch_number
where assignment.generation is not null and batch.started_at is null
union all
select format('policy %s has %s live rollouts of %s', policy_id, count(*), repository)
from rollout.image_update_rollouts
where state in ('pending', 'running', 'paused', 'settling')
group by policy_id, repository
having count(*) > 1
union all
select format('device %s has %s updates of %s at once', device_id, count(*), repository)
from rollout.assignments
where state in ('offered', 'acked', 'downloading', 'staged', 'installing', 'verifying', 'reverting')
group by device_id, repository
having count(*) > 1
