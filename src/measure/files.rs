//! Every variant as an ONNX file that workers can reach, for as long as the measurement lasts.

use std::path::Path;

use super::Planned;
use crate::device::Target;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::onnx::{Model, external};

/// A temporary folder with all variants; removed when dropped.
pub struct Files {
    _folder: Folder,
    /// The folder on the workers' side.
    there: String,
    /// Each variant's model in it.
    models: Vec<String>,
}

impl Files {
    /// Writes the variants and makes their external data reachable beside them.
    pub fn write(variants: &[Planned], target: &dyn Target) -> Result<Self> {
        let folder = Folder::temporary()?;
        let mut models = vec![];
        for (number, planned) in variants.iter().enumerate() {
            // Two models may keep different weights in files of one name.
            let own = folder.path().join(planned.subject.to_string());
            std::fs::create_dir_all(&own).map_err(|e| Error::file("make", &own, &e))?;
            let model = &planned.variant.model;
            let path = own.join(format!("variant-{number}.onnx"));
            std::fs::write(&path, model.encode()).map_err(|e| Error::file("write", &path, &e))?;
            link_external(model, &own)?;
            models.push(format!("{}/variant-{number}.onnx", planned.subject));
        }
        let there = target.put(folder.path())?;
        Ok(Self { _folder: folder, there, models })
    }

    /// Path of a variant's model on the workers' side.
    pub fn model(&self, variant: usize) -> String {
        format!("{}/{}", self.there, self.models[variant])
    }

    /// Path for a variant's outputs on the workers' side.
    pub fn outputs(&self, variant: usize) -> String {
        format!("{}/outputs-{variant}.f64", self.there)
    }
}

/// Puts every file of external data where the written model looks for it.
fn link_external(model: &Model, folder: &Path) -> Result<()> {
    for location in external::locations(model) {
        let (from, to) = (external::resolve(model.dir.as_deref(), &location)?, folder.join(&location));
        if to.exists() {
            continue;
        }
        // The model may name a link to the file.
        let from = from.canonicalize().map_err(|e| Error::file("read external data", &from, &e))?;
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).map_err(|e| Error::file("write", parent, &e))?;
        }
        link(&from, &to).map_err(|e| Error::file("write", &to, &e))?;
    }
    Ok(())
}

/// A hard link, or a copy where there can be none. Not a symbolic link: the engine follows it, and then refuses data
/// outside the model's folder.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{EXTERNAL, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
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
