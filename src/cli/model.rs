//! Which model is meant: a path, a file in `models/`, or a built-in architecture.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::inputs::InputFlag;
use crate::error::{Error, Result};
use crate::onnx::messages::{GraphProto, NodeProto, TensorProto};
use crate::onnx::{Model, bodies, external, tensor};
use crate::suggest::nearest;
use crate::{files, limits, record, zoo};

/// A model and where it was found.
pub struct Chosen {
    pub model: Model,
    /// File stem or built-in name.
    pub name: String,
    /// The path, or `built in`.
    pub source: String,
    sha256: String,
    /// Its file, if it has one.
    file: Option<PathBuf>,
}

impl Chosen {
    /// The model with all of its data at hand. Fails for external data that isn't there, naming its file.
    pub fn whole(self) -> Result<Self> {
        external::check(&self.model).map_err(|e| e.context(&self.source))?;
        Ok(self)
    }

    /// The files that it is read from.
    pub fn files(&self) -> Vec<PathBuf> {
        let dir = self.model.dir.as_ref();
        let data =
            external::locations(&self.model).into_iter().filter_map(|l| external::resolve(dir, &l).ok());
        self.file.iter().cloned().chain(data).collect()
    }

    /// What a record says of the model before a worker has loaded it: inputs and MACs come from there.
    pub fn describe(&self) -> record::Model {
        record::Model {
            name: self.name.clone(),
            source: self.source.clone(),
            sha256: self.sha256.clone(),
            parameters: parameters(&self.model),
            ..Default::default()
        }
    }
}

/// What a record calls the source of a built-in model.
pub const BUILT_IN: &str = "built in";

/// Finds the model that the user named. A built-in one is made for the shape that `flags` give its input. What
/// was taken instead of a missing file is told to `note`.
pub fn resolve(named: &str, flags: &[InputFlag], note: &mut dyn FnMut(&str)) -> Result<Chosen> {
    let path = Path::new(named);
    if path.exists() {
        return read(path);
    }
    if let Some(file) = path.file_name().filter(|_| path.extension().is_some_and(|e| e == "onnx")) {
        let beside = Path::new("models").join(file);
        if beside.is_file() {
            note(&format!("{named}: no such file, taking {}", beside.display()));
            return read(&beside);
        }
    }
    if let Some(name) = zoo::find(named) {
        let missing = if named == name { String::new() } else { format!("{named}: no such file, ") };
        note(&format!("{missing}taking the built-in {name} (seeded weights)"));
        return built_in(name, flags);
    }
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or(named);
    let meant = nearest(stem, zoo::names()).map_or(String::new(), |name| format!(" (did you mean {name}?)"));
    Err(Error::input(format!(
        "{named}: no such file and no built-in model{meant}; built in are {}",
        zoo::names().join(", ")
    )))
}

fn built_in(name: &str, flags: &[InputFlag]) -> Result<Chosen> {
    let (input, _) = zoo::describe(name)?.input;
    let shape = flags.iter().find(|flag| flag.name() == input).map(InputFlag::dimensions);
    let model = zoo::build(name, shape.as_deref())?;
    let sha256 = hex(&Sha256::digest(model.encode()));
    Ok(Chosen { model, name: name.into(), source: BUILT_IN.into(), sha256, file: None })
}

fn read(path: &Path) -> Result<Chosen> {
    if path.is_dir() {
        return Err(Error::input(format!("{}: is a folder, give the ONNX file in it", path.display())));
    }
    let bytes = files::read(path, limits::MODEL_BYTES)?;
    let mut hasher = Sha256::new_with_prefix(&bytes);
    let model = Model::of_file(bytes, path)?;
    external_data(&model, &mut hasher).map_err(|e| e.context(path.display()))?;
    let sha256 = hex(&hasher.finalize());
    let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    Ok(Chosen { model, name, source: path.display().to_string(), sha256, file: Some(path.into()) })
}

/// Adds the external data, which is as much of the model as its file is: every file's name and bytes, by name. What is
/// missing or refused is told elsewhere, with its remedy.
fn external_data(model: &Model, hasher: &mut Sha256) -> Result<()> {
    for location in external::locations(model) {
        let file = external::resolve(model.dir.as_ref(), &location).ok().filter(|file| file.is_file());
        if let Some((file, data)) = file.and_then(|file| Some((file.clone(), File::open(file).ok()?))) {
            hasher.update(&location);
            add(data, hasher).map_err(|e| Error::file("read", &file, &e))?;
        }
    }
    Ok(())
}

fn add(data: File, hasher: &mut Sha256) -> io::Result<()> {
    let mut data = BufReader::with_capacity(1 << 20, data);
    loop {
        let part = data.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        hasher.update(part);
        let read = part.len();
        data.consume(read);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Elements of all initialisers, those of bodies included, and of constant nodes that are the weights of a linear operator.
pub fn parameters(model: &Model) -> u64 {
    fn of(graph: &GraphProto) -> u64 {
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        let own = graph.initializer.iter().chain(sparse).chain(constant_weights(&graph.node));
        let own = own.filter_map(tensor::elements).fold(0, u64::saturating_add);
        graph.node.iter().flat_map(bodies).map(of).fold(own, u64::saturating_add)
    }
    let functions = model.proto.functions.iter().flat_map(|f| constant_weights(&f.node));
    functions.filter_map(tensor::elements).fold(of(model.graph()), u64::saturating_add)
}

/// The tensors of constant nodes that linear operators among these nodes read as weights.
fn constant_weights(nodes: &[NodeProto]) -> impl Iterator<Item = &TensorProto> {
    let linear = ["Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN"];
    let reads =
        nodes.iter().filter(move |node| linear.contains(&node.op_type())).flat_map(|node| &node.input);
    let read: HashSet<&str> = reads.map(String::as_str).collect();
    let is_read =
        move |node: &&NodeProto| node.output.first().is_some_and(|name| read.contains(name.as_str()));
    let constants = nodes.iter().filter(|node| node.op_type() == "Constant").filter(is_read);
    constants.filter_map(|node| node.attribute.first()?.t.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_lists_what_there_is() {
        let error = resolve("no/such/yolov5x9.onnx", &[], &mut |_| ()).err().expect("unknown");
        assert_eq!(error.exit_code(), 2);
        for part in ["no/such/yolov5x9.onnx", "yolov5n", "did you mean"] {
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn a_built_in_model_is_taken_aloud() {
        let mut told = String::new();
        let chosen = resolve("yolov5n.onnx", &[], &mut |note| told = note.into()).expect("built in");
        assert_eq!((chosen.name.as_str(), chosen.source.as_str()), ("yolov5n", "built in"));
        assert_eq!(told, "yolov5n.onnx: no such file, taking the built-in yolov5n (seeded weights)");
        assert_eq!(chosen.describe().parameters, 1_867_405);
    }

    #[test]
    fn a_built_in_model_takes_the_shape_that_is_asked_for() {
        let flag: InputFlag = "images=1x3x64x96".parse().expect("a shape");
        let chosen = resolve("yolov5n", std::slice::from_ref(&flag), &mut |_| ()).expect("built in");
        let feed = super::super::inputs::feed(&chosen.model, &[], &[]).expect("a fixed shape");
        assert_eq!(feed.inputs[0].shape, [1, 3, 64, 96]);
    }
}
