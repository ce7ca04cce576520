//! The constants that errors, verdicts and reports carry for programs.
//!
//! Append only: a constant keeps its meaning for ever. What varies stands in the metadata, never in
//! the constant.

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "slipway";

// === Requests ===

/// A field does not hold what it may; the violations name it.
pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
/// A text is no image reference, or the wrong kind of one.
pub const INVALID_REFERENCE: &str = "INVALID_REFERENCE";
/// A page token is not of this list, or its filters changed.
pub const INVALID_PAGE_TOKEN: &str = "INVALID_PAGE_TOKEN";
/// The same request id came with another request.
pub const REQUEST_ID_REUSED: &str = "REQUEST_ID_REUSED";
/// The thing changed since it was read.
pub const STALE_ETAG: &str = "STALE_ETAG";
/// A body is over its limit.
pub const BODY_TOO_LARGE: &str = "BODY_TOO_LARGE";
/// A body is not what its route takes.
pub const MALFORMED_BODY: &str = "MALFORMED_BODY";
/// The request is right and asks for what this version does not do.
pub const NOT_BUILT: &str = "NOT_BUILT";
/// There is no such route.
pub const ROUTE_NOT_FOUND: &str = "ROUTE_NOT_FOUND";
/// The route does not take this method.
pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
/// The body is not of the type that the route takes.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
/// The headers are over their limit.
pub const HEADERS_TOO_LARGE: &str = "HEADERS_TOO_LARGE";
/// The request did not come whole in time.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// A page of another site asked a browser to send it.
pub const CROSS_ORIGIN: &str = "CROSS_ORIGIN";
/// Too many live streams are open.
pub const TOO_MANY_STREAMS: &str = "TOO_MANY_STREAMS";

// === Callers ===

/// No credential came with the call.
pub const CREDENTIALS_MISSING: &str = "CREDENTIALS_MISSING";
/// The `authorization` header is not `Bearer …`.
pub const CREDENTIALS_MALFORMED: &str = "CREDENTIALS_MALFORMED";
/// Nobody bears this token.
pub const TOKEN_UNKNOWN: &str = "TOKEN_UNKNOWN";
/// The token has ended.
pub const TOKEN_EXPIRED: &str = "TOKEN_EXPIRED";
/// The token was revoked.
pub const TOKEN_REVOKED: &str = "TOKEN_REVOKED";
/// The caller's role does not grant this; metadata `permission`.
pub const PERMISSION_MISSING: &str = "PERMISSION_MISSING";
/// Only another process of Slipway may call this.
pub const SERVICE_ONLY: &str = "SERVICE_ONLY";
/// Only a device may call this, with its own credential.
pub const DEVICE_ONLY: &str = "DEVICE_ONLY";
/// The caller cannot be checked: `access` does not answer.
pub const ACCESS_UNREACHABLE: &str = "ACCESS_UNREACHABLE";

// === Services ===

/// The database does not answer.
pub const DATABASE_UNREACHABLE: &str = "DATABASE_UNREACHABLE";
/// The process `registry` does not answer.
pub const REGISTRY_UNREACHABLE: &str = "REGISTRY_UNREACHABLE";
/// The process `approval` does not answer.
pub const APPROVAL_UNREACHABLE: &str = "APPROVAL_UNREACHABLE";
/// The process `rollout` does not answer.
pub const ROLLOUT_UNREACHABLE: &str = "ROLLOUT_UNREACHABLE";
/// The call took too long.
pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
/// The process is about to end.
pub const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
/// A fault of Slipway's; the request id finds it in the logs.
pub const INTERNAL: &str = "INTERNAL";

// === Images and tags ===

