//! What a model is fed: every input gets a concrete shape, from the file, from `--dim` or from `--input`.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::onnx::messages::{Dimension, DimensionValue, TypeValue, ValueInfoProto, data_type};
use crate::onnx::{Model, tensor};
use crate::protocol::Input;
use crate::record;
use crate::suggest::nearest;
use crate::units;

/// `--input NAME=1x3x320x320[:f32]`.
#[derive(Clone, Debug, PartialEq)]
pub struct InputFlag {
    name: String,
    shape: Vec<usize>,
    dtype: Option<String>,
}

impl InputFlag {
    /// The flag `NAME=SHAPE`, of the element type that the file says.
    pub fn new(name: &str, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), dtype: None }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape as ONNX writes it.
    pub fn dimensions(&self) -> Vec<i64> {
        self.shape.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect()
    }
}

/// `--dim NAME=N`.
#[derive(Clone, Debug, PartialEq)]
pub struct DimFlag {
    name: String,
    size: usize,
}

impl DimFlag {
    pub fn new(name: &str, size: usize) -> Self {
        Self { name: name.into(), size }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for InputFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Input names may hold `=` and `:` themselves, shapes don't.
        let (name, value) = text.rsplit_once('=').ok_or("give NAME=1x3x320x320, or NAME=1x3x320x320:f32")?;
        let (sizes, dtype) = match value.split_once(':') {
            Some((sizes, dtype)) => (sizes, Some(dtype.to_string())),
            None => (value, None),
        };
        if let Some(dtype) = &dtype
            && tensor::parse_type(dtype).is_none()
        {
            let known: Vec<&str> = tensor::TYPES.iter().map(|(name, _)| *name).collect();
            return Err(format!("{dtype:?} is no element type: give one of {}", known.join(", ")));
        }
        let shape = match sizes {
            "scalar" => vec![],
            _ => sizes.split('x').map(|text| size(text, 0)).collect::<Result<_, _>>()?,
        };
        Ok(Self { name: name.into(), shape, dtype })
    }
}

impl FromStr for DimFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.rsplit_once('=').ok_or("give NAME=1")?;
        Ok(Self { name: name.into(), size: size(value, 1)? })
    }
}

/// A dimension's size. An input may hold nothing, as the past of a sequence that begins.
fn size(text: &str, least: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (least..=i64::MAX as usize).contains(&n) => Ok(n),
        _ => Err(format!("{text:?} is no size: give a whole number from {least}")),
    }
}

/// Concrete inputs, and the value of every named dimension that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    pub inputs: Vec<Input>,
    pub dims: Vec<(String, i64)>,
}

/// Gives every input of the model a shape. A batch dimension that nothing fixes is 1; any other must be given.
pub fn feed(model: &Model, flags: &[InputFlag], dims: &[DimFlag]) -> Result<Feed> {
    let declared = declared(model)?;
    check_names(&declared, flags, dims)?;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    // Names that some exporters give to dimensions of several sizes say nothing.
    let mut several: Vec<&str> = vec![];
    for dim in dims {
        bind(&mut sizes, &dim.name, dim.size, "--dim")?;
    }
    for flag in flags {
        let input = declared.iter().find(|i| i.name == flag.name);
        for (axis, &size) in input.and_then(|i| i.shape.as_ref()).into_iter().flatten().zip(&flag.shape) {
            let AxisSize::Named(name) = axis else { continue };
            if dims.iter().any(|dim| dim.name == *name) {
                bind(&mut sizes, name, size, &format!("--input {}", flag.name))?;
            } else if sizes.insert(name, size).is_some_and(|other| other != size) {
                several.push(*name);
            }
        }
    }
    sizes.retain(|name, _| !several.contains(name));
    for name in declared.iter().filter(|i| flag_of(flags, i).is_none()).filter_map(|i| batch_name(i)) {
        sizes.entry(name).or_insert(1);
    }
    let inputs = declared.iter().map(|input| {
        let shape = match flag_of(flags, input) {
            Some(flag) => flag.shape.clone(),
            None => input.concrete(&sizes)?,
        };
        Ok(Input {
            name: input.name.into(),
            shape,
            dtype: flag_of(flags, input).and_then(|f| f.dtype.clone()),
        })
    });
    Ok(Feed {
        inputs: inputs.collect::<Result<_>>()?,
        dims: sizes.iter().map(|(name, &size)| (name.to_string(), size as i64)).collect(),
    })
}

/// The inputs as far as the file declares their shapes, for a model that can't be fed.
pub fn known(model: &Model) -> Vec<record::Input> {
    let input = |i: Declared| {
        let axis = |axis: &AxisSize| if let AxisSize::Fixed(n) = axis { Some(*n) } else { None };
        let shape = i.shape?.iter().map(axis).collect::<Option<Vec<_>>>()?;
        Some(record::Input { name: i.name.to_owned(), shape, dtype: i.dtype.to_owned() })
    };
    declared(model).map_or(vec![], |inputs| inputs.into_iter().filter_map(input).collect())
}

