//! YAML that a person writes: read strictly, and refused with the line, the key and the nearest key that
//! would have been right.

mod explain;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result};
use crate::record::Margin;
use crate::units;

/// Reads a document. `name` is what the user knows it as, a file's name as a rule. The error names the line
/// and, for a key or word that isn't known, those that are.
pub fn read<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    serde_yaml::from_str(text).map_err(|error| Error::input(explain::explain(&error, text, name)))
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

/// The same where there may be nothing: `~`.
pub struct Optional<T>(pub Word<T>);

impl<'de, T> de::Visitor<'de> for Optional<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0.what)
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, word: D) -> Result<Option<T>, D::Error> {
        word.deserialize_str(self.0).map(Some)
    }
}

/// A time: `40s`, `2m`, `500ms`.
pub fn time<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    text.deserialize_str(TIME)
}

const TIME: Word<Duration> = Word { what: "a time, as in 40s", parse: units::parse_duration };

/// The same where it may be left out.
pub fn some_time<'de, D: Deserializer<'de>>(text: D) -> Result<Option<Duration>, D::Error> {
    text.deserialize_option(Optional(TIME))
}

/// Entries by their names, each of which makes sense by itself; `what` is what one is. A name that is there twice is refused:
/// nobody could say which one counts. What is wrong is said while it is read, so that the error has its line.
pub fn by_name<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    map: D,
    what: &'static str,
    check: fn(&str, &T) -> Result<()>,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Entries<T>(&'static str, fn(&str, &T) -> Result<()>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Entries<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "names, each with {}", self.0)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(name) = map.next_key_seed(New(&entries))? {
                let value = map.next_value_seed(Entry { name: &name, what: self.0, check: self.1 })?;
                entries.insert(name, value);
            }
            Ok(entries)
        }
    }
    map.deserialize_map(Entries(what, check))
}

/// A name that is none of those that were there before.
struct New<'m, T>(&'m BTreeMap<String, T>);

impl<'de, T> DeserializeSeed<'de> for New<'_, T> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<String, D::Error> {
        name.deserialize_str(self)
    }
}

impl<T> de::Visitor<'_> for New<'_, T> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<String, E> {
        match self.0.contains_key(name) {
            true => Err(E::custom(format!("`{name}{}", explain::TWICE))),
            false => Ok(name.to_owned()),
        }
    }
}

/// The value of a name.
struct Entry<'n, T> {
    name: &'n str,
    what: &'static str,
    check: fn(&str, &T) -> Result<()>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Entry<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, entry: D) -> Result<T, D::Error> {
        entry.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Entry<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.what)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        let value = T::deserialize(MapAccessDeserializer::new(map))?;
        (self.check)(self.name, &value).map_err(|e| de::Error::custom(e.message))?;
        Ok(value)
    }
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
        for (text, expected) in [
            ("margin: 2", "did you mean 2%?"),
            ("margin: 0", "more than 0%"),
            ("margin: [1]", "a share"),
            ("margin: !!int a", "give a value that its tag (`!!…`) stands for, or no tag, not"),
        ] {
            let message = read(text).unwrap_err().message;
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn wrong_types_missing_and_double_keys_name_their_line() {
        for (text, expected) in [
            ("layers:\n- { kernel: many }\n", "line 2"),
            (
                "layers:\n- { kernel: -1 }\n",
                "layers[0].kernel: give a whole number that is not negative, not -1",
            ),
            ("layers: yes\n", "layers: give a list, as in [a, b], not the text \"yes\""),
            ("layers: { kernel: 3 }\n", "layers: give a list, as in [a, b], not keys with values"),
            ("layers: [3]\n", "layers[0]: give keys with values, as in `key: value`, not 3"),
            ("[]\n", "line 1, column 1: give keys with values, as in `key: value`, not a list"),
            ("layers:\n- { mode: cubic }\n", "layers[0]: `kernel` is missing: add it"),
            ("", "line 1, column 1: `layers` is missing: add it"),
            ("layers: []\nlayers: []\n", "`layers` is there twice: keep one"),
            ("layers: [\n", "line 2, column 1: it is not YAML: did not find expected node content; check"),
            (
                "layers: []\nx: { a: 1\n",
                "expected ',' or '}' in { … } that begins in line 2; check indentation",
            ),
            (
                "x:\n  a:\n    b: 1\n   c: 2\n",
                "line 4, column 4: it is not YAML: did not find expected key in the block of keys that begins in line 2",
            ),
            ("x: \"a\n", "found unexpected end of stream in the text in quotes that begins in line 1; check"),
            ("layers: *x\n", "line 1, column 9: `*` repeats a value that nothing before it names"),
            ("layers:\n\t- 1\n", "line 2, column 1: here is a tab: indent by spaces"),
            (
                "é: 1\nlayers: @x\n",
                "line 2, column 9: here is a character that can't begin a value: put the text in",
            ),
            (
                "layers: %x\n",
                "line 1, column 9: here is a character that can't begin a value: put the text in quotes",
            ),
            (
                "layers: x: y\n",
                "line 1, column 10: a colon is too much here: text that has `: ` in it needs quotes",
            ),
            (" x: y\n  layers: []\n", "a key begins in the column of those beside it"),
            ("layers:\n- { kernel: 1, mode: [cubic] }\n", "layers[0].mode: give a word, not a list"),
            ("layers:\n- { kernel: 4294967296 }\n", "kernel: give a smaller number, not 4294967296"),
            (
                "layers:\n- { kernel: 99999999999999999999 }\n",
                "kernel: give a smaller number, not 99999999999999999999",
            ),
            ("layers: []\n---\nlayers: []\n", "net.yaml: there are several documents"),
            (
                "layers:\n- &a { kernel: 3 }\n- { <<: *a }\n",
                "line 3, column 5: unknown key `<<` in layers[1]; entries are not",
            ),
        ] {
            let message = error(text);
            assert!(message.starts_with("net.yaml") && message.contains(expected), "{text:?}: {message}");
        }
    }
}
