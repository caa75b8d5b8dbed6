//! What anybody would write around ONNX Runtime: a loop around a session's run. `benches/overhead` measures ours against it.

use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use ort::session::Session;
use ort::value::Tensor;

/// Runs a model of one f32 input of this shape, on one thread. Each line of the standard input says how many runs to time, after
/// one that isn't; the answer is a line of their times in ns.
pub fn serve(file: &Path, shape: &[usize]) -> Result<(), Box<dyn std::error::Error>> {
    crate::library::load(None).map_err(|failure| failure.message)?;
    let mut session = Session::builder()?.with_intra_threads(1)?.commit_from_file(file)?;
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| (i % 251) as f32 / 251.0).collect();
    let input = Tensor::from_array((shape.to_vec(), values))?;
    let mut run = || -> ort::Result<u128> {
        let fed = ort::inputs![&input];
        let start = Instant::now();
        // As ours does, it frees the outputs when the clock has stopped.
        let _outputs = session.run(fed)?;
        Ok(start.elapsed().as_nanos())
    };
    for line in std::io::stdin().lock().lines() {
        run()?;
        let times: Vec<u128> = (0..line?.parse()?).map(|_| run()).collect::<ort::Result<_>>()?;
        println!("{}", times.iter().map(u128::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
