//! Fields of one configuration that are fine alone and not together.

use crate::{Container, HostPath, NetworkMode, Protocol, Violation};

/// Lists the conflicts within a container.
pub(crate) fn within(container: &Container) -> Vec<Violation> {
    let mut violations = Vec::new();
    ports_without_a_bridge(container, &mut violations);
    ports_published_twice(container, &mut violations);
    mounts_at_one_place(container, &mut violations);
    probes_of_nothing(container, &mut violations);
    violations
}

fn ports_without_a_bridge(container: &Container, violations: &mut Vec<Violation>) {
    let network = match container.network_mode {
        NetworkMode::Slipway => return,
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
    };
    if !container.ports.is_empty() {
        let message = format!(
            "network `{network}` publishes no ports; remove them, or use network `slipway`"
        );
        violations.push(Violation::new("ports", message));
    }
}

fn ports_published_twice(container: &Container, violations: &mut Vec<Violation>) {
    for (i, port) in container.ports.iter().enumerate() {
        if container.ports[..i].iter().any(|earlier| earlier.clashes_with(port)) {
            let message = format!("port {} is published twice; choose another", port.published);
            violations.push(Violation::new(format!("ports[{i}].published"), message));
        }
    }
}

fn mounts_at_one_place(container: &Container, violations: &mut Vec<Violation>) {
    let tmpfs = container.tmpfs.iter().enumerate().map(|(i, path)| (format!("tmpfs[{i}]"), path));
    let volumes = container.volumes.iter().enumerate();
    let volumes = volumes.map(|(i, volume)| (format!("volumes[{i}].target"), &volume.target));
    let secrets = container.secrets.iter().enumerate();
    let secrets = secrets.map(|(i, secret)| (format!("secrets[{i}].target"), &secret.target));
    let mounts: Vec<(String, &HostPath)> = tmpfs.chain(volumes).chain(secrets).collect();
    for (i, (path, target)) in mounts.iter().enumerate() {
        if let Some((earlier, _)) = mounts[..i].iter().find(|(_, other)| other == target) {
            let message = format!("`{earlier}` is mounted at `{target}` too; choose another place");
            violations.push(Violation::new(path, message));
        }
    }
}

fn probes_of_nothing(container: &Container, violations: &mut Vec<Violation>) {
    if container.network_mode == NetworkMode::Host {
        return;
    }
    for (i, probe) in container.update.probes.iter().enumerate() {
        let Some(port) = probe.port() else { continue };
        let published = |p: &crate::Port| p.published == port && p.protocol == Protocol::Tcp;
        if !container.ports.iter().any(published) {
            let message = format!("TCP port {port} is not published; publish it, or use `exec`");
            violations.push(Violation::new(format!("x-slipway.probes[{i}]"), message));
        }
    }
}
