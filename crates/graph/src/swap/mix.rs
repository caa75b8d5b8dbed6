//! A mix: different activations at different sites, as a person writes it.
//!
//! `fast: silu, /model.2*=relu, /model.24*=keep`: a name, what every selected site becomes, and rules for sites by name. A
//! later rule wins over an earlier one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::select::{self, Selection};
use super::{Found, Site};
use crate::activation::Activation;
use oplat_ground::error::{Error, Result};

/// The word for a site that stays as it is.
const KEEP: &str = "keep";

/// What variants are called that are no mix.
const TAKEN: [&str; 3] = [KEEP, "original", "control"];

/// The longest name, and what a mix without one is cut to in tables.
const SHORT: usize = 40;

/// Which activation comes to which site, by its index in [`Found::sites`]. Others stay as they are.
pub type Assignment = BTreeMap<usize, Activation>;

/// Different activations at different sites.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    pub name: Option<String>,
    /// What every selected site becomes that no rule is for; they stay as they are if `None`.
    pub base: Option<Activation>,
    pub rules: Vec<Rule>,
}

/// What some sites become, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// `*` is any text, `?` any character.
    pub pattern: String,
    /// `None`: they stay as they are.
    pub to: Option<Activation>,
}

impl From<Activation> for Mix {
    fn from(activation: Activation) -> Self {
        Self { name: None, base: Some(activation), rules: vec![] }
    }
}

impl Mix {
    /// Reads `[NAME: ][ACTIVATION, ]PATTERN=ACTIVATION, …`. A name has a space behind its colon, parameters have none. A
    /// pattern with a comma or a space stands in double quotes, in which a quote is written twice.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, rules) = name_of(text)?;
        Self::read(name, rules)
    }

    /// The mix of this name. Fails for one that a mix can't have.
    pub fn called(name: &str, rules: &str) -> Result<Self> {
        check_name(name)?;
        Self::read(Some(name), rules)
    }

    fn read(name: Option<&str>, rules: &str) -> Result<Self> {
        let mut rest = rules;
        let mut mix = Self { name: name.map(str::to_owned), base: None, rules: vec![] };
        let mut first = true;
        while first || !rest.is_empty() {
            let (part, behind) = Part::read(rest)?;
            match part.pattern {
                Some(pattern) if pattern.is_empty() => {
                    return Err(Error::input(format!("={}: no site is named before the `=`", part.to)));
                }
                Some(pattern) => {
                    let to = activation(part.to).map_err(|e| e.context(&pattern))?;
                    mix.rules.push(Rule { pattern, to });
                }
                None if part.to.is_empty() && !(first && behind.is_empty()) => {
                    return Err(Error::input(
                        "there is nothing between two commas: give SITE=ACTIVATION, or leave one out",
                    ));
                }
                None if first => mix.base = activation(part.to).map_err(|e| with_hint(e, part.to, name))?,
                None => {
                    return Err(Error::input(format!(
                        "`{}` is for no site: what all sites become stands in front, a rule is SITE=ACTIVATION",
                        part.to
                    )));
                }
            }
            (first, rest) = (false, behind);
        }
        match mix.base.is_some() || !mix.rules.is_empty() {
            true => Ok(mix),
            false => {
                Err(Error::input("it keeps every site as it is: give an activation, or SITE=ACTIVATION"))
            }
        }
    }

    /// The activation of each site that gets one: rules are for any site, the base is for those that are selected. Fails
    /// for a rule without a site, with the nearest names, and for a part that later rules leave nothing to.
    pub fn resolve(&self, found: &Found, selected: &[usize]) -> Result<Assignment> {
        let mut rule_of = BTreeMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            for site in select::named(&rule.pattern, found)? {
                rule_of.insert(site, number);
            }
        }
        let deciding: BTreeSet<usize> = rule_of.values().copied().collect();
        if let Some(number) = (0..self.rules.len()).find(|number| !deciding.contains(number)) {
            return Err(Error::input(format!(
                "`{}` decides nothing: later rules, which win, are for all of its sites; put it behind them or leave it out",
                self.rules[number]
            )));
        }
        let rest: Vec<usize> = selected.iter().copied().filter(|site| !rule_of.contains_key(site)).collect();
        if let (Some(base), true) = (&self.base, rest.is_empty()) {
            return Err(Error::input(format!(
                "`{base}` decides nothing: there is a rule for every selected site; leave it out"
            )));
        }
        let of_rules = rule_of.into_iter().filter_map(|(site, n)| Some((site, self.rules[n].to.clone()?)));
        let of_base = rest.into_iter().filter_map(|site| Some((site, self.base.clone()?)));
        let assignment: Assignment = of_rules.chain(of_base).collect();
        match assignment.is_empty() {
            true => Err(Error::input("it keeps every site as it is")),
            false => Ok(assignment),
        }
    }

    /// What tables call it: its name, else all of its parts, cut in the middle.
    pub fn short(&self) -> String {
        let text = self.name.clone().unwrap_or_else(|| self.parts().join(" "));
        let length = text.chars().count();
        if length <= SHORT {
            return text;
        }
        let (head, tail) = (SHORT / 2, SHORT - SHORT / 2 - 1);
        let end: String = text.chars().skip(length - tail).collect();
        text.chars().take(head).collect::<String>() + "…" + &end
    }

    /// Whether [`Mix::short`] leaves something to be said.
    pub fn is_shortened(&self) -> bool {
        !self.rules.is_empty() && (self.name.is_some() || self.parts().join(" ").chars().count() > SHORT)
    }

    fn parts(&self) -> Vec<String> {
        let base = self.base.iter().map(ToString::to_string);
        base.chain(self.rules.iter().map(ToString::to_string)).collect()
    }

    /// Whether it names a function that the registry doesn't have, by its whole name.
    fn asks_for(&self, site: &Site) -> bool {
        self.rules.iter().any(|rule| rule.pattern == site.name)
    }
}