/// Names of the inputs whose shape the file leaves open.
pub fn open(model: &Model) -> Vec<String> {
    let is_open =
        |i: &Declared| !i.shape.as_ref().is_some_and(|s| s.iter().all(|a| matches!(a, AxisSize::Fixed(_))));
    declared(model)
        .map_or(vec![], |inputs| inputs.iter().filter(|i| is_open(i)).map(|i| i.name.to_owned()).collect())
}

/// An input as the file declares it; no shape at all is `None`.
struct Declared<'m> {
    name: &'m str,
    /// Element type, empty where it has no name here.
    dtype: &'static str,
    shape: Option<Vec<AxisSize<'m>>>,
}

#[derive(Clone, Copy)]
enum AxisSize<'m> {
    Fixed(usize),
    Named(&'m str),
    Unknown,
}

fn declared(model: &Model) -> Result<Vec<Declared<'_>>> {
    let graph = model.graph();
    let constants: HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let inputs = graph.input.iter().filter(|i| !constants.contains(i.name.as_deref().unwrap_or("")));
    inputs.map(declare).collect()
}

fn declare(info: &ValueInfoProto) -> Result<Declared<'_>> {
    let name = info.name.as_deref().unwrap_or("");
    match info.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => {
            if tensor.elem_type == Some(data_type::STRING) {
                return Err(Error::input(format!(
                    "input {name:?} takes strings, for which no values can be made up"
                )));
            }
            let shape = tensor.shape.as_ref().map(|s| s.dim.iter().map(axis).collect());
            let dtype = tensor.elem_type.and_then(tensor::type_name).unwrap_or("");
            Ok(Declared { name, dtype, shape })
        }
        None => Ok(Declared { name, dtype: "", shape: None }),
        Some(_) => Err(Error::input(format!("input {name:?} is no tensor, and only tensors can be fed"))),
    }
}

fn axis(dimension: &Dimension) -> AxisSize<'_> {
    match &dimension.value {
        Some(DimensionValue::Value(n)) if *n >= 0 => {
            usize::try_from(*n).map_or(AxisSize::Unknown, AxisSize::Fixed)
        }
        // What paddle2onnx calls every dimension that it doesn't know.
        Some(DimensionValue::Param(name)) if !name.is_empty() && name != "?" => AxisSize::Named(name),
        _ => AxisSize::Unknown,
    }
}

impl Declared<'_> {
    fn concrete(&self, sizes: &BTreeMap<&str, usize>) -> Result<Vec<usize>> {
        let Some(axes) = &self.shape else {
            return Err(Error::input(format!(
                "the file gives input {:?} no shape: give one, as in --input {}=1x3x224x224",
                self.name, self.name
            )));
        };
        let known = |(i, axis): (usize, &AxisSize)| match axis {
            // Old exporters write 0 for a batch of any size.
            AxisSize::Fixed(0) if i == 0 => Some(1),
            AxisSize::Fixed(n) => Some(*n),
            AxisSize::Named(name) => sizes.get(name).copied(),
            AxisSize::Unknown => (i == 0).then_some(1),
        };
        let shape: Vec<Option<usize>> = axes.iter().enumerate().map(known).collect();
        let Some(at) = shape.iter().position(Option::is_none) else {
            return Ok(shape.into_iter().flatten().collect());
        };
        let example: Vec<String> =
            shape.iter().map(|size| size.map_or("N".to_string(), |n| n.to_string())).collect();
        let example = format!("--input {}={}", self.name, units::dimensions(&example));
        Err(Error::input(match axes.get(at) {
            Some(AxisSize::Named(name)) => format!(
                "dimension {name:?} of input {:?} (number {}) has no size: give --dim {name}=N or {example}",
                self.name,
                at + 1
            ),
            _ => format!("dimension {} of input {:?} has no size: give {example}", at + 1, self.name),
        }))
    }
}

/// The named dimension that counts inputs: one that says so, else the first, unless its name says otherwise.
fn batch_name<'m>(input: &Declared<'m>) -> Option<&'m str> {
    let axes = input.shape.as_ref()?;
    let names = |axis: &AxisSize<'m>| match axis {
        AxisSize::Named(name) => Some(*name),
        _ => None,
    };
    let says = |name: &str, words: &[&str]| words.iter().any(|w| name.to_lowercase().contains(w));
    let other = ["seq", "len", "time", "token", "height", "width", "channel"];
    let by_name = axes.iter().filter_map(names).find(|name| says(name, &["batch"]));
    by_name.or_else(|| axes.first().and_then(names).filter(|name| !says(name, &other)))
}

