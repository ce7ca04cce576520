-- Every device has one target, and its generation only grows.
select format('device %s has no target', device.id) as finding
from rollout.devices as device
where not exists (select from rollout.device_target_state as target where target.device_id = device.id)
union all
select format('device %s reported generation %s, and its target is at %s', status.device_id,
              status.reported_generation, target.generation)
from rollout.device_status as status
join rollout.device_target_state as target using (device_id)
where status.reported_generation > target.generation
union all
select format('rollout %s sent device %s generation %s, and its target is at %s',
              assignment.rollout_id, assignment.device_id, assignment.generation, target.generation)
from rollout.assignments as assignment
join rollout.device_target_state as target using (device_id)
where assignment.generation > target.generation
union all
select format('try %s of device %s in rollout %s was sent as generation %s, after a later one',
              attempt, device_id, rollout_id, generation)
from (
    select rollout_id, device_id, attempt, generation,
           lag(generation) over (partition by rollout_id, device_id order by attempt) as before
    from rollout.assignments
    where generation is not null
) as tried
where generation <= before