/// What some mixes come to in a model.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The sites, with those functions among them that are named and that the registry doesn't have.
    pub found: Found,
    /// What the selection chooses, and all that a mix changes: what the control changes, too.
    pub concerned: Vec<usize>,
    /// In the order of the mixes.
    pub assignments: Vec<Assignment>,
}

/// The sites that each mix changes, and those that are selected or that any mix changes. Fails as [`Selection::choose`]
/// and [`Mix::resolve`] do.
pub fn choose(found: Found, selection: &Selection, mixes: &[Mix]) -> Result<Chosen> {
    let found = found.with(|site| mixes.iter().any(|mix| mix.asks_for(site)));
    let (found, selected) = selection.choose(found)?;
    let resolve = |mix: &Mix| mix.resolve(&found, &selected).map_err(|e| e.context(mix.short()));
    let assignments = mixes.iter().map(resolve).collect::<Result<Vec<_>>>()?;
    let changed = assignments.iter().flat_map(|assignment| assignment.keys().copied());
    let concerned: BTreeSet<usize> = changed.chain(selected).collect();
    Ok(Chosen { found, concerned: concerned.into_iter().collect(), assignments })
}

/// Fails for mixes that tables would call the same.
pub fn check_names(mixes: &[Mix]) -> Result<()> {
    for (i, mix) in mixes.iter().enumerate() {
        let short = mix.short();
        if mixes[..i].iter().any(|other| other != mix && other.short() == short) {
            return Err(Error::input(match &mix.name {
                Some(name) => format!("two mixes are called {name}: give each its own name"),
                None => format!("tables would call two mixes `{short}`: name them, as in `NAME: {short}`"),
            }));
        }
    }
    Ok(())
}

/// The text reads back as the same mix.
impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.parts().join(", "))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let special = |c: char| c.is_whitespace() || c.is_control() || c == ',' || c == '"';
        match self.pattern.contains(special) || self.pattern.is_empty() {
            true => write!(f, "\"{}\"", self.pattern.replace('"', "\"\""))?,
            false => f.write_str(&self.pattern)?,
        }
        match &self.to {
            Some(to) => write!(f, "={to}"),
            None => write!(f, "={KEEP}"),
        }
    }
}

