//! Lines with `grpcurl` in documents.

/// A call as it is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The headers: name and value.
    pub headers: Vec<(String, String)>,
    /// The request as JSON; `{}` when none is given.
    pub data: String,
    /// The port on this machine.
    pub port: u16,
    /// `package.Service/Method`, or `list`.
    pub method: String,
}

/// The calls in the code blocks of a document.
///
/// # Panics
///
/// When one uses what is not understood here.
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut in_block = false;
    let mut command = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let line = line.trim_start_matches("$ ");
        if !in_block || (command.is_empty() && !line.starts_with("grpcurl ")) {
            continue;
        }
        command.push_str(line.trim_end_matches('\\'));
        command.push(' ');
        if !line.ends_with('\\') {
            lines.push(line_of(&std::mem::take(&mut command)));
        }
    }
    lines
}

fn line_of(command: &str) -> Line {
    let words = words(command);
    let mut words = words.iter().map(String::as_str).skip(1);
    let (mut headers, mut data, mut rest) = (Vec::new(), "{}".to_owned(), Vec::new());
    while let Some(word) = words.next() {
        match word {
            "-plaintext" => {}
            "-H" => {
                let (name, value) = words.next().unwrap().split_once(": ").unwrap();
                headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" => data = words.next().unwrap().to_owned(),
            flag if flag.starts_with('-') => panic!("`{flag}` of `{command}` is not understood"),
            other => rest.push(other.to_owned()),
        }
    }
    let [address, method] = &*rest else { panic!("`{command}` has no address and method") };
    let port = address.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let port = port.unwrap_or_else(|| panic!("`{address}` is no place on this machine"));
    Line { headers, data, port, method: method.clone() }
}

/// The words of a command line; quotes hold words together.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in command.chars() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None, ' ') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, other) => word.push(other),
        }
    }
    words
}

#[test]
fn lines_are_read_as_a_shell_reads_them() {
    let text = "```sh\ngrpcurl -plaintext -H \"authorization: Bearer $TOKEN\" -d '{\"a\": \"b c\"}' \\\n  \
                localhost:4011 x.v1.Y/Z\nls\n```\ngrpcurl elsewhere\n";
    let line = Line {
        headers: vec![("authorization".to_owned(), "Bearer $TOKEN".to_owned())],
        data: "{\"a\": \"b c\"}".to_owned(),
        port: 4011,
        method: "x.v1.Y/Z".to_owned(),
    };
    assert_eq!(lines(text), [line]);
}
