-- Approvals that changed, of which `rollout` has yet to be told: taken back, or given again.
alter table approval.revocations rename to approval_news;
alter table approval.approval_news rename column reason to lost;
comment on column approval.approval_news.lost is 'Why it was taken back; empty = it was given again.';
alter table approval.approval_news rename constraint revocations_pkey to approval_news_pkey;
alter table approval.approval_news rename constraint revocations_release_key to approval_news_release_key;
alter index approval.revocations_due_at_idx rename to approval_news_due_at_idx;
