//! The models of a measurement, each with its name and what it is fed.

use super::inputs::{self, DimFlag, InputFlag};
use super::model;
use crate::error::Result;
use crate::experiment::{self, Swaps};
use crate::measure::{Planned, Subject};
use crate::onnx::Model;
use crate::onnx::messages::{DimensionValue, TypeValue, ValueInfoProto};

/// Reads the models, under names that differ, and works out their variants. A flag is for those models that have
/// such an input or dimension; if none has, it is an error. What was taken instead of a missing file is told to
/// `note`.
pub fn plan(
    named: &[String],
    flags: &[InputFlag],
    dims: &[DimFlag],
    swaps: &Swaps,
    note: &mut dyn FnMut(&str),
) -> Result<(Vec<Subject>, Vec<Planned>)> {
    let chosen: Vec<_> =
        named.iter().map(|named| model::resolve(named, flags, note)?.whole()).collect::<Result<_>>()?;
    let names: Vec<String> = chosen.iter().map(|c| c.name.clone()).collect();
    let names = experiment::tell_apart(&names);
    let models: Vec<(&str, &Model)> =
        names.iter().zip(&chosen).map(|(name, chosen)| (name.as_str(), &chosen.model)).collect();
    let concern = |has: fn(&Model, &str) -> bool, model: &Model, name: &str| {
        has(model, name) || !models.iter().any(|(_, other)| has(other, name))
    };
    let mut subjects = vec![];
    for ((name, model), chosen) in models.iter().zip(&chosen) {
        let flags: Vec<InputFlag> =
            flags.iter().filter(|flag| concern(has_input, model, flag.name())).cloned().collect();
        let dims: Vec<DimFlag> =
            dims.iter().filter(|dim| concern(has_dimension, model, dim.name())).cloned().collect();
        let feed = inputs::feed(model, &flags, &dims).map_err(|e| e.context(name))?;
        let mut model = chosen.describe();
        model.name = (*name).into();
        subjects.push(Subject { model, inputs: feed.inputs, dims: feed.dims });
    }
    let variants = experiment::variants(&models, swaps, note)?;
    Ok((subjects, variants))
}

fn has_input(model: &Model, name: &str) -> bool {
    model.graph().input.iter().any(|input| input.name.as_deref() == Some(name))
}

fn has_dimension(model: &Model, name: &str) -> bool {
    let named = |input: &ValueInfoProto| match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(TypeValue::Tensor(tensor)) => tensor
            .shape
            .iter()
            .flat_map(|shape| &shape.dim)
            .any(|dim| matches!(&dim.value, Some(DimensionValue::Param(param)) if param == name)),
        _ => false,
    };
    model.graph().input.iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swap::Lowering;
    use crate::swap::Selection;

    fn planned(models: &[&str], flags: &[&str]) -> Result<Vec<Subject>> {
        let swaps = Swaps {
            mixes: vec![],
            lowerings: vec![Lowering::Exported],
            selection: Selection::default(),
            control: true,
            engines: vec![crate::measure::PlannedEngine::default()],
            knobs: vec![],
        };
        let models: Vec<String> = models.iter().map(ToString::to_string).collect();
        let flags: Vec<InputFlag> = flags.iter().map(|f| f.parse().unwrap()).collect();
        Ok(plan(&models, &flags, &[], &swaps, &mut |_| ())?.0)
    }

    #[test]
    fn a_flag_is_for_the_models_that_have_such_an_input() {
        let subjects = planned(&["yolov5n", "siren", "yolov5n"], &["images=1x3x64x96"]).unwrap();
        let names: Vec<&str> = subjects.iter().map(|s| s.model.name.as_str()).collect();
        assert_eq!(names, ["yolov5n", "siren", "yolov5n #2"]);
        assert_eq!(subjects[0].inputs[0].shape, [1, 3, 64, 96]);
        assert_eq!(subjects[2].inputs[0].shape, [1, 3, 64, 96]);
        assert_ne!(subjects[1].inputs[0].name, "images");
        let error = planned(&["yolov5n", "siren"], &["pictures=1x3x64x96"]).unwrap_err();
        assert!(error.message.starts_with("yolov5n: --input pictures"), "{error}");
    }
}
