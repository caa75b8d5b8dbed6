//! The flags that say which activation stands where.

use std::path::Path;

use crate::activation::Activation;
use crate::error::{Error, Result};
use crate::experiment::Config;
use crate::swap::Mix;
use crate::{files, limits};

/// The activations of `--act`, each at every site.
pub fn everywhere(named: &[String]) -> Result<Vec<Mix>> {
    let named = named.iter().map(|name| Activation::parse(name).map_err(|e| e.context("--act")));
    Ok(named.collect::<Result<Vec<_>>>()?.into_iter().map(Mix::from).collect())
}

/// The mixes of `--mix`: as they are typed, or those of an experiment's file (`@FILE`), or one of these (`@FILE#NAME`).
pub fn read(typed: &[String]) -> Result<Vec<Mix>> {
    let mut mixes = vec![];
    for text in typed {
        match text.trim().strip_prefix('@') {
            Some(named) => mixes.extend(of_file(named).map_err(|e| e.context("--mix"))?),
            None => mixes.push(Mix::parse(text).map_err(|e| e.context("--mix"))?),
        }
    }
    Ok(mixes)
}

fn of_file(named: &str) -> Result<Vec<Mix>> {
    let (file, name) = match named.rsplit_once('#') {
        Some((file, name)) if !Path::new(named).exists() => (file, Some(name)),
        _ => (named, None),
    };
    let text = files::read_text(Path::new(file), limits::CONFIG_BYTES)?;
    let mixes = Config::parse(&text, file)?.all_mixes();
    let names: Vec<&str> = mixes.iter().filter_map(|mix| mix.name.as_deref()).collect();
    if names.is_empty() {
        return Err(Error::input(format!("{file} has no `mixes`")));
    }
    let Some(name) = name else { return Ok(mixes) };
    match names.iter().position(|known| *known == name) {
        Some(at) => Ok(vec![mixes[at].clone()]),
        None => Err(Error::input(format!("{file} has no mix {name}: there are {}", names.join(", ")))),
    }
}
