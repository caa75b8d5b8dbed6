//! The blocks that a network can be made of, as its file writes them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::activation::Activation;

/// A step of the network: a mapping with one key that is a kind, beside `id` and `from`.
#[derive(Clone, Debug)]
pub struct Block {
    /// A name for blocks further down to read it by.
    pub id: Option<String>,
    /// The block that it reads, where that isn't the one before it.
    pub from: Option<String>,
    pub kind: BlockKind,
}

/// What a block is.
#[derive(Clone, Debug)]
pub enum BlockKind {
    Conv(Conv),
    Bottleneck(Bottleneck),
    C3(C3),
    Csp(Csp),
    Inverted(Inverted),
    Sppf(Sppf),
    MaxPool(MaxPool),
    /// Repeats every pixel so many times in both directions.
    Upsample(i64),
    /// Joins blocks along the channels.
    Concat(Vec<String>),
    /// The second half of the channels.
    SecondHalf(Nothing),
    /// The mean of every channel, as a vector.
    GlobalPool(Nothing),
    Linear(Linear),
    Sine(Sine),
    Detect(Detect),
    Yolo(Yolo),
}

impl Block {
    /// How often it stands there, before the depth multiple.
    pub fn repeats(&self) -> i64 {
        match &self.kind {
            BlockKind::Bottleneck(b) => b.repeats,
            BlockKind::C3(c) => c.repeats,
            BlockKind::Csp(c) => c.repeats,
            _ => 1,
        }
    }
}

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

/// Residual blocks: 1x1 to half the channels, 3x3 back to all of them, added to what they read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bottleneck {
    pub out: i64,
    #[serde(default = "one")]
    pub repeats: i64,
    /// Whether a block adds its input to its output.
    #[serde(default = "yes")]
    pub shortcut: bool,
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

/// A stage of CSPDarknet: as [`C3`], with one more convolution behind the bottlenecks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csp {
    pub out: i64,
    #[serde(default = "one")]
    pub repeats: i64,
    /// Channels of the branches; absent, half of `out`.
    pub branch: Option<i64>,
    /// Channels inside a bottleneck; absent, those of the branch.
    pub hidden: Option<i64>,
}

/// MobileNet's inverted residual: 1x1 to many channels, depthwise, perhaps squeeze and excite, 1x1 to few; added
/// to what it reads where the shape is kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inverted {
    /// The many channels; if that's what it reads, there is no first convolution.
    pub hidden: i64,
    pub out: i64,
    pub kernel: i64,
    #[serde(default = "one")]
    pub stride: i64,
    /// Channels of the squeeze-and-excite gate; absent, there is none.
    pub squeeze: Option<i64>,
    pub activation: Option<Activation>,
}

/// Fast spatial pyramid pooling: three max pools in a row, joined with what they read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sppf {
    pub out: i64,
    pub kernel: i64,
}

/// Max pooling. Stride 1 keeps the image's size; otherwise nothing is padded.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    pub kernel: i64,
    pub stride: i64,
}

/// A matrix product with bias, and an activation if one is named.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    pub out: i64,
    pub activation: Option<Activation>,
}

/// SIREN's layer: a matrix product with bias, times a frequency, through a sine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sine {
    pub out: i64,
    pub frequency: f32,
    /// Standard deviation of the sine's argument.
    #[serde(default = "one")]
    pub deviation: f64,
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

/// Darknet's detection head with its decoding, one scale for each block in `from`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yolo {
    pub from: Vec<String>,
    pub classes: i64,
    /// For every scale the anchors' width and height, in pixels of the input.
    pub anchors: Vec<Vec<[f32; 2]>>,
    /// For every scale, by how much the range of a box's centre is stretched beyond its pixel; absent, 1.
    pub stretch: Option<Vec<f32>>,
}

/// No arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Default of what counts from 1.
pub fn one<T: From<u8>>() -> T {
    1.into()
}

fn yes() -> bool {
    true
}

/// A key of a block.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Id,
    From,
    Conv,
    Bottleneck,
    C3,
    Csp,
    Inverted,
    Sppf,
    MaxPool,
    Upsample,
    Concat,
    SecondHalf,
    GlobalPool,
    Linear,
    Sine,
    Detect,
    Yolo,
}

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
        while let Some(key) = map.next_key()? {
            let read = match key {
                Key::Id => {
                    once(&mut id, map.next_value()?, "id")?;
                    continue;
                }
                Key::From => {
                    once(&mut from, map.next_value()?, "from")?;
                    continue;
                }
                Key::Conv => BlockKind::Conv(map.next_value()?),
                Key::Bottleneck => BlockKind::Bottleneck(map.next_value()?),
                Key::C3 => BlockKind::C3(map.next_value()?),
                Key::Csp => BlockKind::Csp(map.next_value()?),
                Key::Inverted => BlockKind::Inverted(map.next_value()?),
                Key::Sppf => BlockKind::Sppf(map.next_value()?),
                Key::MaxPool => BlockKind::MaxPool(map.next_value()?),
                Key::Upsample => BlockKind::Upsample(map.next_value()?),
                Key::Concat => BlockKind::Concat(map.next_value()?),
                Key::SecondHalf => BlockKind::SecondHalf(map.next_value()?),
                Key::GlobalPool => BlockKind::GlobalPool(map.next_value()?),
                Key::Linear => BlockKind::Linear(map.next_value()?),
                Key::Sine => BlockKind::Sine(map.next_value()?),
                Key::Detect => BlockKind::Detect(map.next_value()?),
                Key::Yolo => BlockKind::Yolo(map.next_value()?),
            };
            once(&mut kind, read, "kind")?;
        }
        let kind = kind
            .ok_or_else(|| A::Error::custom("a block needs a kind, as in `conv: { out: 64, kernel: 3 }`"))?;
        if from.is_some() && matches!(kind, BlockKind::Concat(_) | BlockKind::Detect(_) | BlockKind::Yolo(_))
        {
            return Err(A::Error::custom("this block lists what it reads: leave out `from` beside it"));
        }
        Ok(Block { id, from, kind })
    }
}

/// Fills what must not be given twice.
fn once<T, E: Error>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format!("a block has one {what}, and this one has two"))),
    }
}
