//! Services checked against each other.

use workload::{Config, MAX_SERVICES, Service, ServiceName, Violation, check_group};

fn check(services: &[(&str, &str)]) -> Result<Vec<String>, Vec<Violation>> {
    let parsed: Vec<(ServiceName, Config)> = services
        .iter()
        .map(|(name, json)| {
            let name = ServiceName::parse(name).expect("the name is valid");
            (name, Config::parse(json).expect("the configuration is valid"))
        })
        .collect();
    let group: Vec<Service<'_>> =
        parsed.iter().map(|(name, config)| Service { name, config }).collect();
    check_group(&group).map(|order| order.into_iter().map(ToString::to_string).collect())
}

fn needs(names: &[&str]) -> String {
    let needed: Vec<String> =
        names.iter().map(|name| format!(r#""{name}":{{"condition":"started"}}"#)).collect();
    format!(r#"{{"depends_on":{{{}}}}}"#, needed.join(","))
}

#[test]
fn services_start_after_those_they_need_else_by_name() {
    let (web, api, db) = (needs(&["api", "cache"]), needs(&["db"]), needs(&[]));
    let services =
        [("web", web.as_str()), ("db", &db), ("cache", &db), ("api", &api), ("a-last", &web)];
    let expected = ["db", "api", "cache", "a-last", "web"];
    assert_eq!(check(&services).expect("the group is fine"), expected);
    let reversed: Vec<(&str, &str)> = services.into_iter().rev().collect();
    assert_eq!(check(&reversed).expect("the group is fine"), expected);
    assert_eq!(check(&[]), Ok(Vec::new()));
}

#[test]
fn names_are_unique_dns_labels() {
    let violations = check(&[("web", "{}"), ("db", "{}"), ("web", "{}")]).expect_err("`web` twice");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].path, "services[2].name");
    assert!(violations[0].message.contains("`services[0]`"), "{}", violations[0]);
    for good in ["a", "7", "web-1", &"a".repeat(63)] {
        assert_eq!(ServiceName::parse(good).expect("the name is valid").as_str(), good);
    }
    for bad in ["", "Web", "web_1", "web.1", "-web", "web-", "wéb", "web\n", &"a".repeat(64)] {
        let message = ServiceName::parse(bad).expect_err("the name is invalid").to_string();
        assert!(message.contains("is not a service name; use 1 to 63"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert!(serde_json::from_str::<ServiceName>(&serde_json::json!(bad).to_string()).is_err());
    }
}

#[test]
fn dependencies_exist() {
    let web = needs(&["db", "gone"]);
    let violations = check(&[("db", "{}"), ("web", &web)]).expect_err("`gone` is missing");
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].path, "services[1].config.depends_on.gone");
    assert!(violations[0].message.contains("there is no service `gone`"));
}

#[test]
fn circles_are_refused_and_shown() {
    let own = check(&[("a", &needs(&["a"]))]).expect_err("`a` needs itself");
    assert_eq!(own[0].path, "services[0].config.depends_on.a");
    assert!(own[0].message.starts_with("`a` → `a` is a circle"), "{}", own[0]);

    let (a, b, c) = (needs(&["b"]), needs(&["c"]), needs(&["a", "d"]));
    let services = [("d", "{}"), ("c", c.as_str()), ("b", &b), ("a", &a), ("e", &a)];
    let violations = check(&services).expect_err("there is a circle");
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0].path, "services[1].config.depends_on.a");
    assert!(violations[0].message.starts_with("`a` → `b` → `c` → `a` is a circle"));

    let (x, y) = (needs(&["y"]), needs(&["x"]));
    let two = [("a", a.as_str()), ("b", &b), ("c", &c), ("d", "{}"), ("x", &x), ("y", &y)];
    assert_eq!(check(&two).expect_err("there are two circles").len(), 2);
}

#[test]
fn no_two_services_publish_one_port() {
    let port = |rest: &str| format!(r#"{{"ports":[{{"target":80,"published":80{rest}}}]}}"#);
    let clash = |one: &str, other: &str| check(&[("a", &port(one)), ("b", &port(other))]).is_err();
    assert!(clash("", ""));
    assert!(clash("", r#","host_ip":"10.0.0.7""#));
    assert!(clash(r#","host_ip":"10.0.0.7""#, r#","host_ip":"10.0.0.7""#));
    assert!(!clash(r#","host_ip":"10.0.0.7""#, r#","host_ip":"10.0.0.8""#));
    assert!(!clash("", r#","protocol":"udp""#));
    assert!(!clash("", r#","host_ip":"::""#));
    let other = r#"{"ports":[{"target":81,"published":81},{"target":80,"published":80}]}"#;
    let violations = check(&[("a", &port("")), ("b", other)]).expect_err("port 80 twice");
    assert_eq!(violations[0].path, "services[1].config.ports[1].published");
    assert!(violations[0].message.contains("service `a` publishes port 80 too"));
}

#[test]
fn a_device_has_a_bounded_number_of_services() {
    let names: Vec<String> = (0..=MAX_SERVICES).map(|i| format!("s{i}")).collect();
    let chain: Vec<String> = (0..=MAX_SERVICES)
        .map(|i| if i == 0 { "{}".to_owned() } else { needs(&[&names[i - 1]]) })
        .collect();
    let services: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(chain.iter().map(String::as_str)).collect();
    assert_eq!(check(&services[..MAX_SERVICES]).expect("a long chain is fine").len(), MAX_SERVICES);
    let violations = check(&services).expect_err("one too many");
    assert_eq!(violations[0].path, "services");
}
