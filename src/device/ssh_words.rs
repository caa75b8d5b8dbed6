//! Words of the user's for the OpenSSH client: those that say how a host is reached, and none that would undo what is ours.

use super::launch::split;
use crate::error::{Error, Result};

/// Options without and with an argument that may be given.
const ALONE: &str = "46AaCKkqvx";
const WITH_ARGUMENT: &str = "BbcFIiJmo";

/// Settings that are ours, or that would have the client do something else, in lower case.
const OURS: [&str; 18] = [
    "batchmode",
    "clearallforwardings",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "forkafterauthentication",
    "localcommand",
    "localforward",
    "permitlocalcommand",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "stdinnull",
];

/// The words of a jump host and of further options, split as a shell does.
pub fn read(jump: Option<&str>, options: Option<&str>) -> Result<Vec<String>> {
    let wrong = |what: String| Error::input(format!("ssh_options: {what}"));
    let mut words = match jump {
        None => vec![],
        Some(jump) => {
            let plain = |c: char| !(c.is_whitespace() || c.is_control());
            if jump.is_empty() || jump.starts_with('-') || !jump.chars().all(plain) {
                return Err(Error::input(format!(
                    "jump {jump:?}: give [user@]host[:port], several with commas"
                )));
            }
            vec!["-J".to_owned(), jump.to_owned()]
        }
    };
    let Some(options) = options else { return Ok(words) };
    if options.chars().any(char::is_control) {
        return Err(wrong("it is one line: leave out what is not to be seen".into()));
    }
    let given = split(options).ok_or_else(|| wrong("a quote is not closed; close it".into()))?;
    check(&given).map_err(wrong)?;
    words.extend(given);
    Ok(words)
}

/// Fails for words that are no options, or that may not be given; with what is wrong.
fn check(words: &[String]) -> Result<(), String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let letters = word.strip_prefix('-').filter(|letters| !letters.is_empty());
        let letters = letters.ok_or_else(|| format!("{word:?} is no option; `target` says the host"))?;
        for (at, letter) in letters.char_indices() {
            if ALONE.contains(letter) {
                continue;
            }
            if !WITH_ARGUMENT.contains(letter) {
                return Err(format!("-{letter} may not be given: oplat itself says what ssh does"));
            }
            let rest = &letters[at + letter.len_utf8()..];
            let argument = if rest.is_empty() { words.next().map(String::as_str) } else { Some(rest) };
            let argument = argument.ok_or_else(|| format!("-{letter} needs a word after it"))?;
            if letter == 'o' {
                setting(argument)?;
            }
            break;
        }
    }
    Ok(())
}

fn setting(argument: &str) -> Result<(), String> {
    let name = argument.trim_start().split(['=', ' ', '\t']).next().unwrap_or_default();
    match OURS.contains(&name.to_lowercase().as_str()) {
        true => Err(format!("-o {name} may not be given: oplat sets that itself")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_say_how_a_host_is_reached_are_passed_on_word_by_word() {
        let words = read(
            Some("pi@gate:2222,inner"),
            Some("-4Ci '/my keys/lab' -oPort=22 -o 'HostKeyAlias x' -F/cfg"),
        );
        let expected = [
            "-J",
            "pi@gate:2222,inner",
            "-4Ci",
            "/my keys/lab",
            "-oPort=22",
            "-o",
            "HostKeyAlias x",
            "-F/cfg",
        ];
        assert_eq!(words.expect("fine"), expected);
        assert!(read(None, None).expect("none").is_empty());
    }

    #[test]
    fn those_that_would_undo_what_is_ours_are_refused() {
        for (options, told) in [
            ("-i", "needs a word"),
            ("-i key otherhost", "is no option"),
            ("-S /tmp/x", "-S may not be given"),
            ("-4N", "-N may not be given"),
            ("-f", "-f may not be given"),
            ("-o ControlMaster=no", "sets that itself"),
            ("-oBATCHMODE=no", "sets that itself"),
            ("-o 'RemoteCommand reboot'", "sets that itself"),
            ("-i 'key", "not closed"),
            ("-i a\n-f", "one line"),
            ("--", "may not be given"),
        ] {
            let error = read(None, Some(options)).expect_err(options);
            assert!(error.message.contains(told), "{options}: {error}");
        }
        for jump in ["", "-oProxyCommand=reboot", "a b", "a\n"] {
            assert!(read(Some(jump), None).is_err(), "{jump:?}");
        }
    }
}
