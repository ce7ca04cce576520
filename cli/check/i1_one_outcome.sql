-- Each push has one outcome, and what it says is what there is.
with settled as (select now() - interval '5 minutes' as before)
select format('delivery %s was taken, but nothing was decided for it', delivery.id) as finding
from approval.deliveries as delivery
where delivery.decision is null
  and not exists (select from approval.pushes as push where push.delivery_id = delivery.id)
union all
select format('push %s waits for review %s, which %s', push.id, push.review_id,
              coalesce('was ' || review.state, 'is not there'))
from approval.pushes as push
left join approval.image_approval_requests as review on review.id = push.review_id
where push.state = 'held'
  and (review.id is null
       or (review.state <> 'pending' and review.follow_up is null
           and review.updated_at < (select before from settled)))
union all
select format('push %s is %s, which its decision %s does not lead to', push.id, push.state,
              coalesce(push.decision, 'none'))
from approval.pushes as push
where not case push.state
    when 'done' then push.decision is not distinct from 'allow'
    when 'held' then push.decision is not distinct from 'hold'
    when 'denied' then push.decision in ('deny', 'rejected')
    when 'ignored' then push.decision is not distinct from 'ignored'
    else true
end
union all
select format('push %s began rollout %s, which is not there', push.id, push.rollout_id)
from approval.pushes as push
where push.outcome = 'rollout'
  and push.updated_at > now() - interval '300 days'
  and not exists (
      select from rollout.image_update_rollouts as rollout
      where rollout.id::text = push.rollout_id and rollout.request_id = push.id
  )
union all
select format('rollout %s was begun by push %s, which says %s', rollout.id, rollout.request_id,
              coalesce(push.outcome, push.state, 'nothing: it is not there'))
from rollout.image_update_rollouts as rollout
left join approval.pushes as push on push.id = rollout.request_id
where rollout.created_at > now() - interval '300 days'
  and (push.id is null or (push.state = 'done' and push.outcome <> 'rollout')
       or push.state in ('denied', 'ignored'))
