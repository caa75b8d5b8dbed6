//! Choosing among the sites: by what they are now and by name.

use super::{Found, NotSite, Site};
use crate::activation::{self, Activation, Kind};
use crate::sites::UNKNOWN;
use oplat_ground::error::{Error, Result};

/// Names longer than this are compared with no others.
const COMPARED: usize = 512;

/// Which sites to swap; everything empty means all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only sites that are now one of these.
    pub from: Vec<Now>,
    /// Only sites whose name fits one of these patterns (`*` any text, `?` any character).
    pub sites: Vec<String>,
    /// No sites whose name fits one of these.
    pub skip: Vec<String>,
}

/// What a site is now, as a user names it.
#[derive(Clone, Debug)]
pub struct Now {
    /// The kinds that have this name, the one that it is the first name of in front.
    kinds: Vec<&'static Kind>,
    /// The activation with its parameters, where these are given.
    exactly: Option<Activation>,
    text: String,
}

impl Now {
    /// Reads the name that a table shows (`swish`, `unknown`), or any other of the kind; with parameters
    /// (`leaky_relu:0.1`), only sites that have them are meant. Fails with the nearest name.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim().to_owned();
        if text == UNKNOWN.name {
            return Ok(Self { kinds: vec![&UNKNOWN], exactly: None, text });
        }
        let activation = Activation::parse(&text)?;
        if text.contains(':') {
            return Ok(Self { kinds: vec![activation.kind], exactly: Some(activation), text });
        }
        Ok(Self { kinds: activation::named(&text), exactly: None, text })
    }

    /// Those of the sites that are so now. A name that is the first one of a kind means that kind where there are sites of
    /// it, and those of which it is another name elsewhere (`swish`: swish, or silu).
    fn among<'s>(&self, sites: &'s [Site]) -> Vec<&'s Site> {
        let of = |kind: &'static Kind| {
            sites.iter().filter(move |s| std::ptr::eq(s.activation.kind, kind)).collect::<Vec<_>>()
        };
        if let Some(exactly) = &self.exactly {
            return of(exactly.kind).into_iter().filter(|s| is_near(&s.activation, exactly)).collect();
        }
        self.kinds.iter().map(|kind| of(kind)).find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// Whether two activations of a kind have the same parameters, to the precision of half floats.
fn is_near(a: &Activation, b: &Activation) -> bool {
    let near = |(a, b): (&Option<f64>, &Option<f64>)| {
        a.zip(*b).is_some_and(|(a, b)| (a - b).abs() <= 1e-3 * a.abs().max(b.abs()))
    };
    a.parameters.iter().zip(&b.parameters).all(near)
}

impl Selection {
    /// The sites, with those functions among them that are named here and that the registry doesn't have, and the indices
    /// of the chosen ones. Fails, with what there is, where a part of the selection chooses nothing.
    pub fn choose(&self, found: Found) -> Result<(Found, Vec<usize>)> {
        let found = found.with(|site| self.asks_for(site));
        if found.sites.is_empty() {
            let unknown = found.not_sites.iter().filter(|n| n.if_asked.is_some()).count();
            let hint = match unknown {
                0 => "there is nothing to swap".to_owned(),
                n => format!("but {n} that oplat doesn't know: `--from unknown` swaps them"),
            };
            return Err(Error::input(format!("the model has no activation site: {hint}")));
        }
        for pattern in self.sites.iter().chain(&self.skip) {
            named(pattern, &found)?;
        }
        let mut now = vec![];
        for from in &self.from {
            let sites = from.among(&found.sites);
            if sites.is_empty() {
                let counts: Vec<_> = found.counts().iter().map(|(name, n)| format!("{n} {name}")).collect();
                let text = &from.text;
                return Err(Error::input(format!("the model has no {text} site, but {}", counts.join(", "))));
            }
            now.extend(sites.into_iter().map(|s| s.node));
        }
        let chosen: Vec<usize> = found
            .sites
            .iter()
            .enumerate()
            .filter(|(_, s)| self.from.is_empty() || now.contains(&s.node))
            .filter(|(_, s)| self.sites.is_empty() || self.sites.iter().any(|p| fits(p, &s.name)))
            .filter(|(_, s)| !self.skip.iter().any(|p| fits(p, &s.name)))
            .map(|(i, _)| i)
            .collect();
        if chosen.is_empty() {
            return Err(Error::input("the selection leaves no site to swap"));
        }
        Ok((found, chosen))
    }

