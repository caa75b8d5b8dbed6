//! The operators of a small model, evaluated one after another without a plan.
//!
//! A plan matches shapes, keeps a table and follows what may be freed: some tenths of a microsecond for each
//! operator, which is as much as a small activation takes. Here it is worked out beforehand which value is read
//! for the last time where. It is handed over there, as a plan does it: what works in place works in place here,
//! and what copies in a network, since another operator still reads its input, copies here.

use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::tract_core::ops::konst::Const;
use tract_onnx::tract_hir::tract_core::ops::source::TypedSource;

use oplat_graph::onnx::Model;

/// Operators between one input and one output.
pub struct Chain {
    steps: Vec<Step>,
    /// Values that are still to be read, by node.
    values: Vec<Option<TValue>>,
    input: usize,
    output: usize,
}

struct Step {
    op: Box<dyn TypedOp>,
    inputs: Vec<Feed>,
    output: usize,
}

/// Where an operator's input comes from.
enum Feed {
    Constant(TValue),
    /// A value that is read again later.
    Kept(usize),
    /// A value that is read here for the last time.
    Last(usize),
}

impl Chain {
    /// Reads and optimises a model of one input and one output, both plain tensors.
    ///
    /// Fails if the engine refuses it, or leaves nothing of it.
    pub fn new(model: &Model) -> TractResult<Self> {
        let plan = super::plan(model)?;
        let model = plan.model();
        let (&[input], &[output]) = (model.input_outlets()?, model.output_outlets()?) else {
            bail!("it has not one input and one output");
        };
        let mut steps = vec![];
        for &id in plan.order_without_consts() {
            let node = model.node(id);
            if node.op_is::<TypedSource>() {
                continue;
            }
            ensure!(node.outputs.len() == 1, "{} has several outputs", node.op.name());
            let state = node.op.state(&EvalContext::out_of_plan())?;
            ensure!(state.is_none(), "{} remembers its last run", node.op.name());
            let feed = |outlet: &OutletId| match model.node(outlet.node).op_as::<Const>() {
                Some(constant) => Feed::Constant(constant.val().clone().into_tvalue()),
                None => Feed::Kept(outlet.node),
            };
            steps.push(Step {
                op: node.op.clone(),
                inputs: node.inputs.iter().map(feed).collect(),
                output: id,
            });
        }
        ensure!(!steps.is_empty(), "the engine takes it out: nothing is left to measure");
        hand_over(&mut steps, output.node);
        Ok(Self { values: vec![None; model.nodes().len()], steps, input: input.node, output: output.node })
    }

    /// The engine's names of the operators, in the order in which they run.
    pub fn names(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.op.name().into_owned()).collect()
    }

    /// The output for this input, which is used up.
    pub fn forward(&mut self, x: TValue) -> TractResult<TValue> {
        let context = EvalContext::out_of_plan();
        let Self { steps, values, .. } = self;
        values[self.input] = Some(x);
        for step in steps.iter() {
            let inputs: TractResult<TVec<TValue>> =
                step.inputs.iter().map(|feed| feed.value(values)).collect();
            values[step.output] = step.op.eval(&context, inputs?)?.pop();
        }
        values[self.output].take().context("nothing was put out")
    }
}

impl Feed {
    fn value(&self, values: &mut [Option<TValue>]) -> TractResult<TValue> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Kept(slot) => values[*slot].clone().context("a value is missing"),
            Self::Last(slot) => values[*slot].take().context("a value is missing"),
        }
    }
}

/// Marks where each value but the output is read for the last time.
fn hand_over(steps: &mut [Step], output: usize) {
    let mut read = vec![output];
    for feed in steps.iter_mut().rev().flat_map(|step| step.inputs.iter_mut().rev()) {
        if let Feed::Kept(slot) = *feed
            && !read.contains(&slot)
        {
            read.push(slot);
            *feed = Feed::Last(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oplat_graph::activation::{Activation, kinds};
    use oplat_graph::swap;

    fn chain(text: &str, shape: &[usize]) -> TractResult<Chain> {
        let activation = Activation::parse(text).unwrap();
        Chain::new(&swap::alone(&activation, shape, swap::Lowering::Exported).unwrap())
    }

    #[test]
    fn what_is_computed_is_the_function() {
        let xs: Vec<f32> = (0..256).map(|i| (i as f32 - 128.0) / 16.0).collect();
        let shape = [1, 16, 4, 4];
        let mut compared = 0;
        for kind in kinds().filter(|kind| kind.not_elementwise_because.is_none()) {
            let Ok(mut chain) = chain(kind.name, &shape) else {
                assert_eq!(kind.name, "identity");
                continue;
            };
            let x = Tensor::from_shape(&shape, &xs).unwrap().into_tvalue();
            // Twice: the second forward finds no value of the first.
            for input in [x.clone(), x] {
                let y = chain.forward(input).unwrap();
                let ys = y.to_plain_array_view::<f32>().unwrap();
                for (&x, &y) in xs.iter().zip(ys) {
                    let exact = Activation::new(kind).value(f64::from(x));
                    let near = (f64::from(y) - exact).abs() <= 2e-4 * exact.abs().max(1.0);
                    assert!(near, "{}({x}) is {exact}, not {y}", kind.name);
                }
            }
            compared += 1;
        }
        assert!(compared > 25);
    }

    #[test]
    fn an_owned_input_is_worked_on_in_place_and_one_that_is_read_again_is_not() {
        let xs = vec![0.5f32; 1024];
        let input = Tensor::from_shape(&[1, 16, 8, 8], &xs).unwrap().into_tvalue();
        let at = input.as_bytes().as_ptr();
        let output = chain("relu", &[1, 16, 8, 8]).unwrap().forward(input).unwrap();
        assert_eq!(output.as_bytes().as_ptr(), at);
        let mish = chain("mish", &[1, 16, 8, 8]).unwrap();
        assert_eq!(mish.names().len(), 5, "{:?}", mish.names());
        assert!(matches!(mish.steps[0].inputs[0], Feed::Kept(_)));
        let read_last = |step: &Step| step.inputs.iter().any(|feed| matches!(feed, Feed::Last(_)));
        assert!(mish.steps[1..].iter().all(read_last));
        assert!(mish.values.iter().all(Option::is_none));
    }

    #[test]
    fn what_the_engine_takes_out_is_not_measured() {
        let error = chain("identity", &[1, 4, 2, 2]).err().unwrap();
        assert!(error.to_string().contains("nothing is left"), "{error}");
    }
}
