//! What somebody may have meant.

/// The name nearest to what was typed, when one is near enough: a third of its letters away at the
/// most, whatever their case.
#[must_use]
pub fn nearest<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed_lower = typed.to_lowercase();
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(&typed_lower, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (typed.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = ["local", "production", "staging"];
        assert_eq!(nearest("lcoal", names), Some("local"));
        assert_eq!(nearest("Producton", names), Some("production"));
        assert_eq!(nearest("somewhere", names), None);
        assert_eq!(nearest("", []), None);
    }
}