/// The name in front, and what is behind it.
fn name_of(text: &str) -> Result<(Option<&str>, &str)> {
    let text = text.trim();
    let before = text.split_once(':').filter(|(_, behind)| behind.starts_with(char::is_whitespace));
    let Some((name, rest)) = before.filter(|(name, _)| is_name(name)) else { return Ok((None, text)) };
    check_name(name)?;
    Ok((Some(name), rest.trim()))
}

/// Fails for a name that a mix can't have.
fn check_name(name: &str) -> Result<()> {
    let why = if !is_name(name) {
        "a name is of letters, digits, `_`, `-`, `+`, `.` and `%`".to_owned()
    } else if Activation::parse(name).is_ok() {
        format!("an activation is called so (its parameters have no space before them: {name}:0.1)")
    } else if TAKEN.contains(&name) {
        "the word has a meaning of its own".into()
    } else if name.chars().count() > SHORT {
        format!("a name has at most {SHORT} characters")
    } else {
        return Ok(());
    };
    Err(Error::input(format!("a mix can't be called {name}: {why}; give it another name")))
}

fn is_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-+.%".contains(c))
}

fn activation(text: &str) -> Result<Option<Activation>> {
    match text {
        "" => {
            Err(Error::input(format!("nothing is said of what they become: give an activation, or `{KEEP}`")))
        }
        KEEP => Ok(None),
        name => Activation::parse(name).map(Some),
    }
}

/// Says how a name is written where what can't be read looks like one.
fn with_hint(error: Error, part: &str, name: Option<&str>) -> Error {
    match part.split_once(':').map(|(word, rest)| (word.trim(), rest.trim())) {
        Some((word, "")) if name.is_none() && is_name(word) => Error::input(format!(
            "nothing stands behind the name {word}: give an activation, or SITE=ACTIVATION"
        )),
        Some((word, rest)) if name.is_none() && is_name(word) && Activation::parse(word).is_err() => error
            .context(format!(
                "the name of a mix has its colon right behind it, and then a space (`{word}: {rest}`)"
            )),
        _ => error,
    }
}

/// One part of a mix.
struct Part<'t> {
    pattern: Option<String>,
    to: &'t str,
}

impl<'t> Part<'t> {
    /// The part up to a comma, and what is behind that. Activations have neither `,` nor `=`.
    fn read(text: &'t str) -> Result<(Self, &'t str)> {
        let text = text.trim_start();
        let quoted = text.strip_prefix('"').map(unquote).transpose()?;
        let unread = quoted.as_ref().map_or(text, |(_, behind)| behind);
        let (part, rest) = match unread.split_once(',') {
            Some((part, rest)) if !rest.trim().is_empty() => (part, rest),
            Some((part, _)) => (part, ""),
            None => (unread, ""),
        };
        let (pattern, to) = match (quoted, part.rsplit_once('=')) {
            (Some((pattern, _)), Some((between, to))) if between.trim().is_empty() => (Some(pattern), to),
            (Some((pattern, _)), _) => {
                return Err(Error::input(format!(
                    "\"{pattern}\": give `=` and an activation behind the quotes"
                )));
            }
            (None, Some((pattern, to))) => (Some(pattern.trim().to_owned()), to),
            (None, None) => (None, part),
        };
        Ok((Self { pattern, to: to.trim() }, rest))
    }
}

/// What stands between quotes, of which the first is read already, and what is behind them.
fn unquote(text: &str) -> Result<(String, &str)> {
    let mut inside = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('"') {
        inside += before;
        match behind.strip_prefix('"') {
            Some(behind) => {
                inside.push('"');
                rest = behind;
            }
            None => return Ok((inside, behind)),
        }
    }
    Err(Error::input(format!("\"{text}: a quote is open: close it, and write a quote in a name twice")))
}

#[cfg(test)]
mod tests;
