//! Functions by their values: programs evaluated in double precision, whatever the model's type.

use super::program::{Arg, Program, What};
use crate::activation::samples::{Samples, points};

/// Of constants that differ by channel, so many channels are looked at.
const CHANNELS: usize = 8;

/// A function's values at the points where functions are sampled, in some of the channels that its constants tell apart.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Sizes of the constants that tell channels apart, without those of 1; none where all channels are alike.
    channels: Option<Vec<usize>>,
    pub samples: Vec<Samples>,
}

impl Curve {
    /// The function that gives back its input.
    pub fn start() -> Self {
        Self { channels: None, samples: vec![Samples::of(|x| x)] }
    }

    /// The function that a program makes of this one. `None` where it reads a constant that isn't looked into, or where
    /// constants tell different channels apart.
    pub fn through(&self, program: &Program) -> Option<Self> {
        let channels = match (&self.channels, channels(program)?) {
            (own, None) => own.clone(),
            (None, theirs) => theirs,
            (Some(own), Some(theirs)) => Some((*own == theirs).then_some(theirs)?),
        };
        let count = channels.as_ref().map_or(1, |dims| dims.iter().product::<usize>());
        let picked = count.min(CHANNELS);
        let samples = (0..picked).map(|i| {
            let channel = i * (count - 1) / (picked - 1).max(1);
            let before = self.samples.get(i).or(self.samples.first())?;
            Some(Samples(values(program, &[&before.0], channel)?))
        });
        Some(Self { channels, samples: samples.collect::<Option<_>>()? })
    }

    /// Whether nothing that is made of it can be an activation: it is no number somewhere, or one number everywhere.
    pub fn is_dead(&self) -> bool {
        let dead = |s: &Samples| s.0.iter().any(|v| v.is_nan()) || s.0.iter().all(|v| *v == s.0[0]);
        debug_assert!(self.samples.iter().all(|s| s.0.len() == points().len()));
        self.samples.iter().all(dead)
    }

    pub fn is_identity(&self) -> bool {
        self.samples.iter().all(Samples::is_identity)
    }

    pub fn is_line(&self) -> bool {
        self.samples.iter().all(Samples::is_line)
    }
}

/// Most inputs of an operator that are looked at.
const MOST_ARGS: usize = 8;

/// What a program makes of its inputs' values, all of one length, in a channel.
fn values(program: &Program, inputs: &[&[f64]], channel: usize) -> Option<Vec<f64>> {
    let length = inputs.first()?.len();
    let mut results: Vec<Vec<f64>> = Vec::with_capacity(program.steps.len());
    for step in &program.steps {
        let read = |arg: &Arg| match arg {
            Arg::Input(i) => inputs.get(*i).copied().map(Operand::Each),
            Arg::Step(i) => results.get(*i).map(|values| Operand::Each(values)),
            Arg::Number(v) => Some(Operand::All(*v)),
            Arg::Tensor(numbers, _) => numbers.values.get(channel).copied().map(Operand::All),
            Arg::Unread(_) => None,
        };
        let args = step.args.iter().map(read).collect::<Option<Vec<Operand>>>()?;
        let result = match &step.what {
            What::Pass => args[0].values(length),
            What::Call(program) => {
                let args: Vec<Vec<f64>> = args.iter().map(|arg| arg.values(length)).collect();
                let args: Vec<&[f64]> = args.iter().map(Vec::as_slice).collect();
                values(program, &args, channel)?
            }
            What::Operator { operator, numbers, text } => {
                let mut operands = [0.0; MOST_ARGS];
                let operands = operands.get_mut(..args.len())?;
                let at = |i: usize| {
                    operands.iter_mut().zip(&args).for_each(|(operand, arg)| *operand = arg.at(i));
                    operator.value(operands, numbers, text)
                };
                (0..length).map(at).collect::<Option<_>>()?
            }
        };
        results.push(result);
    }
    results.pop()
}

/// What a step reads: a value for each point, or the same one for all.
enum Operand<'v> {
    Each(&'v [f64]),
    All(f64),
}

impl Operand<'_> {
    fn at(&self, i: usize) -> f64 {
        match self {
            Self::Each(values) => values[i],
            Self::All(value) => *value,
        }
    }

    fn values(&self, length: usize) -> Vec<f64> {
        (0..length).map(|i| self.at(i)).collect()
    }
}

/// The sizes of the constants by which a program tells channels apart, if it does; `None` where they differ.
fn channels(program: &Program) -> Option<Option<Vec<usize>>> {
    let mut found: Option<Vec<usize>> = None;
    for arg in program.steps.iter().flat_map(|step| &step.args) {
        if let Arg::Tensor(numbers, _) = arg {
            let own: Vec<usize> = numbers.dims.iter().copied().filter(|&d| d != 1).collect();
            if found.as_ref().is_some_and(|other| *other != own) {
                return None;
            }
            found = Some(own);
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::program::example::{operator, snake};
    use super::*;
    use crate::onnx::constants::Numbers;

    #[test]
    fn a_program_is_evaluated_at_every_point() {
        let curve = Curve::start().through(&snake()).unwrap();
        assert_eq!(curve.samples.len(), 1);
        assert!((curve.samples[0].at(1.0) - (1.0 + 2.0 * 0.5f64.sin().powi(2))).abs() < 1e-15);
        let twice = curve.through(&snake()).unwrap();
        let snake = |x: f64| x + 2.0 * (x * 0.5).sin().powi(2);
        assert!((twice.samples[0].at(1.0) - snake(snake(1.0))).abs() < 1e-15);
    }

    #[test]
    fn constants_of_channels_are_looked_at_channel_by_channel() {
        let tensor = |dims: &[usize], values: &[f64]| {
            Arg::Tensor(Rc::new(Numbers { dims: dims.to_vec(), values: values.to_vec() }), "slope".into())
        };
        let scaled = |arg| Program { steps: vec![operator("Mul", vec![Arg::Input(0), arg])] };
        let three = scaled(tensor(&[1, 3, 1, 1], &[1.0, 2.0, 3.0]));
        let curve = Curve::start().through(&three).unwrap();
        let at = |curve: &Curve| curve.samples.iter().map(|s| s.at(1.0)).collect::<Vec<_>>();
        assert_eq!(at(&curve), [1.0, 2.0, 3.0]);
        assert_eq!(at(&curve.through(&three).unwrap()), [1.0, 4.0, 9.0]);
        assert_eq!(at(&curve.through(&scaled(Arg::Number(2.0))).unwrap()), [2.0, 4.0, 6.0]);
        assert!(curve.through(&scaled(tensor(&[4], &[1.0; 4]))).is_none());
        assert!(curve.through(&scaled(Arg::Unread("w".into()))).is_none());
    }

    #[test]
    fn what_is_no_number_or_constant_is_dead() {
        let of = |name: &str| Program { steps: vec![operator(name, vec![Arg::Input(0)])] };
        assert!(Curve::start().through(&of("Sqrt")).unwrap().is_dead());
        let zero = Program { steps: vec![operator("Mul", vec![Arg::Input(0), Arg::Number(0.0)])] };
        assert!(Curve::start().through(&zero).unwrap().is_dead());
        assert!(!Curve::start().through(&of("Relu")).unwrap().is_dead());
    }
}
