-- Every approval was carried out, or says that something else came.
select format('review %s was %s, and the registry was not told for five minutes%s', review.id,
              review.state, coalesce(': ' || nullif(review.follow_up_error, ''), '')) as finding
from approval.image_approval_requests as review
where review.follow_up is not null and review.updated_at < now() - interval '5 minutes'
union all
select format('review %s was approved, and the registry knows nothing of it', review.id)
from approval.image_approval_requests as review
where review.state = 'approved' and review.follow_up is null and review.voter is not null
  and review.reviewed_at > now() - interval '80 days'
  and not exists (
      select from registry.image_decisions as decision
      where decision.request_id = review.id and decision.decision = 'approved'
  )
  -- Somebody approved it in the registry itself, and the review was closed with that.
  and not exists (
      select from registry.images as image
      where image.repository = review.repository and image.approval_status = 'approved'
  )
union all
select format('push %s is %s since %s', push.id, push.state, push.updated_at)
from approval.pushes as push
where push.state in ('received', 'waiting') and push.attempts = 0
  and push.updated_at < now() - interval '5 minutes'
union all
select format('rollout %s should have been looked at %s ago', id, now() - wake_at)
from rollout.image_update_rollouts
where wake_at < now() - interval '5 minutes'
