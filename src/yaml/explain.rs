//! What is wrong with a document, in words of who writes one: where, which key, and what would be right.

use std::fmt;

use serde::de::IgnoredAny;

use crate::suggest::nearest;

/// The line of an error; `name` is what the user knows the `text` as. Where that is no YAML, nothing else counts.
pub fn explain(error: &serde_yaml::Error, text: &str, name: &str) -> String {
    match serde_yaml::from_str::<IgnoredAny>(text) {
        Err(not_yaml) => at(&not_yaml, name, of_the_document(&not_yaml.to_string(), sign(&not_yaml, text))),
        Ok(_) => at(error, name, of_a_value(&error.to_string())),
    }
}

/// The sign at which an error is.
fn sign(error: &serde_yaml::Error, text: &str) -> Option<char> {
    let at = error.location()?;
    text.lines().nth(at.line().checked_sub(1)?)?.chars().nth(at.column().checked_sub(1)?)
}

fn at(error: &serde_yaml::Error, name: &str, why: String) -> String {
    match error.location() {
        Some(at) => format!("{name}, line {}, column {}: {why}", at.line(), at.column()),
        None => format!("{name}: {why}"),
    }
}

/// What serde says of a key (or of the word for a choice) that is none of the expected ones.
struct Unknown<'m> {
    /// Where in the document: `backbone[0].conv`, or nothing at the top.
    path: &'m str,
    what: &'static str,
    word: &'m str,
    known: Vec<&'m str>,
}

impl<'m> Unknown<'m> {
    fn parse(message: &'m str) -> Option<Self> {
        let (what, (path, rest)) = [("key", "unknown field `"), ("word", "unknown variant `")]
            .into_iter()
            .find_map(|(what, sign)| Some((what, message.split_once(sign)?)))?;
        let (word, rest) = rest.split_once('`')?;
        let known = rest.split('`').skip(1).step_by(2).collect();
        Some(Self { path: path.trim_end_matches(": "), what, word, known })
    }
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`", self.what, self.word)?;
        if !self.path.is_empty() {
            write!(f, " in {}", self.path)?;
        }
        match nearest(self.word, self.known.iter().copied()) {
            _ if self.word == "<<" => write!(
                f,
                "; entries are not merged here: write out the keys, or name a single value (`&name`) and repeat it (`*name`)"
            ),
            Some(near) => write!(f, "; did you mean `{near}`? Known here: {}", self.known.join(", ")),
            None if self.known.is_empty() => write!(f, "; nothing is expected here"),
            None => write!(f, "; known here: {}", self.known.join(", ")),
        }
    }
}

/// What serde says of a key or of a value that is not what is expected, after its path: `targets.a.hottest: invalid type: …`.
fn of_a_value(message: &str) -> String {
    // It ends with the position.
    let message = message.rsplit_once(" at line ").map_or(message, |(before, _)| before);
    if let Some(unknown) = Unknown::parse(message) {
        return unknown.to_string();
    }
    for sign in ["invalid type: ", "invalid value: "] {
        if let Some((path, rest)) = message.split_once(sign)
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            return format!("{path}give {}, not {}", wanted(expected, found), given(found));
        }
    }
    for (sign, end) in [("missing field `", "` is missing: add it"), ("duplicate field `", TWICE)] {
        if let Some((path, key)) = message.split_once(sign) {
            return format!("{path}`{}{end}", key.trim_end_matches('`'));
        }
    }
    message.to_owned()
}

/// What is said of a key that stands there again, after its name.
pub const TWICE: &str = "` is there twice: keep one";

/// What was expected instead of what was `found`: Rust's types by what a person writes. Types of ours say it themselves.
fn wanted<'e>(expected: &'e str, found: &str) -> &'e str {
    let is_count = found.strip_prefix("integer `").is_some_and(|number| !number.starts_with('-'));
    match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" if is_count => "a smaller number",
        "f64" | "f32" => "a number",
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number that is not negative",
        "i64" | "i32" => "a whole number",
        "a boolean" => "true or false",
        "a string" => "text",
        "a sequence" => "a list, as in [a, b]",
        "a map" => "keys with values, as in { key: value }",
        "a YAML tag starting with '!'" => "a word",
        "an integer" | "a float" | "null" => "a value that its tag (`!!…`) stands for, or no tag",
        other if other.starts_with("struct ") => "keys with values, as in `key: value`",
        other => other,
    }
}

fn given(found: &str) -> String {
    let named = |sign: &str| found.strip_prefix(sign)?.split('`').nth(1);
    match found {
        "sequence" => "a list".into(),
        "map" => "keys with values".into(),
        "unit value" => "nothing".into(),
        _ => match ["integer ", "floating point ", "boolean "].into_iter().find_map(named) {
            Some(value) => value.to_owned(),
            None => {
                found.strip_prefix("string ").map_or_else(|| found.into(), |text| format!("the text {text}"))
            }
        },
    }
}

/// What the parser says, at a `sign`, of a document that is no YAML.
fn of_the_document(message: &str, sign: Option<char>) -> String {
    let why = match message {
        "deserializing from YAML containing more than one document is not supported" => {
            return "there are several documents: leave out the lines `---` between them".into();
        }
        _ if message.contains("repetition limit") => "anchors are repeated too often: write less by them",
        _ if message.contains("recursion limit") => "it is nested too deeply",
        _ if message.contains("unknown anchor") => "`*` repeats a value that nothing before it names by `&`",
        _ if message.contains("cannot start any token") && sign == Some('\t') => {
            "here is a tab: indent by spaces"
        }
        _ if message.contains("cannot start any token") => {
            "here is a character that can't begin a value: put the text in quotes"
        }
        _ if message.contains("mapping values are not allowed") => {
            "a colon is too much here: text that has `: ` in it needs quotes, and a key begins in the column of those beside it"
        }
        _ => {
            return format!(
                "it is not YAML: {}; check indentation, brackets, colons and quotes",
                problem(message)
            );
        }
    };
    why.into()
}

/// What a parser misses, and in what: `did not find expected ',' or '}' at line 3 column 1, while parsing a flow mapping at line 2
/// column 6`.
fn problem(message: &str) -> String {
    let (what, context) = message.split_once(", while ").unwrap_or((message, ""));
    let what = what.split(" at ").next().unwrap_or(what);
    let within = [
        ("flow mapping", "{ … }"),
        ("flow sequence", "[ … ]"),
        ("block mapping", "the block of keys"),
        ("block collection", "the list"),
        ("quoted scalar", "the text in quotes"),
    ];
    let within = within.into_iter().find(|(theirs, _)| context.contains(theirs));
    let line = context.split_once(" at line ").and_then(|(_, at)| at.split(' ').next());
    match within.zip(line) {
        Some(((_, within), line)) => format!("{what} in {within} that begins in line {line}"),
        None => what.to_owned(),
    }
}
