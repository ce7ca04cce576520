//! Slipway's gRPC services as Rust.
//!
//! The protos under `slipway/` are the interface: every service, message and field is described
//! there. This crate holds what is generated from them and two tables beside it:
//!
//! - [`permission`]: what the caller of each RPC must hold, read out of the protos' options;
//! - [`reason`]: the constants that errors and decisions carry for programs.

pub mod permission;
pub mod reason;

/// The compiled protos with comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// Options that the protos declare.
pub mod option {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.option.v1");
    }
}

/// Nouns that several services share.
pub mod types {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.types.v1");
    }
}

/// What happened.
pub mod event {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.event.v1");
    }
}

/// Who are you, what may you do, who did what.
pub mod access {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.access.v1");
    }
}

/// Which images and tags may run.
pub mod registry {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.registry.v1");
    }
}

/// What happens to a push.
pub mod approval {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.approval.v1");
    }
}

/// Which device should run what.
pub mod rollout {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("slipway.rollout.v1");
    }
}
