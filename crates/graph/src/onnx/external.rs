//! External data: tensors whose bytes are in other files beside the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use super::Model;
use super::messages::{EXTERNAL, GraphProto, NodeProto, TensorProto};
use oplat_ground::error::{Error, Result};
use oplat_ground::files::Destination;

/// The files that the model's tensors are in, as the model names them.
pub fn locations(model: &Model) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Only read, in a copy since a visitor may change the tensors; their bytes are shared.
    let mut copy = model.clone();
    for_each_tensor(&mut copy, &mut |tensor| found.extend(location(tensor).cloned()));
    found
}

/// Fails for external data that isn't there or is cut short, naming its file.
pub fn check(model: &Model) -> Result<()> {
    let mut sizes = BTreeMap::new();
    for location in locations(model) {
        let file = resolve(model.dir.as_deref(), &location)?;
        let found = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file);
        let found = found.ok_or_else(|| {
            Error::input(format!(
                "the weights in {} are not there: put the file beside the model",
                file.display()
            ))
        })?;
        sizes.insert(location, found.len());
    }
    let mut short = None;
    for_each_tensor(&mut model.clone(), &mut |tensor| {
        let number = |key: &str| {
            let entry = tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key))?;
            entry.value.as_ref()?.parse::<u64>().ok()
        };
        let end = number("offset").unwrap_or(0).saturating_add(number("length").unwrap_or(0));
        if let Some((file, &size)) =
            location(tensor).and_then(|l| sizes.get_key_value(l)).filter(|(_, size)| end > **size)
        {
            short.get_or_insert_with(|| (tensor.name().to_owned(), file.clone(), end, size));
        }
    });
    short.map_or(Ok(()), |(name, file, end, size)| {
        Err(Error::input(format!(
            "the weights {name:?} end at byte {end} of {file}, which has {size}: copy it again, whole"
        )))
    })
}

/// The file that a location means. Fails for one outside the model's folder, which only a hostile model names.
pub fn resolve(dir: Option<&Path>, location: &str) -> Result<PathBuf> {
    let inside =
        Path::new(location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    match dir {
        Some(dir) if inside => Ok(dir.join(location)),
        Some(_) => Err(Error::input(format!(
            "external data `{location}` is outside the model's folder: put it beside the model"
        ))),
        None => Err(Error::input(format!("external data `{location}`: the model has no folder"))),
    }
}

/// Makes the external data that the model names available in `dir`, where its file is about to be written as
/// `file`. What is already there stays; a file that would be in the way of a different one is written under
/// another name, and the model pointed to it.
pub fn follow(model: &mut Model, dir: &Path, file: &str) -> Result<()> {
    let mut moved = BTreeMap::new();
    for location in locations(model) {
        let from = resolve(model.dir.as_deref(), &location)?;
        let mut to = dir.join(&location);
        if is_same(&from, &to) {
            continue;
        }
        if to.exists() {
            let name = Path::new(&location).file_name().unwrap_or_default().to_string_lossy();
            let other = format!("{file}.{name}");
            to = dir.join(&other);
            moved.insert(location.clone(), other);
        }
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::file("make", parent, &e))?;
        }
        let mut source = File::open(&from).map_err(|e| Error::file("read external data", &from, &e))?;
        Destination::check(&to)?.fill(|out| std::io::copy(&mut source, out).map(|_| ()))?;
    }
    if !moved.is_empty() {
        for_each_tensor(model, &mut |tensor| {
            for entry in tensor.external_data.iter_mut().filter(|e| e.key.as_deref() == Some("location")) {
                if let Some(other) = entry.value.as_ref().and_then(|v| moved.get(v)) {
                    entry.value = Some(other.clone());
                }
            }
        });
    }
    model.dir = Some(dir.to_path_buf());
    Ok(())
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn location(tensor: &TensorProto) -> Option<&String> {
    if tensor.data_location != Some(EXTERNAL) {
        return None;
    }
    tensor.external_data.iter().find(|e| e.key.as_deref() == Some("location"))?.value.as_ref()
}

fn for_each_tensor(model: &mut Model, visit: &mut impl FnMut(&mut TensorProto)) {
    graph(model.graph_mut(), visit);
    for function in &mut model.proto.functions {
        function.node.iter_mut().for_each(|n| node(n, visit));
    }
}

fn graph(graph: &mut GraphProto, visit: &mut impl FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *visit);
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(&mut sparse.indices).for_each(&mut *visit);
    }
    graph.node.iter_mut().for_each(|n| node(n, visit));
}

fn node(node: &mut NodeProto, visit: &mut impl FnMut(&mut TensorProto)) {
    for attribute in &mut node.attribute {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut *visit);
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|g| graph(g, visit));
    }
}
