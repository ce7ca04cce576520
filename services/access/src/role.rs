//! What each role may do: the one place that says so.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use proto::access::v1 as pb;

/// What a bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads everything but tokens and the audit log.
    Viewer,
    /// Viewer, and runs the fleet.
    Operator,
    /// Viewer, and decides what may run.
    Approver,
    /// Everything.
    Admin,
}

/// What every role reads. The live log is what the console shows; the entries about credentials in
/// it need `tokens.read`.
const READS: &[&str] = &[
    "devices.read",
    "events.read",
    "gate.read",
    "images.read",
    "policies.read",
    "pushes.read",
    "receivers.read",
    "reviews.read",
    "rollouts.read",
    "upstreams.read",
];

/// What runs the fleet. An operator's image waits for an approver; the gate is not its to open.
const OPERATES: &[&str] = &[
    "devices.write",
    "images.admit",
    "images.write",
    "policies.write",
    "pushes.write",
    "receivers.write",
    "rollouts.write",
];

/// What decides. An approver changes nothing else, so that who asks and who decides are two.
const APPROVES: &[&str] = &["images.approve", "reviews.decide"];

/// What remains: the rules themselves, the whole fleet at once, credentials, and who did what.
const ADMINISTERS: &[&str] = &[
    "audit.read",
    "gate.write",
    "policies.fleetwide",
    "tokens.read",
    "tokens.write",
    "upstreams.write",
];

/// The permissions of each role, in the order of [`Role::ALL`].
static GRANTS: LazyLock<[Arc<BTreeSet<String>>; 4]> = LazyLock::new(|| {
    let union = |parts: &[&[&str]]| {
        Arc::new(parts.concat().into_iter().map(str::to_owned).collect::<BTreeSet<_>>())
    };
    [
        union(&[READS]),
        union(&[READS, OPERATES]),
        union(&[READS, APPROVES]),
        union(&[READS, OPERATES, APPROVES, ADMINISTERS]),
    ]
});

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The permissions it grants.
    #[must_use]
    pub fn permissions(self) -> Arc<BTreeSet<String>> {
        let [viewer, operator, approver, admin] = &*GRANTS;
        Arc::clone(match self {
            Self::Viewer => viewer,
            Self::Operator => operator,
            Self::Approver => approver,
            Self::Admin => admin,
        })
    }

    /// The word that rows and events carry.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// The role that a word of [`as_str`](Self::as_str) names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The role that a request names; `None` when it names none.
    #[must_use]
    pub fn from_proto(role: pb::Role) -> Option<Self> {
        match role {
            pb::Role::Unspecified => None,
            pb::Role::Viewer => Some(Self::Viewer),
            pb::Role::Operator => Some(Self::Operator),
            pb::Role::Approver => Some(Self::Approver),
            pb::Role::Admin => Some(Self::Admin),
        }
    }
}

impl From<Role> for pb::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Operator => Self::Operator,
            Role::Approver => Self::Approver,
            Role::Admin => Self::Admin,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proto::permission::{self, Permission};

    use super::*;

    /// `yes`, `no`, `some` (not the requests that need the second permission), or whose RPC it is.
    fn answer(role: Role, rpc: &Permission) -> &'static str {
        if rpc.name == permission::AUTHENTICATED {
            return "yes";
        }
        if permission::is_special(rpc.name) {
            return rpc.name;
        }
        let granted = role.permissions();
        match (granted.contains(rpc.name), rpc.also.is_empty() || granted.contains(rpc.also)) {
            (false, _) => "-",
            (true, true) => "yes",
            (true, false) => "some",
        }
    }

    #[test]
    fn every_rpc_is_open_to_the_roles_that_need_it() {
        let mut table = String::new();
        for rpc in permission::ALL {
            let path = rpc.path.trim_start_matches("/slipway.");
            write!(table, "{path:<52}").unwrap();
            for role in Role::ALL {
                write!(table, " {:<13}", answer(role, rpc)).unwrap();
            }
            table.truncate(table.trim_end().len());
            table.push('\n');
        }
        let head = Role::ALL.map(|role| format!("{role:<13}")).join(" ");
        insta::assert_snapshot!("permissions", format!("{:<52} {}\n{table}", "", head.trim_end()));
    }

    #[test]
    fn an_admin_holds_every_permission_of_the_protos_and_no_other() {
        let declared: BTreeSet<String> = permission::ALL
            .iter()
            .flat_map(|rpc| [rpc.name, rpc.also])
            .filter(|name| !name.is_empty() && !permission::is_special(name))
            .map(str::to_owned)
            .collect();
        assert_eq!(*Role::Admin.permissions(), declared);
    }

    #[test]
    fn a_refusal_names_the_least_role_that_grants_what_is_missing() {
        for permission in Role::Admin.permissions().iter() {
            let grants = |role: &Role| role.permissions().contains(permission);
            let least = Role::ALL.into_iter().find(grants).expect("an admin holds all");
            let told = runtime::auth::least_role(permission);
            assert_eq!(Role::from_proto(told), Some(least), "{permission}");
        }
    }

    #[test]
    fn every_role_reads_what_a_viewer_reads_and_only_an_admin_the_rest() {
        let viewer = Role::Viewer.permissions();
        for role in Role::ALL {
            assert!(role.permissions().is_superset(&viewer), "{role}");
            for secret in ["audit.read", "tokens.read", "tokens.write", "gate.write"] {
                assert_eq!(role.permissions().contains(secret), role == Role::Admin, "{role}");
            }
        }
        assert!(viewer.iter().all(|name| name.ends_with(".read")));
    }

    #[test]
    fn no_one_but_an_admin_both_asks_and_decides() {
        let asks = |role: Role| role.permissions().contains("images.write");
        let decides = |role: Role| role.permissions().contains("reviews.decide");
        for role in Role::ALL {
            assert_eq!(asks(role) && decides(role), role == Role::Admin, "{role}");
        }
    }

    #[test]
    fn words_and_proto_values_lead_back_to_their_role() {
        for role in Role::ALL {
            assert_eq!(Role::from_word(role.as_str()), Some(role));
            assert_eq!(Role::from_proto(role.into()), Some(role));
        }
        assert_eq!(Role::from_word("root"), None);
        assert_eq!(Role::from_proto(pb::Role::Unspecified), None);
    }
}