/// There is no such image.
pub const IMAGE_NOT_FOUND: &str = "IMAGE_NOT_FOUND";
/// The image is there already.
pub const IMAGE_EXISTS: &str = "IMAGE_EXISTS";
/// An enabled update policy matches the image.
pub const IMAGE_HAS_POLICIES: &str = "IMAGE_HAS_POLICIES";
/// The image is not in the approved registry.
pub const IMAGE_NOT_APPROVED: &str = "IMAGE_NOT_APPROVED";
/// The image waits for its approval.
pub const IMAGE_PENDING: &str = "IMAGE_PENDING";
/// The image was rejected.
pub const IMAGE_REJECTED: &str = "IMAGE_REJECTED";
/// The image is approved.
pub const IMAGE_APPROVED: &str = "IMAGE_APPROVED";
/// The image is of an internal namespace.
pub const INTERNAL_NAMESPACE: &str = "INTERNAL_NAMESPACE";
/// There is no such tag.
pub const TAG_NOT_FOUND: &str = "TAG_NOT_FOUND";
/// The tag is there already.
pub const TAG_EXISTS: &str = "TAG_EXISTS";
/// The tag is marked as deprecated.
pub const TAG_DEPRECATED: &str = "TAG_DEPRECATED";
/// A person must approve this tag.
pub const TAG_NOT_APPROVED: &str = "TAG_NOT_APPROVED";
/// The tag is not in the approved tags list.
pub const TAG_NOT_LISTED: &str = "TAG_NOT_LISTED";
/// The tag was unknown and was added.
pub const TAG_ADDED: &str = "TAG_ADDED";
/// The digest belongs to no tag of the image.
pub const DIGEST_NOT_LISTED: &str = "DIGEST_NOT_LISTED";

// === Upstream registries ===

/// There is no such upstream, or it does not have the image.
pub const UPSTREAM_NOT_FOUND: &str = "UPSTREAM_NOT_FOUND";
/// An upstream of that name, host or URL is there already.
pub const UPSTREAM_EXISTS: &str = "UPSTREAM_EXISTS";
/// No upstream lists the host.
pub const UPSTREAM_NOT_CONFIGURED: &str = "UPSTREAM_NOT_CONFIGURED";
/// The upstream does not answer, or not as it should.
pub const UPSTREAM_UNREACHABLE: &str = "UPSTREAM_UNREACHABLE";
/// The upstream asks to wait.
pub const UPSTREAM_RATE_LIMITED: &str = "UPSTREAM_RATE_LIMITED";
/// The upstream wants credentials, or others.
pub const UPSTREAM_REFUSED: &str = "UPSTREAM_REFUSED";

// === Webhooks and pushes ===

/// There is no such receiver.
pub const RECEIVER_NOT_FOUND: &str = "RECEIVER_NOT_FOUND";
/// A receiver of that name is there already.
pub const RECEIVER_EXISTS: &str = "RECEIVER_EXISTS";
/// The request does not fit the receiver's secret.
pub const BAD_SIGNATURE: &str = "BAD_SIGNATURE";
/// The receiver, or the sender's address, sends too fast.
pub const TOO_MANY_DELIVERIES: &str = "TOO_MANY_DELIVERIES";
/// The same delivery id came with other events.
pub const DELIVERY_ID_REUSED: &str = "DELIVERY_ID_REUSED";
/// The same delivery is being stored; it is worth trying again.
pub const DELIVERY_BUSY: &str = "DELIVERY_BUSY";
/// The receiver may not speak for this registry or repository.
pub const SOURCE_NOT_AUTHORISED: &str = "SOURCE_NOT_AUTHORISED";
/// The event is not about a container image.
pub const NOT_AN_IMAGE: &str = "NOT_AN_IMAGE";
/// The event is not a push.
pub const NOT_A_PUSH: &str = "NOT_A_PUSH";
/// The event names a manifest without a tag.
pub const NO_TAG: &str = "NO_TAG";
/// There is no such push.
pub const PUSH_NOT_FOUND: &str = "PUSH_NOT_FOUND";
/// Another process of Slipway does not answer; the push waits for it.
pub const PEER_UNREACHABLE: &str = "PEER_UNREACHABLE";
/// The registry does not know the tag, or not yet.
pub const NOT_RESOLVABLE: &str = "NOT_RESOLVABLE";
/// The sender was believed; the rollout goes by tag.
pub const PAYLOAD_TRUSTED: &str = "PAYLOAD_TRUSTED";
/// The registry says which digest the tag has.
pub const DIGEST_RESOLVED: &str = "DIGEST_RESOLVED";
/// The registry says another digest than the event; the registry's counts.
pub const STALE_EVENT: &str = "STALE_EVENT";
/// The event is older than the oldest that is still decided.
pub const EVENT_TOO_OLD: &str = "EVENT_TOO_OLD";

