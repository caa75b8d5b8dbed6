//! How large a model is, and whether that is more than oplat takes. A file of a few bytes can say of itself that it is
//! larger than any memory.

use super::messages::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, TypeValue, ValueInfoProto,
};
use super::{inline, tensor};
use oplat_ground::error::{Error, Result};
use oplat_ground::limits::{self, check};
use oplat_ground::units;

/// What is counted of a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Nodes, those of bodies and functions included.
    pub nodes: u64,
    /// Values that nodes read and write, and what graphs declare.
    pub values: u64,
    name_bytes: u64,
}

impl Extent {
    /// Counts a model. Fails for one that is too large, with the limit that it is above.
    pub fn of(model: &ModelProto) -> Result<Self> {
        let mut extent = Self::default();
        model.graph.iter().try_for_each(|graph| extent.graph(graph))?;
        model.functions.iter().try_for_each(|function| extent.function(function))?;
        check(extent.nodes, limits::NODES, "nodes")?;
        check(extent.values, limits::VALUES, "values")?;
        check(extent.name_bytes, limits::NAME_BYTES, "bytes of names")?;
        // Calls that don't end are told where they matter.
        let inlined = inline::size(model).unwrap_or(0) as u64;
        check(inlined, limits::INLINED, "nodes, with those of functions at each call")?;
        Ok(extent)
    }

    fn graph(&mut self, graph: &GraphProto) -> Result<()> {
        let values = [&graph.input, &graph.output, &graph.value_info];
        values.into_iter().flatten().try_for_each(|value| self.declared(value))?;
        graph.initializer.iter().try_for_each(|tensor| self.tensor(tensor))?;
        for sparse in &graph.sparse_initializer {
            let parts = sparse.values.iter().chain(&sparse.indices);
            parts.into_iter().try_for_each(|tensor| self.tensor(tensor))?;
        }
        graph.node.iter().try_for_each(|node| self.node(node))
    }

    fn function(&mut self, function: &FunctionProto) -> Result<()> {
        function.input.iter().chain(&function.output).for_each(|name| self.value(name));
        function.value_info.iter().try_for_each(|value| self.declared(value))?;
        function.node.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &NodeProto) -> Result<()> {
        self.nodes += 1;
        self.name_bytes += node.name().len() as u64;
        node.input.iter().chain(&node.output).for_each(|name| self.value(name));
        node.attribute.iter().try_for_each(|attribute| self.attribute(attribute))
    }

    fn attribute(&mut self, attribute: &AttributeProto) -> Result<()> {
        attribute.t.iter().chain(&attribute.tensors).try_for_each(|tensor| self.tensor(tensor))?;
        attribute.g.iter().chain(&attribute.graphs).try_for_each(|body| self.graph(body))
    }

    fn value(&mut self, name: &str) {
        self.values += 1;
        self.name_bytes += name.len() as u64;
    }

    fn declared(&mut self, value: &ValueInfoProto) -> Result<()> {
        self.value(value.name());
        let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return Ok(());
        };
        let dimensions = tensor.shape.as_ref().map_or(0, |shape| shape.dim.len());
        check(dimensions as u64, limits::DIMENSIONS, "dimensions").map_err(|e| named(e, value.name()))
    }

    fn tensor(&mut self, tensor: &TensorProto) -> Result<()> {
        self.value(tensor.name());
        check(tensor.dims.len() as u64, limits::DIMENSIONS, "dimensions")
            .map_err(|e| named(e, tensor.name()))?;
        let is_size = tensor.dims.iter().all(|&n| n >= 0);
        if is_size && tensor::elements(tensor).is_none_or(|n| n > limits::ELEMENTS) {
            let most = units::integer(limits::ELEMENTS);
            let of = format!(
                "it is {}, more than the {most} elements that oplat takes",
                units::shape(&tensor.dims)
            );
            return Err(named(Error::input(of), tensor.name()));
        }
        Ok(())
    }
}

fn named(error: Error, name: &str) -> Error {
    error.context(format_args!("tensor {name:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{Dimension, TensorShapeProto, TensorType, TypeProto};

    fn refused(graph: GraphProto) -> String {
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        Extent::of(&model).map(|_| ()).unwrap_err().message
    }

    #[test]
    fn what_is_too_large_names_the_limit() {
        let node = NodeProto { op_type: Some("Relu".into()), ..Default::default() };
        assert_eq!(
            refused(GraphProto { node: vec![node.clone(); 150_001], ..Default::default() }),
            "it has 150,001 nodes, more than the 150,000 that oplat takes"
        );
        let wide = NodeProto { input: vec!["x".into(); 2_000_001], ..node.clone() };
        let told = refused(GraphProto { node: vec![wide], ..Default::default() });
        assert_eq!(told, "it has 2,000,001 values, more than the 2,000,000 that oplat takes");
        let long = NodeProto { name: Some("n".repeat(100_000_001)), ..node };
        assert!(refused(GraphProto { node: vec![long], ..Default::default() }).contains("bytes of names"));
    }

    #[test]
    fn a_tensor_of_more_elements_than_can_be_counted_is_refused() {
        for dims in [vec![i64::MAX], vec![1 << 32, 1 << 32], vec![1 << 41]] {
            let tensor = TensorProto { name: Some("w".into()), dims, ..Default::default() };
            let told = refused(GraphProto { initializer: vec![tensor], ..Default::default() });
            assert!(told.starts_with("tensor \"w\": it is ") && told.contains("1,099,511,627,776"), "{told}");
        }
        let shape = TensorShapeProto { dim: vec![Dimension::default(); 65] };
        let tensor = TensorType { shape: Some(shape), ..Default::default() };
        let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None });
        let input = ValueInfoProto { name: Some("x".into()), r#type, ..Default::default() };
        assert_eq!(
            refused(GraphProto { input: vec![input], ..Default::default() }),
            "tensor \"x\": it has 65 dimensions, more than the 64 that oplat takes"
        );
    }
}
