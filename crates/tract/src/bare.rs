//! What anybody would write around tract: a loop around the engine's plan. `benches/overhead` measures ours against it; it
//! stands here so that tract's generics are compiled as they are for ours.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::TypedSimplePlan;

use oplat_ground::process::heap::Counting;

/// Runs a model of one f32 input of this shape. Each line of the standard input says how many runs to time, after one that
/// isn't; the answer is a line of their times in ns. Memory is `kept` from run to run as ours keeps it, or left alone.
pub fn serve(file: &Path, shape: &[usize], kept: bool) -> TractResult<()> {
    let model = tract_onnx::onnx().model_for_path(file)?.with_input_fact(0, f32::fact(shape).into())?;
    let mut state = TypedSimplePlan::new(model.into_optimized()?)?.spawn()?;
    if kept {
        Counting::settle();
    }
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i % 251) as f32 / 251.0).collect();
    let input = Tensor::from_shape(shape, &values)?;
    let mut run = || -> TractResult<u128> {
        let input = input.clone().into_tvalue();
        let start = Instant::now();
        // As ours does, it frees the outputs when the clock has stopped.
        let _outputs = state.run(tvec![input])?;
        Ok(start.elapsed().as_nanos())
    };
    for line in std::io::stdin().lock().lines() {
        run()?;
        let times: Vec<u128> = (0..line?.parse()?).map(|_| run()).collect::<TractResult<_>>()?;
        println!("{}", times.iter().map(u128::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
