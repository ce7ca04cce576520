//! Fields of a compose service that no device ever takes.

/// Returns why a field is always refused and what to do instead; `None` = it is not such a field.
pub(crate) fn always(field: &str) -> Option<&'static str> {
    match field {
        "image" => Some("the image stands beside the configuration, not in it; remove it"),
        "build" => Some("devices build nothing; push an image and remove it"),
        "privileged" => Some(
            "a privileged container owns the device; remove it, and ask for single capabilities",
        ),
        "pid" | "ipc" | "userns" | "userns_mode" => {
            Some("sharing this namespace gives the device away; remove it")
        }
        "cgroup_parent" | "runtime" => Some("the device chooses this itself; remove it"),
        "container_name" => Some("the agent names containers; remove it, use the service's name"),
        "links" => Some("services find each other by name; remove it"),
        "volumes_from" => {
            Some("this is not taken; remove it, and name the volumes in both services")
        }
        "env_file" => Some("no file travels with a configuration; write `environment` instead"),
        "extends" => Some("a configuration stands alone; remove it and write all fields"),
        "deploy" => Some("rollouts do this; remove it, use `mem_limit`, `cpus` and `restart`"),
        "sysctls" => Some("kernel settings are the device's; remove it"),
        _ => None,
    }
}
