//! Choosing among the sites: by what they are now and by name.

use super::find::Found;
use crate::activation::Activation;
use oplat_ground::error::{Error, Result};

/// Which sites to swap; everything empty means all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only sites that are now of one of these kinds.
    pub from: Vec<Activation>,
    /// Only sites whose name fits one of these patterns (`*` any text, `?` any character).
    pub sites: Vec<String>,
    /// No sites whose name fits one of these.
    pub skip: Vec<String>,
}

impl Selection {
    /// Indices of the chosen sites. Fails, with what there is, where a part of the selection chooses nothing.
    pub fn choose(&self, found: &Found) -> Result<Vec<usize>> {
        if found.sites.is_empty() {
            return Err(Error::input("the model has no activation site: there is nothing to swap"));
        }
        for pattern in self.sites.iter().chain(&self.skip) {
            if !found.sites.iter().any(|s| fits(pattern, &s.name)) {
                let first = &found.sites[0].name;
                return Err(Error::input(format!(
                    "no site is named `{pattern}` (they are named as in {first}): see `oplat inspect`"
                )));
            }
        }
        for from in &self.from {
            if !found.sites.iter().any(|s| s.activation.kind.name == from.kind.name) {
                let counts: Vec<_> = found.counts().iter().map(|(name, n)| format!("{n} {name}")).collect();
                return Err(Error::input(format!("the model has no {from} site, but {}", counts.join(", "))));
            }
        }
        let chosen: Vec<usize> = found
            .sites
            .iter()
            .enumerate()
            .filter(|(_, s)| {
                self.from.is_empty() || self.from.iter().any(|f| f.kind.name == s.activation.kind.name)
            })
            .filter(|(_, s)| self.sites.is_empty() || self.sites.iter().any(|p| fits(p, &s.name)))
            .filter(|(_, s)| !self.skip.iter().any(|p| fits(p, &s.name)))
            .map(|(i, _)| i)
            .collect();
        if chosen.is_empty() {
            return Err(Error::input("the selection leaves no site to swap"));
        }
        Ok(chosen)
    }
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
        }
    }
}