// === Reviews ===

/// There is no such review.
pub const REVIEW_NOT_FOUND: &str = "REVIEW_NOT_FOUND";
/// The review is decided already.
pub const REVIEW_DECIDED: &str = "REVIEW_DECIDED";
/// The caller asked for this review.
pub const SELF_REVIEW: &str = "SELF_REVIEW";
/// The digest or evidence voted on is not the review's.
pub const EVIDENCE_CHANGED: &str = "EVIDENCE_CHANGED";
/// A person said yes.
pub const REVIEW_APPROVED: &str = "REVIEW_APPROVED";
/// A person said no.
pub const REVIEW_REJECTED: &str = "REVIEW_REJECTED";
/// Nobody decided in time.
pub const REVIEW_EXPIRED: &str = "REVIEW_EXPIRED";

// === Policies and rollouts ===

/// There is no such policy.
pub const POLICY_NOT_FOUND: &str = "POLICY_NOT_FOUND";
/// A policy of that name is there already.
pub const POLICY_EXISTS: &str = "POLICY_EXISTS";
/// A rollout of the policy is under way.
pub const POLICY_HAS_ROLLOUTS: &str = "POLICY_HAS_ROLLOUTS";
/// The policy is disabled.
pub const POLICY_DISABLED: &str = "POLICY_DISABLED";
/// No enabled policy matches.
pub const NO_POLICY: &str = "NO_POLICY";
/// The policy takes no device.
pub const NO_TARGET: &str = "NO_TARGET";
/// The devices have this release, or are getting it.
pub const UNCHANGED: &str = "UNCHANGED";
/// The release was rolled back before.
pub const QUARANTINED: &str = "QUARANTINED";
/// A rollout was made.
pub const ROLLOUT_CREATED: &str = "ROLLOUT_CREATED";
/// There is no such rollout.
pub const ROLLOUT_NOT_FOUND: &str = "ROLLOUT_NOT_FOUND";
/// The rollout has begun or ended.
pub const ROLLOUT_NOT_PENDING: &str = "ROLLOUT_NOT_PENDING";
/// The rollout does not run.
pub const ROLLOUT_NOT_RUNNING: &str = "ROLLOUT_NOT_RUNNING";
/// The rollout is not paused.
pub const ROLLOUT_NOT_PAUSED: &str = "ROLLOUT_NOT_PAUSED";
/// The rollout has ended.
pub const ROLLOUT_ENDED: &str = "ROLLOUT_ENDED";
/// Another batch is next.
pub const BATCH_NOT_NEXT: &str = "BATCH_NOT_NEXT";
/// No device failed.
pub const NOTHING_TO_RETRY: &str = "NOTHING_TO_RETRY";
/// A person did it.
pub const OPERATOR: &str = "OPERATOR";
/// The release is no longer approved.
pub const APPROVAL_LOST: &str = "APPROVAL_LOST";
/// More devices failed than the policy allows.
pub const FAILURE_RATIO: &str = "FAILURE_RATIO";
/// As many devices failed as the policy allows.
pub const MAX_FAILURES: &str = "MAX_FAILURES";
/// Too many devices failed in a row.
pub const MAX_CONSECUTIVE: &str = "MAX_CONSECUTIVE";
/// Too few devices of the batch can show that it works.
pub const NO_EVIDENCE: &str = "NO_EVIDENCE";
/// It is not known what the device ran before.
pub const NO_FALLBACK: &str = "NO_FALLBACK";
/// No device needed it.
pub const NOTHING_TO_DO: &str = "NOTHING_TO_DO";
/// All devices left are offline.
pub const WAITING_FOR_DEVICES: &str = "WAITING_FOR_DEVICES";
/// An older rollout of the same images goes back first.
pub const WAITING_FOR_ROLLBACK: &str = "WAITING_FOR_ROLLBACK";
/// A newer release took its place.
pub const SUPERSEDED: &str = "SUPERSEDED";
/// The device runs it already.
pub const ALREADY_RUNNING: &str = "ALREADY_RUNNING";
/// The device runs no service of this image.
pub const NO_MATCHING_SERVICE: &str = "NO_MATCHING_SERVICE";
/// The device is held.
pub const PINNED: &str = "PINNED";
/// The release has nothing for the device's platform.
pub const INCOMPATIBLE: &str = "INCOMPATIBLE";
/// The service was not healthy before.
pub const PRE_UNHEALTHY: &str = "PRE_UNHEALTHY";
/// The device is not connected.
pub const OFFLINE: &str = "OFFLINE";
/// The device stayed away too long.
pub const EXPIRED: &str = "EXPIRED";
/// The device, or its service, was removed.
pub const REMOVED: &str = "REMOVED";
/// Another rollout changes the same service.
pub const BUSY: &str = "BUSY";

