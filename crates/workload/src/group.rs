//! Services of one device, checked against each other.

use std::collections::BTreeMap;

use crate::{Config, ServiceName, Violation};

/// How many services a device may have.
pub const MAX_SERVICES: usize = 256;

/// A service of a group.
#[derive(Debug, Clone, Copy)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a ServiceName,
    /// Its configuration.
    pub config: &'a Config,
}

/// Checks services against each other and returns the order in which they start.
///
/// Names are unique, dependencies exist and run in no circle, and no two publish one port. A service
/// comes after those it depends on, else by name, so the order does not change with that of the
/// list. Paths of violations begin with the service's place: `services[1].config.ports[0]`.
pub fn check_group<'a>(services: &[Service<'a>]) -> Result<Vec<&'a ServiceName>, Vec<Violation>> {
    if services.len() > MAX_SERVICES {
        let message =
            format!("{} services are too many; use at most {MAX_SERVICES}", services.len());
        return Err(vec![Violation::new("services", message)]);
    }
    let mut violations = Vec::new();
    let places = places(services, &mut violations);
    missing_dependencies(services, &places, &mut violations);
    shared_ports(services, &mut violations);
    let order = order(services, &places, &mut violations);
    if violations.is_empty() { Ok(order) } else { Err(violations) }
}

type Places<'a> = BTreeMap<&'a ServiceName, usize>;

fn places<'a>(services: &[Service<'a>], violations: &mut Vec<Violation>) -> Places<'a> {
    let mut places = BTreeMap::new();
    for (i, service) in services.iter().enumerate() {
        let first = *places.entry(service.name).or_insert(i);
        if first != i {
            let message = format!(
                "`{}` is the name of `services[{first}]` too; choose another",
                service.name
            );
            violations.push(Violation::new(format!("services[{i}].name"), message));
        }
    }
    places
}

fn missing_dependencies(
    services: &[Service<'_>],
    places: &Places<'_>,
    violations: &mut Vec<Violation>,
) {
    for (i, service) in services.iter().enumerate() {
        for needed in service.config.container().depends_on.keys() {
            if !places.contains_key(needed) {
                let message = format!("there is no service `{needed}`; add it or remove this");
                violations.push(Violation::new(dependency_path(i, needed), message));
            }
        }
    }
}

fn shared_ports(services: &[Service<'_>], violations: &mut Vec<Violation>) {
    for (i, service) in services.iter().enumerate() {
        for (j, port) in service.config.container().ports.iter().enumerate() {
            let publishes = |other: &&Service<'_>| {
                other.config.container().ports.iter().any(|other| other.clashes_with(port))
            };
            if let Some(other) = services[..i].iter().find(publishes) {
                let path = format!("services[{i}].config.ports[{j}].published");
                let message = format!(
                    "service `{}` publishes port {} too; choose another",
                    other.name, port.published
                );
                violations.push(Violation::new(path, message));
            }
        }
    }
}

/// Orders the services; each circle is noted once and then opened where it was found.
fn order<'a>(
    services: &[Service<'a>],
    places: &Places<'a>,
    violations: &mut Vec<Violation>,
) -> Vec<&'a ServiceName> {
    let mut walk = Walk { services, places, open: Vec::new(), done: Vec::new(), violations };
    for place in places.values() {
        walk.visit(*place);
    }
    walk.done
}

struct Walk<'w, 'a> {
    services: &'w [Service<'a>],
    places: &'w Places<'a>,
    open: Vec<&'a ServiceName>,
    done: Vec<&'a ServiceName>,
    violations: &'w mut Vec<Violation>,
}

impl Walk<'_, '_> {
    fn visit(&mut self, place: usize) {
        let service = self.services[place];
        if self.done.contains(&service.name) {
            return;
        }
        self.open.push(service.name);
        for needed in service.config.container().depends_on.keys() {
            if let Some(start) = self.open.iter().position(|open| *open == needed) {
                self.note_circle(place, start, needed);
            } else if let Some(place) = self.places.get(needed) {
                self.visit(*place);
            }
        }
        self.open.pop();
        self.done.push(service.name);
    }

    fn note_circle(&mut self, place: usize, start: usize, needed: &ServiceName) {
        let circle: Vec<String> =
            self.open[start..].iter().map(|name| format!("`{name}`")).collect();
        let message = format!(
            "{} → `{needed}` is a circle, so none of them could start; remove one dependency",
            circle.join(" → ")
        );
        self.violations.push(Violation::new(dependency_path(place, needed), message));
    }
}

fn dependency_path(place: usize, needed: &ServiceName) -> String {
    format!("services[{place}].config.depends_on.{needed}")
}
