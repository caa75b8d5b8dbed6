//! A model that is one activation and nothing else, to measure it without a network around it.

use super::Lowering;
use super::lowering::{self, Functions};
use super::rewrite;
use crate::activation::{Activation, Exporter};
use crate::onnx::Model;
use crate::onnx::build::{self, Names};
use crate::onnx::formula::Expr;
use crate::onnx::messages::{
    Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto, data_type,
};
use crate::onnx::tensor;
use oplat_ground::error::{Error, Result};

/// The opset that exporters write today unless they are told otherwise.
const OPSET: i64 = 17;

/// The activation of an f32 input `x` of this shape, with the output `y`. As in networks, what has no kernel has
/// its exported form in either lowering.
///
/// Fails for an activation that needs channels and for which the shape has none, or that can't divide them.
pub fn alone(activation: &Activation, shape: &[usize], lowering: Lowering) -> Result<Model> {
    let kind = activation.kind;
    let text = activation.exported(OPSET, Exporter::TorchScript, data_type::FLOAT)?;
    let formula = Expr::parse(text).map_err(Error::input)?;
    let channels = shape.get(1).copied().filter(|_| shape.len() == 4);
    if formula.mentions("channels") && channels.is_none() {
        return Err(Error::input(format!("{} needs a feature map: four dimensions", kind.name)));
    }
    if let Some(k) = activation.parameter("k").filter(|_| kind.unswappable_because.is_some()) {
        let width = shape.last().copied().unwrap_or(1) as f64;
        if shape.len() != 2 || k < 1.0 || k.fract() != 0.0 || width % k != 0.0 {
            return Err(Error::input(format!(
                "{activation} needs values of shape [batch, channels], and {k} must divide the channels"
            )));
        }
    }
    let mut names = Names::default();
    let [input, output] = ["x", "y"].map(|name| names.fresh(name.to_owned()));
    let site = build::Site {
        input: &input,
        output: &output,
        node: Some(kind.name.to_owned()),
        prefix: kind.name,
        data_type: data_type::FLOAT,
        opset: OPSET,
        parameter: &|name| activation.parameter(name).or_else(|| rewrite::size(channels, name)),
    };
    let node = build::nodes(&formula, &site, &mut names)
        .ok_or_else(|| Error::input(format!("{activation} has a parameter without a value")))?;
    let graph = GraphProto {
        name: Some(kind.name.to_owned()),
        node,
        input: vec![value(&input, Some(shape))],
        output: vec![value(&output, None)],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) };
    let proto = ModelProto {
        ir_version: Some(8),
        graph: Some(graph),
        opset_import: vec![opset],
        ..Default::default()
    };
    let mut model = Model { proto, dir: None };
    if lowering == Lowering::Kernel && lowering::has_kernel(activation) {
        let mut functions = Functions::of(&model);
        let ends = [kind.name, &input, &output];
        let call = lowering::kernel_node(&mut functions, activation, &formula, data_type::FLOAT, ends)?;
        model.graph_mut().node = vec![call];
        functions.put_into(&mut model);
    }
    Ok(model)
}

/// A convolution of one pixel over so many channels, and the activation behind it: what an engine can merge into a
/// matrix product, it merges here. Fails as [`alone`] does.
pub fn behind_convolution(activation: &Activation, channels: usize) -> Result<Model> {
    let shape = [1, channels, 8, 8];
    let mut model = alone(activation, &shape, Lowering::Exported)?;
    let graph = model.graph_mut();
    let (before, weights) = ("before", "weights");
    for input in graph.node.iter_mut().flat_map(|node| &mut node.input).filter(|input| *input == "x") {
        before.clone_into(input);
    }
    let n = channels as i64;
    let values: Vec<f64> = (0..channels * channels).map(|i| ((i % 7) as f64 - 3.0) / 16.0).collect();
    graph.initializer.push(TensorProto {
        name: Some(weights.to_owned()),
        ..tensor::from_values(&values, vec![n, n, 1, 1], data_type::FLOAT)
    });
    let convolution = NodeProto {
        op_type: Some("Conv".to_owned()),
        name: Some("conv".to_owned()),
        input: vec!["x".to_owned(), weights.to_owned()],
        output: vec![before.to_owned()],
        ..Default::default()
    };
    graph.node.insert(0, convolution);
    Ok(model)
}

fn value(name: &str, shape: Option<&[usize]>) -> ValueInfoProto {
    let dimension = |&n: &usize| Dimension { value: Some(DimensionValue::Value(n as i64)), denotation: None };
    let shape = shape.map(|shape| TensorShapeProto { dim: shape.iter().map(dimension).collect() });
    let tensor = TensorType { elem_type: Some(data_type::FLOAT), shape };
    let kind = TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(kind), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::kinds;
    use crate::swap;

    #[test]
    fn every_activation_can_stand_alone_and_is_recognised_as_itself() {
        for kind in kinds() {
            let activation = Activation::new(kind);
            let shape: &[usize] = if kind.unswappable_because.is_some() { &[1, 64] } else { &[1, 16, 4, 4] };
            let kernel = alone(&activation, shape, Lowering::Kernel).unwrap();
            assert_eq!(kernel.proto.functions.len(), usize::from(swap::has_kernel(&activation)));
            let model = alone(&activation, shape, Lowering::Exported).unwrap();
            let found = kind.is_found();
            if found && kind.place == crate::activation::Place::Anywhere {
                let sites = swap::find(&model).sites;
                assert_eq!(sites.len(), 1, "{}", kind.name);
            }
        }
    }

    #[test]
    fn a_shape_that_does_not_fit_is_refused_with_the_reason() {
        let refused = |text: &str, shape: &[usize]| {
            alone(&Activation::parse(text).unwrap(), shape, Lowering::Exported).unwrap_err().message
        };
        assert!(refused("frelu", &[1, 64]).contains("feature map"));
        assert!(refused("maxout:3", &[1, 64]).contains("3 must divide"));
    }
}
