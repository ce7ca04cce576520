//! Every example that documents 1 and 2 print, sent as printed: method, path, headers, body. As they
//! show no credential, these run on a Slipway that asks for none.

mod devices;
mod images;
mod policies;
mod psql;
mod rollouts;
mod tags;
mod workflows;

use serde_json::Value;
use testbed::{Settings, Slipway};

/// A Slipway as the documents assume it: with the first data, open to everybody on the machine.
async fn slipway() -> Slipway {
    let settings = Settings { no_auth: true, ..Settings::default() };
    let mut slipway = Slipway::start_with(settings).await;
    slipway.api = slipway.api.nobody();
    slipway
}

/// Holds an answer against a printed one: every member is there with the type that is printed. Each
/// element of a list has the members of the first one printed.
#[track_caller]
fn has_shape(answer: &Value, printed: &Value) {
    if let Err(problem) = compare(answer, printed) {
        panic!("{problem}\nprinted: {printed}\nanswer: {answer:#}");
    }
}

fn compare(answer: &Value, printed: &Value) -> Result<(), String> {
    match (answer, printed) {
        (Value::Object(answer), Value::Object(printed)) => {
            printed.iter().try_for_each(|(name, printed)| {
                let member = answer.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
                compare(member, printed).map_err(|problem| format!("{name}: {problem}"))
            })
        }
        (Value::Array(answer), Value::Array(printed)) => {
            let Some(printed) = printed.first() else { return Ok(()) };
            if answer.is_empty() {
                return Err("the list is empty".to_owned());
            }
            answer.iter().try_for_each(|element| compare(element, printed))
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => Ok(()),
        (answer, printed) => Err(format!("{answer} is not of the type of {printed}")),
    }
}

/// One member of each element of a list.
fn each<'a>(list: &'a Value, member: &str) -> Vec<&'a str> {
    let elements = list.as_array().unwrap().iter();
    elements.map(|element| element[member].as_str().unwrap()).collect()
}
