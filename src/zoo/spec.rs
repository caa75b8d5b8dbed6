//! The schema of `models/*.yaml`: a network that a person can read, checked strictly.
//!
//! `models/README.md` is the reference for who writes one. Blocks are named by what they are (`c3`), in the
//! terms of the paper; how a block becomes operators is in [`super::blocks`].

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::activation::Activation;
use crate::error::{Error, Result};
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
    /// Names of the model's outputs, in the order in which the last block puts them out.
    pub outputs: Vec<String>,
    /// Multiplies `repeats` above 1.
    #[serde(default = "one")]
    pub depth: f64,
    /// Multiplies channels, which then go up to the next multiple of 8; absent, they stay as written.
    pub width: Option<f64>,
    /// What convolutions are followed by, unless a block says otherwise.
    pub activation: Activation,
    pub backbone: Vec<Block>,
    #[serde(default)]
    pub head: Vec<Block>,
}

/// The network's one input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    /// The usual shape: batch, channels, height, width.
    pub shape: Vec<i64>,
    /// What height and width must be multiples of.
    #[serde(default = "one")]
    pub multiple_of: i64,
}

/// A step of the network.
#[derive(Clone, Debug)]
pub struct Block {
    /// A name for blocks further down to read it by.
    pub id: Option<String>,
    /// The block that it reads, where that isn't the one before it.
    pub from: Option<String>,
    pub kind: Kind,
}

/// What a block is.
#[derive(Clone, Debug)]
pub enum Kind {
    Conv(Conv),
    C3(C3),
    Sppf(Sppf),
    /// Repeats every pixel so many times in both directions.
    Upsample(i64),
    /// Joins blocks along the channels.
    Concat(Vec<String>),
    Detect(Detect),
}

/// Names of the kinds, as a file has them.
const KINDS: &[&str] = &["conv", "c3", "sppf", "upsample", "concat", "detect"];

/// A convolution with folded batch norm, and an activation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    pub out: i64,
    pub kernel: i64,
    #[serde(default = "one")]
    pub stride: i64,
    /// Zeros around the image; absent, half the kernel.
    pub pad: Option<i64>,
    pub activation: Option<Activation>,
}

/// CSP bottleneck with three convolutions: two branches of half the channels, one of them through `repeats`
/// bottlenecks, joined again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct C3 {
    pub out: i64,
    #[serde(default = "one")]
    pub repeats: i64,
    /// Whether a bottleneck adds its input to its output.
    #[serde(default = "yes")]
    pub shortcut: bool,
}

/// Fast spatial pyramid pooling: three max pools in a row, joined with what they read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sppf {
    pub out: i64,
    pub kernel: i64,
}

/// YOLOv5's anchor-based detection head with its decoding, one scale for each block in `from`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detect {
    pub from: Vec<String>,
    pub classes: i64,
    /// For every scale the anchors' width and height, in pixels of the input.
    pub anchors: Vec<Vec<[f32; 2]>>,
}

fn one<T: From<u8>>() -> T {
    1.into()
}

fn yes() -> bool {
    true
}

impl Spec {
    /// Reads a description; `file` is its name in errors.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        yaml::read(text, file)
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

    /// Backbone and head in one row.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.backbone.iter().chain(&self.head)
    }

    /// The input's shape: the usual one, or the one that is asked for if the network can take it.
    pub fn input_shape(&self, asked: Option<&[i64]>) -> Result<Vec<i64>> {
        let usual = &self.input.shape;
        let Some(asked) = asked else { return Ok(usual.clone()) };
        let step = self.input.multiple_of;
        let fits = match (asked, usual.as_slice()) {
            (&[n, c, h, w], &[_, channels, ..]) => {
                let side = |s: i64| (step..=8192).contains(&s) && s % step == 0;
                (1..=1024).contains(&n) && c == channels && side(h) && side(w)
            }
            _ => false,
        };
        if fits {
            return Ok(asked.to_vec());
        }
        let channels = usual.get(1).copied().unwrap_or(1);
        Err(Error::input(format!(
            "{}: input {} can't be {}: give Nx{channels}xHxW, H and W multiples of {step} up to 8192",
            self.name,
            self.input.name,
            shape_text(asked),
        )))
    }
}

/// A shape as people write it: `1x3x640x640`.
pub fn shape_text(shape: &[i64]) -> String {
    shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x")
}

/// A block is a mapping with one key that is a kind, beside `id` and `from`.
impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BlockVisitor)
    }
}

struct BlockVisitor;

impl<'de> Visitor<'de> for BlockVisitor {
    type Value = Block;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a block such as `conv: {{ out: 64, kernel: 3 }}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Block, A::Error> {
        let (mut id, mut from, mut kind) = (None, None, None);
        while let Some(Key(key)) = map.next_key()? {
            let read = match key.as_str() {
                "id" => {
                    id = Some(map.next_value()?);
                    continue;
                }
                "from" => {
                    from = Some(map.next_value()?);
                    continue;
                }
                "conv" => Kind::Conv(map.next_value()?),
                "c3" => Kind::C3(map.next_value()?),
                "sppf" => Kind::Sppf(map.next_value()?),
                "upsample" => Kind::Upsample(map.next_value()?),
                "concat" => Kind::Concat(map.next_value()?),
                _ => Kind::Detect(map.next_value()?),
            };
            if kind.replace(read).is_some() {
                return Err(A::Error::custom(format!("a block has one kind, and `{key}` is a second")));
            }
        }
        let kind =
            kind.ok_or_else(|| A::Error::custom(format!("a block needs a kind: {}", KINDS.join(", "))))?;
        Ok(Block { id, from, kind })
    }
}

/// A key of a block. It is checked while it is read, so that the error points at it.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const KEYS: &[&str] = &["id", "from", "conv", "c3", "sppf", "upsample", "concat", "detect"];
        let key = String::deserialize(deserializer)?;
        if KEYS.contains(&key.as_str()) { Ok(Self(key)) } else { Err(D::Error::unknown_field(&key, KEYS)) }
    }
}
