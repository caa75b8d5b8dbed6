//! `${NAME}` in what `lab.yaml` says of a device: what its `acquire` printed, or else what stands in oplat's own environment.

use std::collections::BTreeMap;

/// The longest line that names a value: no program can be given one of more than 128 kB.
const LONGEST: usize = 100_000;

/// What a command printed as lines `NAME=VALUE`, with or without `export`, and the last line that is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Printed {
    pub variables: BTreeMap<String, String>,
    pub last: Option<String>,
}

impl Printed {
    pub fn read(text: &str) -> Self {
        let mut printed = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match variable(line) {
                Some((name, value)) => {
                    printed.variables.insert(name.into(), value.into());
                }
                None => printed.last = Some(line.into()),
            }
        }
        printed
    }

    /// The text with values for names. Fails with the name that has none.
    pub fn fill_in(&self, text: &str) -> Result<String, String> {
        let value = |name: &str| self.variables.get(name).cloned().or_else(|| std::env::var(name).ok());
        let (mut filled, mut rest) = (String::new(), text);
        while let Some((before, name, after)) = next(rest) {
            filled += before;
            filled += &value(name).ok_or(name)?;
            rest = after;
        }
        Ok(filled + rest)
    }
}

/// Whether a text has such names in it.
pub fn has_names(text: &str) -> bool {
    next(text).is_some()
}

/// The first `$`, with all that comes after it, that begins no `${NAME}`.
pub fn no_name(text: &str) -> Option<&str> {
    let names = |rest: &str| {
        let name = rest.strip_prefix("${").and_then(|rest| rest.split_once('}'));
        name.is_some_and(|(name, _)| is_name(name))
    };
    text.match_indices('$').map(|(at, _)| &text[at..]).find(|rest| !names(rest))
}

/// The first `${`, with all that comes after it, that nothing closes.
pub fn unclosed(text: &str) -> Option<&str> {
    text.match_indices("${").map(|(at, _)| &text[at..]).find(|rest| !rest.contains('}'))
}

/// The first `${NAME}`: what stands before it, the name, and what comes after it. A shell's other forms stay as they are.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices("${").find_map(|(at, sign)| {
        let (name, after) = text[at + sign.len()..].split_once('}')?;
        is_name(name).then(|| (&text[..at], name, after))
    })
}

fn is_name(text: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_first) && text.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

fn variable(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line
        .split_once('=')
        .filter(|(name, value)| is_name(name) && !value.contains('\0') && line.len() < LONGEST)?;
    let quoted = ['"', '\''].iter().find_map(|&q| value.strip_prefix(q)?.strip_suffix(q));
    Some((name, quoted.unwrap_or(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_name_values_are_told_from_others() {
        let text = "acquired place board1\nexport LG_TOKEN=\"AB C\"\n HOST=10.0.0.7\nssh:pi@board\n1x=2\nP='22'\nNUL=\0\n1x=2\n";
        let printed = Printed::read(text);
        let variables: Vec<_> = printed.variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(variables, [("HOST", "10.0.0.7"), ("LG_TOKEN", "AB C"), ("P", "22")]);
        assert_eq!(printed.last.as_deref(), Some("1x=2"));
    }

    #[test]
    fn a_value_that_no_program_could_be_given_is_none() {
        let printed = Printed::read(&format!("A={}\nB=b\n", "a".repeat(200_000)));
        assert_eq!(printed.variables.keys().collect::<Vec<_>>(), ["B"]);
    }

    #[test]
    fn names_are_filled_in_and_all_else_stays() {
        let printed = Printed::read("HOST=board\nPORT=22\n");
        let fill = |text: &str| printed.fill_in(text);
        assert_eq!(fill("ssh:pi@${HOST}:${PORT}").as_deref(), Ok("ssh:pi@board:22"));
        assert_eq!(
            fill("cmd:sh -c 'exec \"${@}\" $HOST ${HOST:-x} ${HOST'").as_deref(),
            Ok("cmd:sh -c 'exec \"${@}\" $HOST ${HOST:-x} ${HOST'")
        );
        assert_eq!(fill("ssh:${NO_SUCH_NAME_HERE}"), Err("NO_SUCH_NAME_HERE".into()));
        assert_eq!(fill("${PATH}"), Ok(std::env::var("PATH").expect("a path")));
        assert!(has_names("a${B}") && !has_names("$B ${}"));
    }
}
