//! The headers of a webhook request.

/// Headers in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers(Vec<(String, Vec<u8>)>);

/// Parts of names whose values are credentials.
const SECRETS: [&str; 7] =
    ["authorization", "signature", "secret", "token", "cookie", "api-key", "password"];

/// What a credential is shown as.
const MASK: &str = "***";

impl Headers {
    pub(crate) fn new(headers: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(headers.into_iter().collect())
    }

    /// The value of a header that is there exactly once and is text. A header that is there twice
    /// says nothing: two readers could take different ones.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        if values.next().is_some() {
            return None;
        }
        std::str::from_utf8(value).ok().map(str::trim)
    }

    /// Whether a header is there at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// What is stored and shown: credentials are masked.
    pub(crate) fn masked(&self) -> Vec<(String, String)> {
        self.0
            .iter()
            .map(|(name, value)| {
                let lower = name.to_ascii_lowercase();
                let secret = SECRETS.iter().any(|part| lower.contains(part));
                let shown = if secret { MASK.into() } else { String::from_utf8_lossy(value) };
                // Postgres keeps no NUL in text.
                (name.replace('\0', "\u{fffd}"), shown.replace('\0', "\u{fffd}"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Headers {
        Headers::new(
            pairs.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
        )
    }

    #[test]
    fn names_have_no_case_and_a_header_that_comes_twice_says_nothing() {
        let once = headers(&[("X-GitHub-Event", "package")]);
        assert_eq!(once.get("x-github-event"), Some("package"));
        let twice = headers(&[("X-GitHub-Event", "package"), ("x-github-event", "ping")]);
        assert_eq!(twice.get("X-GitHub-Event"), None);
        assert!(twice.has("X-GITHUB-EVENT"));
    }

    #[test]
    fn credentials_are_masked_and_the_rest_is_kept() {
        let headers = headers(&[
            ("Authorization", "Bearer abc"),
            ("X-Hub-Signature-256", "sha256=00"),
            ("X-Hub-Signature", "sha1=00"),
            ("Cookie", "a=b"),
            ("X-Gitlab-Token", "abc"),
            ("Content-Type", "application/json"),
        ]);
        let shown = headers.masked();
        assert!(shown[..5].iter().all(|(_, value)| value == MASK), "{shown:?}");
        assert_eq!(shown[5].1, "application/json");
    }

    #[test]
    fn a_value_that_is_no_text_can_be_stored() {
        let odd = Headers::new([("X-Odd".to_owned(), vec![0xff, 0, 0x41])]);
        assert_eq!(odd.get("x-odd"), None);
        assert_eq!(odd.masked()[0].1, "\u{fffd}\u{fffd}A");
    }
}
