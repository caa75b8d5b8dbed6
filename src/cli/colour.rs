//! Whether what is printed has colours: on a terminal, unless its user wants none.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::sync::OnceLock;

/// When colours are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    #[default]
    Auto,
    Always,
    Never,
}

static ON: OnceLock<bool> = OnceLock::new();

/// Decides for the whole command.
pub fn decide(when: When) {
    let on = wanted(when, std::io::stdout().is_terminal(), |name| std::env::var_os(name));
    ON.get_or_init(|| on);
}

/// Whether the standard output has colours.
pub fn on() -> bool {
    ON.get().copied().unwrap_or_default()
}

/// A flag goes before the environment (no-color.org).
fn wanted(when: When, terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        // Windows' old console shows the codes themselves; those that understand them set one of these.
        When::Auto if cfg!(windows) && !set("WT_SESSION") && !set("TERM") => false,
        When::Auto => terminal && !set("NO_COLOR") && variable("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_users_want_them() {
        let wanted = |when, terminal, set: &[(&str, &str)]| {
            let set: Vec<(String, String)> =
                set.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            wanted(when, terminal, |name| set.iter().find(|(n, _)| n == name).map(|(_, v)| v.into()))
        };
        let xterm = ("TERM", "xterm-256color");
        assert!(wanted(When::Auto, true, &[xterm]));
        assert!(wanted(When::Auto, true, &[xterm, ("NO_COLOR", "")]), "empty is as good as unset");
        assert!(!wanted(When::Auto, false, &[xterm]), "a pipe");
        assert!(!wanted(When::Auto, true, &[xterm, ("NO_COLOR", "1")]));
        assert!(!wanted(When::Auto, true, &[("TERM", "dumb")]));
        assert!(wanted(When::Always, false, &[("NO_COLOR", "1")]), "a flag goes before the environment");
        assert!(!wanted(When::Never, true, &[xterm]));
    }
}
