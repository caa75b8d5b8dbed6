//! YAML that a person writes: read strictly, and refused with the line, the key and the nearest key that
//! would have been right.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::record::Margin;
use crate::suggest::nearest;
use crate::units;

/// Reads a document. `name` is what the user knows it as, a file's name as a rule. The error names the line
/// and, for a key or word that isn't known, those that are.
pub fn read<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    serde_yaml::from_str(text).map_err(|error| Error::input(explain(&error, name)))
}

fn explain(error: &serde_yaml::Error, name: &str) -> String {
    let place = match error.location() {
        Some(at) => format!("{name}, line {}, column {}", at.line(), at.column()),
        None => name.to_owned(),
    };
    // The message ends with the position, which stands in front already.
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(before, _)| before);
    match Unknown::parse(message) {
        Some(unknown) => format!("{place}: {unknown}"),
        None => format!("{place}: {message}"),
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
            Some(near) => write!(f, "; did you mean `{near}`? Known here: {}", self.known.join(", ")),
            None if self.known.is_empty() => write!(f, "; nothing is expected here"),
            None => write!(f, "; known here: {}", self.known.join(", ")),
        }
    }
}

/// Reads a word with a meaning. What is wrong with it is said while it is read, so that the error has its line.
pub struct Word<T> {
    /// What it should be.
    pub what: &'static str,
    pub parse: fn(&str) -> Result<T, String>,
}

impl<T> de::Visitor<'_> for Word<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<T, E> {
        (self.parse)(word).map_err(E::custom)
    }
}

/// A time: `40s`, `2m`, `500ms`.
pub fn time<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    text.deserialize_str(Word { what: "a time, as in 40s", parse: units::parse_duration })
}

/// The same where it may be left out.
pub fn some_time<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    time(text).map(Some)
}

/// Entries by their names. One that is there twice is refused: nobody could say which one counts.
pub fn by_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    map: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Entries<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Entries<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("entries by name")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if entries.contains_key(&name) {
                    return Err(de::Error::custom(format!("`{name}` is there twice")));
                }
                entries.insert(name, map.next_value()?);
            }
            Ok(entries)
        }
    }
    map.deserialize_map(Entries(PhantomData))
}

/// A margin: `2%` or `0.02`.
pub fn margin<'de, D: Deserializer<'de>>(share: D) -> Result<Margin, D::Error> {
    struct Share;
    impl de::Visitor<'_> for Share {
        type Value = Margin;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a share, as in 2% or 0.02")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Margin, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Margin, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Margin, E> {
            self.visit_str(&number.to_string())
        }
    }
    share.deserialize_any(Share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Layer {
        kernel: u32,
        #[serde(default)]
        mode: Mode,
    }

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        #[default]
        Nearest,
        Cubic,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        layers: Vec<Layer>,
    }

    fn error(text: &str) -> String {
        read::<Document>(text, "net.yaml").unwrap_err().message
    }

    #[test]
    fn a_good_document_is_read() {
        let document: Document = read("layers:\n- { kernel: 3, mode: cubic }\n", "net.yaml").unwrap();
        assert_eq!(document, Document { layers: vec![Layer { kernel: 3, mode: Mode::Cubic }] });
    }

    #[test]
    fn an_unknown_key_names_its_line_and_the_nearest_key() {
        let text = "layers:\n- kernel: 3\n- kernl: 3\n";
        assert_eq!(
            error(text),
            "net.yaml, line 3, column 3: unknown key `kernl` in layers[1]; did you mean `kernel`? \
             Known here: kernel, mode"
        );
        assert_eq!(
            error("layerz: []\n"),
            "net.yaml, line 1, column 1: unknown key `layerz`; did you mean `layers`? Known here: layers"
        );
    }

    #[test]
    fn an_unknown_word_names_the_choices() {
        let message = error("layers:\n- { kernel: 3, mode: cubik }\n");
        assert!(message.contains("line 2"), "{message}");
        assert!(message.ends_with("did you mean `cubic`? Known here: nearest, cubic"), "{message}");
    }

    #[test]
    fn a_margin_is_a_percentage_or_a_share() {
        #[derive(Debug, serde::Deserialize)]
        struct Holder {
            #[serde(deserialize_with = "margin")]
            margin: Margin,
        }
        let read = |text: &str| read::<Holder>(text, "e.yaml").map(|h| h.margin.0);
        assert_eq!((read("margin: 2%").unwrap(), read("margin: 0.05").unwrap()), (0.02, 0.05));
        for (text, expected) in
            [("margin: 2", "did you mean 2%?"), ("margin: 0", "more than 0%"), ("margin: [1]", "a share")]
        {
            let message = read(text).unwrap_err().message;
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn wrong_types_missing_and_double_keys_name_their_line() {
        for (text, expected) in [
            ("layers:\n- { kernel: many }\n", "line 2"),
            ("layers:\n- { mode: cubic }\n", "missing field `kernel`"),
            ("layers: []\nlayers: []\n", "duplicate field `layers`"),
            ("layers: [\n", "line 2"),
        ] {
            let message = error(text);
            assert!(message.starts_with("net.yaml") && message.contains(expected), "{text:?}: {message}");
        }
    }
}