fn flag_of<'f>(flags: &'f [InputFlag], input: &Declared) -> Option<&'f InputFlag> {
    flags.iter().find(|f| f.name == input.name)
}

fn bind<'m>(sizes: &mut BTreeMap<&'m str, usize>, name: &'m str, size: usize, by: &str) -> Result<()> {
    match sizes.insert(name, size) {
        Some(other) if other != size => Err(Error::input(format!(
            "dimension {name:?} is {other} already and cannot be {size} in {by}: give it one size"
        ))),
        _ => Ok(()),
    }
}

fn check_names(declared: &[Declared], flags: &[InputFlag], dims: &[DimFlag]) -> Result<()> {
    let inputs: Vec<&str> = declared.iter().map(|i| i.name).collect();
    for (i, flag) in flags.iter().enumerate() {
        let Some(input) = declared.iter().find(|d| d.name == flag.name) else {
            return Err(unknown("input", "--input", &flag.name, &inputs));
        };
        if flags.iter().skip(i + 1).any(|other| other.name == flag.name) {
            return Err(Error::input(format!("--input {} is given twice: give it once", flag.name)));
        }
        if let Some(shape) = &input.shape
            && shape.len() != flag.shape.len()
        {
            return Err(Error::input(format!(
                "--input {}: the input has {} dimensions, not {}",
                flag.name,
                shape.len(),
                flag.shape.len()
            )));
        }
    }
    let axes = declared.iter().filter_map(|i| i.shape.as_ref()).flatten();
    let mut named: Vec<&str> =
        axes.filter_map(|a| if let AxisSize::Named(name) = a { Some(*name) } else { None }).collect();
    named.sort_unstable();
    named.dedup();
    match dims.iter().find(|d| !named.contains(&d.name.as_str())) {
        Some(dim) => Err(unknown("named dimension", "--dim", &dim.name, &named)),
        None => Ok(()),
    }
}

