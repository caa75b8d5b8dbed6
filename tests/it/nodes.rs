//! ONNX's own tests of single operators: what the engine runs is equal, and what it hasn't is refused by name.

use std::path::{Path, PathBuf};

use oplat::engines;
use oplat::onnx::Model;
use oplat::onnx::messages::{DimensionValue, TypeValue, ValueInfoProto, data_type};
use oplat::onnx::tensor::element_bytes;
use oplat::protocol::Load;

fn tests() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nodes");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|e| e == "onnx")).collect();
    models.sort();
    assert!(models.len() > 100);
    models
}

/// The bytes of the values of the inputs that aren't in the file.
fn input_bytes(model: &Model) -> usize {
    let graph = model.graph();
    let fed = graph.input.iter().filter(|i| !graph.initializer.iter().any(|t| t.name == i.name));
    fed.map(bytes).sum()
}

fn bytes(input: &ValueInfoProto) -> usize {
    let Some(TypeValue::Tensor(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        panic!("no tensor")
    };
    let size = |value: &Option<DimensionValue>| match value {
        Some(DimensionValue::Value(n)) => *n as usize,
        _ => panic!("an open dimension"),
    };
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    dims.iter().map(|d| size(&d.value)).product::<usize>() * element_bytes(tensor.elem_type.unwrap()).unwrap()
}

/// What differs, if anything does.
fn differs(file: &Path, folder: &Path) -> Option<String> {
    let model = Model::read(file).unwrap();
    let data = std::fs::read(file.with_extension("data")).ok();
    let (given, expected) = data.as_deref().map_or((&[][..], None), |data| {
        let (given, expected) = data.split_at(input_bytes(&model));
        (given, Some(expected))
    });
    let values = folder.join("values");
    std::fs::write(&values, given).unwrap();
    let load = Load {
        model: file.display().to_string(),
        values: expected.map(|_| values.display().to_string()),
        ..Load::default()
    };
    let (mut loaded, expected) = match (engines::default().load(&load), expected) {
        (Ok((loaded, _)), Some(expected)) => (loaded, expected),
        (Ok(_), None) => return Some("it is loaded, though the engine hasn't its operator".to_owned()),
        (Err(failure), None) => {
            let named = failure.message.starts_with("node \"") && failure.message.lines().count() == 1;
            return (!named).then_some(failure.message);
        }
        (Err(failure), Some(_)) => return Some(failure.message),
    };
    let outputs = match loaded.outputs() {
        Ok(outputs) => outputs,
        Err(failure) => return Some(failure.message),
    };
    let half = outputs.tensors.iter().any(|tensor| tensor.dtype == data_type::FLOAT16);
    let is: Vec<f64> = outputs.tensors.iter().flat_map(|tensor| tensor.to_f64().unwrap()).collect();
    let should: Vec<f64> =
        expected.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    if is.len() != should.len() {
        return Some(format!("{} numbers, not {}", is.len(), should.len()));
    }
    // As ONNX's own runner has it: some of the expected numbers are written with four digits.
    let tolerance = if half { 2e-3 } else { 1e-3 };
    let near = |(a, b): (&f64, &f64)| {
        a == b || (a - b).abs() <= tolerance * b.abs().max(0.1) || a.is_nan() && b.is_nan()
    };
    let off = is.iter().zip(&should).position(|pair| !near(pair))?;
    Some(format!("{} at {off}, not {}", is[off], should[off]))
}

#[test]
fn operators_are_equal_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = vec![];
    for file in tests() {
        if let Some(why) = differs(&file, folder.path()) {
            wrong.push(format!("{}: {why}", file.file_stem().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