// === Devices ===

/// There is no such device.
pub const DEVICE_NOT_FOUND: &str = "DEVICE_NOT_FOUND";
/// The fleet has a device of that name.
pub const DEVICE_EXISTS: &str = "DEVICE_EXISTS";
/// The device's credentials were ended.
pub const DEVICE_REVOKED: &str = "DEVICE_REVOKED";
/// No device bears this token.
pub const DEVICE_TOKEN_UNKNOWN: &str = "DEVICE_TOKEN_UNKNOWN";
/// There is no such fleet.
pub const FLEET_NOT_FOUND: &str = "FLEET_NOT_FOUND";
/// There is no such enrolment key.
pub const ENROLMENT_KEY_NOT_FOUND: &str = "ENROLMENT_KEY_NOT_FOUND";
/// An enrolment key of that name is there already.
pub const ENROLMENT_KEY_EXISTS: &str = "ENROLMENT_KEY_EXISTS";
/// The enrolment key is none, or was ended.
pub const ENROLMENT_KEY_UNKNOWN: &str = "ENROLMENT_KEY_UNKNOWN";
/// The enrolment key has ended.
pub const ENROLMENT_KEY_EXPIRED: &str = "ENROLMENT_KEY_EXPIRED";
/// The enrolment key was used as often as it may be.
pub const ENROLMENT_QUOTA_USED: &str = "ENROLMENT_QUOTA_USED";
/// A newer stream of the same device took this one's place.
pub const SESSION_SUPERSEDED: &str = "SESSION_SUPERSEDED";
/// Too many devices connect at once.
pub const TOO_MANY_CONNECTS: &str = "TOO_MANY_CONNECTS";
/// The service runs and is not healthy.
pub const HEALTH_CHECK_FAILED: &str = "HEALTH_CHECK_FAILED";
/// The image could not be pulled.
pub const PULL_FAILED: &str = "PULL_FAILED";
/// The service did not start.
pub const START_FAILED: &str = "START_FAILED";
/// The service ended.
pub const CRASHED: &str = "CRASHED";
/// The device did not answer in time.
pub const TIMED_OUT: &str = "TIMED_OUT";
/// The service's health came and went too often.
pub const FLAPPING: &str = "FLAPPING";
/// The device could not reach the server and went back.
pub const NO_CONTACT: &str = "NO_CONTACT";
/// The device has no room.
pub const DISK_FULL: &str = "DISK_FULL";
/// What was pulled is not what was asked for.
pub const DIGEST_MISMATCH: &str = "DIGEST_MISMATCH";
/// What was pulled is for another platform.
pub const WRONG_PLATFORM: &str = "WRONG_PLATFORM";
/// The device is locked against changes.
pub const LOCKED: &str = "LOCKED";
/// A hook on the device refused.
pub const VETO: &str = "VETO";
/// The device cannot use the configuration.
pub const BAD_CONFIG: &str = "BAD_CONFIG";
/// The device restarted too often during the update.
pub const BOOT_LOOP: &str = "BOOT_LOOP";
/// The device went back, and what ran before does not work either.
pub const REVERT_FAILED: &str = "REVERT_FAILED";
/// The container engine does not answer.
pub const ENGINE_HUNG: &str = "ENGINE_HUNG";

// === Tokens and the audit log ===

/// There is no such token.
pub const TOKEN_NOT_FOUND: &str = "TOKEN_NOT_FOUND";
/// The subject has a live token of that name.
pub const TOKEN_EXISTS: &str = "TOKEN_EXISTS";