fn unknown(what: &str, flag: &str, name: &str, names: &[&str]) -> Error {
    let there = match names {
        [] => format!("it has no {what}s"),
        _ => format!("it has {}", names.join(", ")),
    };
    let meant =
        nearest(name, names.iter().copied()).map_or(String::new(), |n| format!("; did you mean {n}?"));
    Error::input(format!("{flag} {name}: the model has no such {what} ({there}){meant}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{
        ModelProto, NodeProto, TensorProto, TensorShapeProto, TensorType, TypeProto,
    };

    /// A model with inputs such as `x=batch,3,?` (a name, a size, unknown).
    fn model(inputs: &[&str]) -> Model {
        let input = |text: &&str| {
            let (name, axes) = text.split_once('=').unwrap();
            let dim = axes.split(',').map(|axis| Dimension {
                value: match axis.parse() {
                    Ok(n) => Some(DimensionValue::Value(n)),
                    Err(_) if axis == "?" => None,
                    Err(_) => Some(DimensionValue::Param(axis.into())),
                },
                denotation: None,
            });
            let tensor = TensorType {
                elem_type: Some(data_type::FLOAT),
                shape: (axes != "none").then(|| TensorShapeProto { dim: dim.collect() }),
            };
            ValueInfoProto {
                name: Some(name.into()),
                r#type: Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None }),
                ..Default::default()
            }
        };
        let graph = GraphProto {
            node: vec![NodeProto::default()],
            input: inputs.iter().map(input).collect(),
            initializer: vec![TensorProto { name: Some("weight".into()), ..Default::default() }],
            ..Default::default()
        };
        Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: None }
    }

    use crate::onnx::messages::GraphProto;

    fn shapes(inputs: &[&str], flags: &[&str], dims: &[&str]) -> Result<Vec<Vec<usize>>> {
        let flags: Vec<InputFlag> = flags.iter().map(|f| f.parse().unwrap()).collect();
        let dims: Vec<DimFlag> = dims.iter().map(|d| d.parse().unwrap()).collect();
        feed(&model(inputs), &flags, &dims).map(|feed| feed.inputs.into_iter().map(|i| i.shape).collect())
    }

    #[test]
    fn only_a_batch_dimension_has_a_default() {
        assert_eq!(shapes(&["x=batch,3,8"], &[], &[]).unwrap(), [[1, 3, 8]]);
        assert_eq!(shapes(&["x=?,3,8"], &[], &[]).unwrap(), [[1, 3, 8]]);
        assert_eq!(shapes(&["x=-1,3,8"], &[], &[]).unwrap(), [[1, 3, 8]]);
        let error = shapes(&["x=batch,3,h,w"], &[], &[]).unwrap_err();
        assert_eq!(
            error.message,
            "dimension \"h\" of input \"x\" (number 3) has no size: give --dim h=N or --input x=1x3xNxN"
        );
        let error = shapes(&["x=1,?"], &[], &[]).unwrap_err();
        assert_eq!(error.message, "dimension 2 of input \"x\" has no size: give --input x=1xN");
        assert!(shapes(&["x=none"], &[], &[]).unwrap_err().message.contains("--input x=1x3x224x224"));
    }

    #[test]
    fn a_sequence_before_the_batch_is_not_taken_for_one() {
        assert!(shapes(&["x=seq,batch,8"], &[], &[]).unwrap_err().message.contains("--dim seq=N"));
        assert!(shapes(&["x=seq_len,8"], &[], &[]).is_err());
        assert_eq!(shapes(&["x=seq,batch,8"], &[], &["seq=7"]).unwrap(), [[7, 1, 8]]);
    }

    #[test]
    fn sizes_come_from_either_flag_and_must_agree() {
        let inputs = ["x=n,3,h", "y=n,h"];
        assert_eq!(shapes(&inputs, &[], &["h=5", "n=2"]).unwrap(), [vec![2, 3, 5], vec![2, 5]]);
        assert_eq!(shapes(&inputs, &["x=4x3x5"], &[]).unwrap(), [vec![4, 3, 5], vec![4, 5]]);
        for (flags, dims) in [(vec!["x=4x3x5"], vec!["n=2"]), (vec![], vec!["n=1", "n=2"])] {
            let error = shapes(&inputs, &flags, &dims).unwrap_err();
            assert!(error.message.contains("give it one size"), "{error}");
        }
        let feed = feed(&model(&inputs), &["x=4x3x5:f16".parse().unwrap()], &[]).unwrap();
        assert_eq!(feed.dims, [("h".to_string(), 5), ("n".to_string(), 4)]);
        assert_eq!(feed.inputs[0].dtype.as_deref(), Some("f16"));
    }

    #[test]
    fn a_name_of_several_sizes_says_nothing() {
        let given =
            feed(&model(&["x=n,3,h", "y=n,h"]), &["x=4x3x5".parse().unwrap(), "y=4x6".parse().unwrap()], &[]);
        let given = given.unwrap();
        assert_eq!((given.inputs[1].shape.as_slice(), given.dims), (&[4, 6][..], vec![("n".to_string(), 4)]));
        assert_eq!(shapes(&["x=?,3,?,?"], &["x=1x3x8x16"], &[]).unwrap(), [[1, 3, 8, 16]]);
        assert!(shapes(&["x=?,3,?,?"], &[], &[]).unwrap_err().message.contains("--input x=1x3xNxN"));
    }

    #[test]
    fn a_fixed_size_may_be_replaced_but_not_the_rank() {
        assert_eq!(shapes(&["x=1,3,640"], &["x=1x3x320"], &[]).unwrap(), [[1, 3, 320]]);
        let error = shapes(&["x=1,3,640"], &["x=1x3"], &[]).unwrap_err();
        assert_eq!(error.message, "--input x: the input has 3 dimensions, not 2");
    }

    #[test]
    fn unknown_names_are_told_with_what_there_is() {
        let error = shapes(&["images=batch,3"], &["image=1x3"], &[]).unwrap_err();
        assert_eq!(
            error.message,
            "--input image: the model has no such input (it has images); did you mean images?"
        );
        let error = shapes(&["x=1,3"], &[], &["n=1"]).unwrap_err();
        assert_eq!(
            error.message,
            "--dim n: the model has no such named dimension (it has no named dimensions)"
        );
        assert!(shapes(&["x=1,3"], &["x=1x3", "x=1x3"], &[]).unwrap_err().message.contains("given twice"));
    }

    #[test]
    fn initialisers_are_no_inputs() {
        assert_eq!(shapes(&["x=1,3", "weight=5,?"], &[], &[]).unwrap(), [[1, 3]]);
    }

    #[test]
    fn flags_are_checked_as_they_are_typed() {
        for wrong in ["x", "x=", "x=1x", "x=1x3:f31", "x=1,3", "x=-1"] {
            assert!(wrong.parse::<InputFlag>().is_err(), "{wrong}");
        }
        for wrong in ["n", "n=", "n=0", "n=x", "n=99999999999999999999"] {
            assert!(wrong.parse::<DimFlag>().is_err(), "{wrong}");
        }
        assert_eq!("past=1x0x16".parse::<InputFlag>().unwrap().shape, [1, 0, 16]);
        let flag: InputFlag = "serving:x=1x3:u8".parse().unwrap();
        assert_eq!((flag.name.as_str(), flag.shape), ("serving:x", vec![1, 3]));
    }
}
