//! Every variant as an ONNX file that workers can reach, for as long as the measurement lasts.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::Planned;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::onnx::messages::{AttributeProto, EXTERNAL, GraphProto, TensorProto};
use crate::onnx::{Model, bodies};
use crate::target::Target;

/// A temporary folder with all variants; removed when dropped.
pub struct Files {
    _folder: Folder,
    /// The folder on the workers' side.
    there: String,
}

impl Files {
    /// Writes the variants and makes their external data reachable beside them.
    pub fn write(variants: &[Planned], target: &dyn Target) -> Result<Self> {
        let folder = Folder::temporary()?;
        for (number, planned) in variants.iter().enumerate() {
            let model = &planned.variant.model;
            let path = folder.path().join(model_name(number));
            std::fs::write(&path, model.encode()).map_err(|e| Error::file("write", &path, &e))?;
            link_external(model, folder.path())?;
        }
        let there = target.put(folder.path())?;
        Ok(Self { _folder: folder, there })
    }

    /// Path of a variant's model on the workers' side.
    pub fn model(&self, variant: usize) -> String {
        format!("{}/{}", self.there, model_name(variant))
    }

    /// Path for a variant's outputs on the workers' side.
    pub fn outputs(&self, variant: usize) -> String {
        format!("{}/outputs-{variant}.f64", self.there)
    }
}

fn model_name(variant: usize) -> String {
    format!("variant-{variant}.onnx")
}

/// Puts every file of external data that the model names where it looks for it.
fn link_external(model: &Model, folder: &Path) -> Result<()> {
    for location in external_locations(model.graph()) {
        let relative = PathBuf::from(&location);
        let inside = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        let Some(dir) = model.dir.as_deref().filter(|_| inside) else {
            return Err(Error::input(format!(
                "external data {location:?} is outside the model's folder: put it beside the model"
            )));
        };
        let (from, to) = (dir.join(&relative), folder.join(&relative));
        if to.exists() {
            continue;
        }
        // The file itself, if what the model names is a link to it.
        let from = from.canonicalize().map_err(|e| Error::file("read external data", &from, &e))?;
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::file("write", parent, &e))?;
        }
        link(&from, &to).map_err(|e| Error::file("write", &to, &e))?;
    }
    Ok(())
}

/// A hard link, or a copy where there can be none. The engine follows symbolic links, and then refuses data
/// outside the model's folder.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(|_| ()))
}

/// The files that the graph's tensors, in bodies and attributes too, keep their bytes in.
fn external_locations(graph: &GraphProto) -> BTreeSet<String> {
    fn collect(graph: &GraphProto, found: &mut BTreeSet<String>) {
        let sparse = graph.sparse_initializer.iter().flat_map(|s| s.values.iter().chain(&s.indices));
        let attributes = graph.node.iter().flat_map(|n| &n.attribute);
        let in_attributes = attributes.flat_map(|a: &AttributeProto| a.t.iter().chain(&a.tensors));
        found.extend(graph.initializer.iter().chain(sparse).chain(in_attributes).filter_map(location));
        graph.node.iter().flat_map(bodies).for_each(|body| collect(body, found));
    }
    let mut found = BTreeSet::new();
    collect(graph, &mut found);
    found
}

fn location(tensor: &TensorProto) -> Option<String> {
    let entry = || tensor.external_data.iter().find(|e| e.key.as_deref() == Some("location"));
    (tensor.data_location == Some(EXTERNAL)).then(entry).flatten()?.value.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{ModelProto, StringStringEntryProto};
    use tempfile::TempDir;

    fn model(location: &str, dir: &Path) -> Model {
        let tensor = TensorProto {
            data_location: Some(EXTERNAL),
            external_data: vec![StringStringEntryProto {
                key: Some("location".into()),
                value: Some(location.into()),
            }],
            ..Default::default()
        };
        let graph = GraphProto { initializer: vec![tensor], ..Default::default() };
        let proto = ModelProto { graph: Some(graph), ..Default::default() };
        Model { proto, dir: Some(dir.into()) }
    }

    #[test]
    fn external_data_is_reachable_beside_the_written_model() {
        let (home, folder) = (TempDir::new().expect("temp"), TempDir::new().expect("temp"));
        std::fs::create_dir(home.path().join("w")).expect("made");
        std::fs::write(home.path().join("w/weights.bin"), b"123").expect("written");
        let model = model("w/weights.bin", home.path());
        for _ in 0..2 {
            link_external(&model, folder.path()).expect("linked, also a second time");
        }
        let written = folder.path().join("w/weights.bin");
        assert_eq!(std::fs::read(&written).expect("there"), b"123");
        assert!(!written.is_symlink(), "engines refuse links that lead out of the folder");
    }

    #[test]
    fn external_data_that_is_missing_or_outside_is_refused() {
        let (home, folder) = (TempDir::new().expect("temp"), TempDir::new().expect("temp"));
        for location in ["none.bin", "../secret", "/etc/hostname"] {
            let error = link_external(&model(location, home.path()), folder.path()).expect_err(location);
            assert!(error.message.contains(location), "{error}");
        }
    }
}
