//! A model as a file: bytes in, bytes out, with its external data beside it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::messages::{GraphProto, ModelProto};
use super::{external, order};
use oplat_ground::error::{Error, Result};
use oplat_ground::files::Destination;

/// An ONNX model and the folder to which its external data is relative.
#[derive(Clone, Debug)]
pub struct Model {
    pub proto: ModelProto,
    /// Where external data is looked up; `None` for a model that never was a file.
    pub dir: Option<PathBuf>,
}

impl Model {
    /// Reads a file. Fails with the file's name when it can't be read, is not ONNX or holds no graph.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| Error::file("read", path, &e))?;
        let dir = path.parent().map(Path::to_path_buf);
        Self::decode(bytes, dir).map_err(|e| e.context(path.display()))
    }

    /// Decodes a model from the bytes of an ONNX file, and puts nodes that stand before what they read behind it. Fails for a
    /// graph in which two nodes write one value, or nodes wait for each other.
    pub fn decode(bytes: impl Into<Bytes>, dir: Option<PathBuf>) -> Result<Self> {
        let bytes: Bytes = bytes.into();
        if bytes.is_empty() {
            return Err(Error::input("the file is empty: export the model again"));
        }
        let mut proto = ModelProto::decode(bytes)
            .map_err(|e| Error::input(format!("not an ONNX model, or cut short ({e}): export it again")))?;
        if proto.graph.as_ref().is_none_or(|g| g.node.is_empty() && g.output.is_empty()) {
            return Err(Error::input("not an ONNX model: it holds no graph"));
        }
        proto.graph.iter_mut().try_for_each(order::sort)?;
        Ok(Self { proto, dir })
    }

    /// The bytes of the ONNX file.
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// Writes the file, whole or not at all, and the external data that it needs beside it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut model = self.clone();
        external::follow(&mut model, folder, &name)?;
        Destination::check(path)?.write(&model.encode())
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
        let standard = |d: &Option<String>| matches!(d.as_deref(), None | Some("" | "ai.onnx"));
        self.proto.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version).unwrap_or(1)
    }
}
