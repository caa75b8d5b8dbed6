//! The schema of `models/*.yaml`: a network that a person can read, checked strictly.
//!
//! `models/README.md` is the reference for who writes one. What blocks there are is in `kind`, how
//! they become operators in `blocks`.

use serde::Deserialize;

use super::activation::Activation;
use super::kind::{Block, one};
use crate::error::{Error, Result};
use crate::record::read::Looks;
use crate::units;
use crate::yaml;

/// A network, as its file describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub name: String,
    /// What it does, in a few words.
    pub about: String,
    /// The paper or reference implementation that the architecture is from.
    pub source: String,
    pub licence: String,
    pub input: Input,
    /// Name of the model's output.
    pub output: String,
    /// Multiplies `repeats` above 1.
    #[serde(default = "one")]
    pub depth: f64,
    /// Multiplies channels, which then go up to the next multiple of 8; absent, they stay as written.
    pub width: Option<f64>,
    /// What convolutions are followed by, unless a block says otherwise.
    pub activation: Activation,
    /// The same for the head, where it differs.
    pub head_activation: Option<Activation>,
    pub backbone: Vec<Block>,
    #[serde(default)]
    pub head: Vec<Block>,
}

/// The network's one input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    /// The usual shape: batch, channels, height, width; or batch and features.
    pub shape: Vec<i64>,
    /// What height and width must be multiples of.
    #[serde(default = "one")]
    pub multiple_of: i64,
}

/// The largest height or width, and the largest batch of images and of vectors, that can be asked for.
const MOST: (i64, i64, i64) = (8192, 1024, 1 << 24);

/// What all whole numbers of a description may add up to, and all repeats of its blocks: ten times YOLOv5x's.
const NUMBERS: u128 = 1 << 17;
const REPEATS: i64 = 1000;

impl Spec {
    /// Reads a description; `file` is its name in errors.
    ///
    /// Fails for numbers that no network has: what they come to is multiplied with each other.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let spec: Self = yaml::read(text, file)?;
        let numbers = yaml::read::<Looks>(text, file)?.sum;
        let scales = [spec.depth, spec.width.unwrap_or(1.0)];
        let repeats =
            spec.blocks().map(|(block, _)| spec.repeats(block.repeats())).fold(0, i64::saturating_add);
        if numbers > NUMBERS || repeats > REPEATS || !scales.iter().all(|scale| (0.0..=64.0).contains(scale))
        {
            return Err(Error::input(format!(
                "{file}: too large: numbers may add up to {NUMBERS}, repeats to {REPEATS}, depth and width are at most 64"
            )));
        }
        Ok(spec)
    }

    /// Channels after the width multiple.
    pub fn channels(&self, written: i64) -> i64 {
        match self.width {
            Some(width) => (written as f64 * width / 8.0).ceil() as i64 * 8,
            None => written,
        }
    }

    /// Repeats after the depth multiple.
    pub fn repeats(&self, written: i64) -> i64 {
        if written > 1 { ((written as f64 * self.depth).round() as i64).max(1) } else { written }
    }

    /// Backbone and head in one row, each block with the activation that is usual there.
    pub fn blocks(&self) -> impl Iterator<Item = (&Block, &Activation)> {
        let head = self.head_activation.as_ref().unwrap_or(&self.activation);
        let backbone = self.backbone.iter().map(|block| (block, &self.activation));
        backbone.chain(self.head.iter().map(move |block| (block, head)))
    }

    /// The input's shape: the usual one, or the one that is asked for if the network can take it.
    pub fn input_shape(&self, asked: Option<&[i64]>) -> Result<Vec<i64>> {
        let Input { name, shape: usual, multiple_of: step } = &self.input;
        let Some(asked) = asked else { return Ok(usual.clone()) };
        let (side, images, vectors) = MOST;
        let (fits, form) = match *usual.as_slice() {
            [_, channels, _, _] => {
                let good = |s: i64| (*step..=side).contains(&s) && s % step == 0;
                let multiples =
                    if *step > 1 { format!(", H and W multiples of {step}") } else { String::new() };
                let fits = matches!(*asked, [n, c, h, w]
                    if (1..=images).contains(&n) && c == channels && good(h) && good(w));
                (fits, format!("Nx{channels}xHxW{multiples} up to {side}"))
            }
            [_, features] => {
                let fits = matches!(*asked, [n, f] if (1..=vectors).contains(&n) && f == features);
                (fits, format!("Nx{features}, N up to {vectors}"))
            }
            _ => (asked == usual, units::shape(usual)),
        };
        if fits {
            return Ok(asked.to_vec());
        }
        let asked = units::shape(asked);
        Err(Error::input(format!("{}: input {name} can't be {asked}: give {form}", self.name)))
    }
}
