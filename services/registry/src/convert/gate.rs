//! The gate on the wire.

use imageref::Namespace;
use proto::registry::v1 as pb;
use runtime::{Problem, time};

use super::image::unknown_tag;
use super::{mask, required, unknown_path, unknown_value};
use crate::Error;
use crate::gate::{Gate, GateChange, VerifyUpstream};

/// More internal namespaces than this nobody keeps in view.
const MAX_NAMESPACES: usize = 100;

impl From<Gate> for pb::GateSettings {
    fn from(gate: Gate) -> Self {
        Self {
            etag: gate.etag(),
            unknown_tag: pb::UnknownTag::from(gate.unknown_tag).into(),
            verify_upstream: pb::VerifyUpstream::from(gate.verify_upstream).into(),
            internal_namespaces: gate
                .internal_namespaces
                .iter()
                .map(|namespace| pb::InternalNamespace {
                    host: namespace.host().to_string(),
                    namespace: namespace.path().to_owned(),
                })
                .collect(),
            repin: pb::Repin::Auto.into(),
            update_time: Some(time::to_timestamp(gate.updated_at)),
        }
    }
}

impl From<VerifyUpstream> for pb::VerifyUpstream {
    fn from(verify: VerifyUpstream) -> Self {
        match verify {
            VerifyUpstream::Off => Self::Off,
            VerifyUpstream::Warn => Self::Warn,
            VerifyUpstream::Require => Self::Require,
        }
    }
}

/// Reads what of the gate is to change, and the etag it was seen with.
pub(crate) fn gate_change(request: pb::UpdateGateRequest) -> Result<(String, GateChange), Error> {
    let gate = required("gate", request.gate)?;
    let mut change = GateChange::default();
    for path in mask(request.update_mask.map(|mask| mask.paths))? {
        match path.as_str() {
            "unknown_tag" => {
                let field = "gate.unknown_tag";
                let said = unknown_tag(field, gate.unknown_tag)?;
                let said = said
                    .ok_or_else(|| Problem::invalid(field, "is missing; say what is to happen"))?;
                change.unknown_tag = Some(said);
            }
            "verify_upstream" => {
                change.verify_upstream = Some(verify_upstream(gate.verify_upstream)?);
            }
            "internal_namespaces" => {
                change.internal_namespaces = Some(namespaces(&gate.internal_namespaces)?);
            }
            "repin" => check_repin(gate.repin)?,
            other => {
                let known = "`unknown_tag`, `verify_upstream`, `internal_namespaces`, `repin`";
                return Err(unknown_path(other, known).into());
            }
        }
    }
    Ok((gate.etag, change))
}

fn verify_upstream(value: i32) -> Result<VerifyUpstream, Problem> {
    let field = "gate.verify_upstream";
    match pb::VerifyUpstream::try_from(value) {
        Ok(pb::VerifyUpstream::Unspecified) => {
            Err(Problem::invalid(field, "is missing; say what is to happen"))
        }
        Ok(pb::VerifyUpstream::Off) => Ok(VerifyUpstream::Off),
        Ok(pb::VerifyUpstream::Warn) => Ok(VerifyUpstream::Warn),
        Ok(pb::VerifyUpstream::Require) => Ok(VerifyUpstream::Require),
        Err(_) => Err(unknown_value(field)),
    }
}

fn check_repin(value: i32) -> Result<(), Problem> {
    match pb::Repin::try_from(value) {
        Ok(pb::Repin::Auto) => Ok(()),
        Ok(pb::Repin::Unspecified) | Err(_) => Err(Problem::invalid(
            "gate.repin",
            "can only be `auto` in this version: a tag's new digest is taken; set that or leave it out",
        )),
    }
}

fn namespaces(given: &[pb::InternalNamespace]) -> Result<Vec<Namespace>, Error> {
    let field = "gate.internal_namespaces";
    if given.len() > MAX_NAMESPACES {
        let message = format!("are more than {MAX_NAMESPACES}; name wider ones");
        return Err(Problem::invalid(field, message).into());
    }
    let mut namespaces = Vec::with_capacity(given.len());
    for one in given {
        let namespace = Namespace::new(&one.host, &one.namespace)
            .map_err(|cause| Error::InvalidReference { field, cause })?;
        if !namespaces.contains(&namespace) {
            namespaces.push(namespace);
        }
    }
    Ok(namespaces)
}
