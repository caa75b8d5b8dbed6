//! A model as a file: bytes in, bytes out, with its external data beside it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::extent::Extent;
use super::external::{self, DataFolder};
use super::messages::{GraphProto, ModelProto};
use super::{mark, order};
use oplat_ground::error::{Error, Result};
use oplat_ground::files::{self, Destination};
use oplat_ground::limits;

/// An ONNX model and the folder to which its external data is relative.
#[derive(Clone, Debug)]
pub struct Model {
    pub proto: ModelProto,
    /// Where external data is looked up; `None` for a model that never was a file.
    pub dir: Option<DataFolder>,
}

/// What a file is that people take for an ONNX model, and what to do.
fn something_else(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.trim_ascii_start();
    let text = |words: &[u8]| start.len() >= words.len() && start[..words.len()].eq_ignore_ascii_case(words);
    if bytes.get(4..8) == Some(b"ORTM") {
        Some("a model in ONNX Runtime's own format (.ort): give the ONNX file that it was converted from")
    } else if text(b"version https://git-lfs") {
        Some("a Git LFS pointer, not the model itself: run `git lfs pull`")
    } else if text(b"<!doctype html") || text(b"<html") {
        Some("a web page, not a model: download the file itself")
    } else if bytes.get(4..8) == Some(b"TFL3") {
        Some("a TensorFlow Lite model: convert it to ONNX, as with tf2onnx --tflite")
    } else if bytes.starts_with(b"PK\x03\x04") {
        Some("a zip archive (a PyTorch checkpoint is one): export the model to ONNX")
    } else {
        None
    }
}

/// The version of the standard operator set that a model imports (1 where it says nothing).
pub fn opset(model: &ModelProto) -> i64 {
    let standard = |d: &Option<String>| matches!(d.as_deref(), None | Some("" | "ai.onnx"));
    model.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version).unwrap_or(1)
}

impl Model {
    /// Reads a file. Fails with the file's name when it can't be read, is not ONNX or holds no graph.
    pub fn read(path: &Path) -> Result<Self> {
        Self::of_file(files::read(path, limits::MODEL_BYTES)?, path)
    }

    /// Decodes the bytes of the file at this path.
    pub fn of_file(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        let model = Self::decode(bytes, None).map_err(|e| e.context(path.display()))?;
        Ok(Self { dir: Some(DataFolder::of(path)), ..model })
    }

    /// Decodes a model from the bytes of an ONNX file, and puts nodes that stand before what they read behind it. Fails for a
    /// graph in which two nodes write one value, or nodes wait for each other.
    pub fn decode(bytes: impl Into<Bytes>, dir: Option<PathBuf>) -> Result<Self> {
        let bytes: Bytes = bytes.into();
        if bytes.is_empty() {
            return Err(Error::input("the file is empty: export the model again"));
        }
        if let Some(what) = something_else(&bytes) {
            return Err(Error::input(what));
        }
        let mut proto = ModelProto::decode(bytes)
            .map_err(|e| Error::input(format!("not an ONNX model, or cut short ({e}): export it again")))?;
        if proto.graph.as_ref().is_none_or(|g| g.node.is_empty() && g.output.is_empty()) {
            return Err(Error::input("not an ONNX model: it holds no graph"));
        }
        Extent::of(&proto)?;
        proto.graph.iter_mut().try_for_each(order::sort)?;
        Ok(Self { proto, dir: dir.map(DataFolder::from) })
    }

    /// The bytes of the ONNX file.
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Writes the file, whole or not at all, and the external data that it needs beside it. It takes the place of nothing but
    /// a model that oplat wrote.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_to(&Destination::replacing(path, &mark::KIND, &[])?)
    }

    /// As [`write`](Self::write), to a destination that was checked for [`mark::KIND`]. What isn't a file gets the model alone.
    pub fn write_to(&self, destination: &Destination) -> Result<()> {
        let mut model = self.clone();
        let Some(path) = destination.file() else { return destination.write(&mark::encode(&model)) };
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let followed = external::follow(&mut model, folder, &name)?;
        destination.write(&mark::encode(&model))?;
        followed.keep();
        Ok(())
    }

    /// The main graph.
    pub fn graph(&self) -> &GraphProto {
        self.proto.graph.as_ref().expect("checked when the model was made")
    }

    /// The main graph, to change.
    pub fn graph_mut(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().expect("checked when the model was made")
    }

    /// The version of the standard operator set that the model imports (1 where it says nothing).
    pub fn opset(&self) -> i64 {
        opset(&self.proto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_take_for_a_model_is_told_what_it_is() {
        let rows: [(&[u8], &str); 5] = [
            (b"\x18\0\0\0ORTM\0\0", "ONNX Runtime's own format"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
            (b"\n<!DOCTYPE html><html>", "a web page"),
            (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
            (b"PK\x03\x04rest", "a zip archive"),
        ];
        for (bytes, expected) in rows {
            let message = Model::decode(bytes.to_vec(), None).unwrap_err().message;
            assert!(message.contains(expected), "{message}");
        }
    }
}