    /// Whether a function that the registry doesn't have is named: all of them, or this one by its whole name.
    fn asks_for(&self, site: &Site) -> bool {
        self.from.iter().any(|now| now.kinds.iter().any(|kind| std::ptr::eq(*kind, &UNKNOWN)))
            || self.sites.contains(&site.name)
    }
}

/// The indices of the sites whose name fits a pattern. Fails, with the names that are nearest to it, where there is none.
pub(super) fn named(pattern: &str, found: &Found) -> Result<Vec<usize>> {
    let fitting: Vec<usize> =
        (0..found.sites.len()).filter(|&i| fits(pattern, &found.sites[i].name)).collect();
    if !fitting.is_empty() {
        return Ok(fitting);
    }
    let no_site = format!("no site is named `{pattern}`");
    let seen = found.not_sites.iter().find(|n| fits(pattern, &n.name));
    let hint = match (seen, nearest(pattern, found)) {
        (Some(NotSite { name, refusal, reason, .. }), _) => {
            format!("{name} is none: {}", refusal.with_reason(reason))
        }
        (None, near) if near.is_empty() => {
            let first = found.sites.first().map_or("", |site| &site.name);
            format!("they are named as in {first}: see `oplat inspect`")
        }
        (None, near) => format!("did you mean {}? See `oplat inspect`", near.join(", or ")),
    };
    Err(Error::input(format!("{no_site}; {hint}")))
}

/// Up to three names of sites that nearly fit a pattern, or of which a part does, the nearest first.
fn nearest<'f>(pattern: &str, found: &'f Found) -> Vec<&'f str> {
    let most = pattern.chars().filter(|c| !"*?".contains(*c)).count() / 3;
    let anywhere = format!("*{pattern}*");
    let short = |name: &&str| name.len() <= COMPARED && pattern.len() <= COMPARED;
    let names = found.sites.iter().map(|site| site.name.as_str()).filter(short);
    let near = names.map(|name| (misses(&anywhere, name), misses(pattern, name), name));
    let mut near: Vec<_> = near.filter(|&(part, _, _)| part <= most).collect();
    near.sort_by_key(|&(part, whole, _)| (part, whole));
    near.into_iter().take(3).map(|(_, _, name)| name).collect()
}

/// How many characters of a pattern or a name must be changed, left out or put in for the name to fit.
fn misses(pattern: &str, name: &str) -> usize {
    let name: Vec<char> = name.chars().collect();
    let mut before: Vec<usize> = (0..=name.len()).collect();
    for p in pattern.chars() {
        let mut row = vec![if p == '*' { before[0] } else { before[0] + 1 }];
        for (i, &n) in name.iter().enumerate() {
            let here = if p == '*' {
                before[i + 1].min(row[i])
            } else {
                let change = usize::from(p != '?' && p != n);
                (before[i] + change).min(before[i + 1] + 1).min(row[i] + 1)
            };
            row.push(here);
        }
        before = row;
    }
    before.last().copied().unwrap_or_default()
}

/// Whether a name fits a pattern of `*` and `?`.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on after the last star: behind it, with one more character taken by it.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    (p, n) = (after, taken + 1);
                    star = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_fit_whole_names() {
        let rows = [
            ("*", "", true),
            ("/model.?/*", "/model.0/act/Mul", true),
            ("/model.?/*", "/model.10/act/Mul", false),
            ("*act*Mul", "/a/act/x/Mul", true),
            ("*act*Mul", "/a/act/Mul/y", false),
            ("a*b*c", "aXbYbZc", true),
            ("abc", "abcd", false),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(fits(pattern, name), expected, "{pattern} on {name}");
            assert_eq!(misses(pattern, name) == 0, expected, "{pattern} on {name}");
        }
    }

    #[test]
    fn what_a_pattern_misses_counts_and_what_its_stars_take_does_not() {
        let rows = [
            ("/modle.24*", "/model.24/act/Mul", 2),
            ("*act/Mull", "/model.24/act/Mul", 1),
            ("/model.2?", "/model.2", 1),
            ("", "abc", 3),
            ("abc", "", 3),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(misses(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
