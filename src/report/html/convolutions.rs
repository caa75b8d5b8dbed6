//! Convolutions by what they have to do: one that takes longer than others of its size has a slow kernel.

use super::markup::{Html, said};
use super::page::{beside, figure};
use super::part::Part;
use crate::plot::{Point, Points, Quantity, Series};
use crate::record::{Op, Variant};
use crate::report::{facts, text};
use crate::units;

/// Fewer convolutions are nothing to compare.
const LEAST: usize = 3;

/// What an operator has to compute, and what it must read and write at least.
#[derive(Debug, PartialEq)]
struct Work {
    /// Multiply-accumulates.
    macs: f64,
    bytes: f64,
}

pub fn figures(part: &Part) -> Html {
    let variants: Vec<&Variant> =
        part.drawn.iter().copied().filter(|v| facts::profiled(part.record, v)).collect();
    if variants.is_empty() {
        return Html::default();
    }
    let macs = plot(part, &variants, "macs", ("multiply-accumulates", Quantity::Count), |work| work.macs);
    if macs.is_empty() {
        return said(
            "p",
            "Left out: the record doesn't tell the shapes of the weights of enough convolutions. Engines that pack weights \
             beforehand, as tract, don't say; ONNX Runtime does (--engine tract,ort).",
        );
    }
    let bytes =
        plot(part, &variants, "bytes", ("bytes of inputs, weights and outputs", Quantity::Bytes), |work| {
            work.bytes
        });
    beside([macs, bytes])
}

fn plot(part: &Part, variants: &[&Variant], id: &str, axis: (&str, Quantity), of: fn(&Work) -> f64) -> Html {
    let one = |label: &str, op: &Op| {
        let work = work(op)?;
        let (x, ns) = (of(&work), op.mean_ns);
        let told = format!(
            "{label}, {} {}: {}, {}",
            text::shorten(&op.op, 40),
            text::shorten(&op.node, 60),
            axis.1.text(x),
            units::time(ns)
        );
        (ns > 0).then_some(Point { x, y: ns as f64, told, name: String::new() })
    };
    let series = variants.iter().map(|variant| {
        let name = facts::label(part.record, variant);
        Series { points: variant.ops.iter().filter_map(|op| one(&name, op)).collect(), name }
    });
    let series: Vec<Series> = series.filter(|series| series.points.len() >= LEAST).collect();
    if series.is_empty() {
        return Html::default();
    }
    let title = format!("Convolutions: time against {}", axis.0);
    let count: Vec<String> = series
        .iter()
        .map(|s| format!("{}: {}", s.name, units::count(s.points.len(), "convolution")))
        .collect();
    let description = count.join("; ");
    let axes = [axis, ("mean time", Quantity::Time)];
    let plot = Points { title: &title, description: &description, axes, series, spread: true };
    let caption = format!(
        "{title}, means of profiled runs: one that stands above others of its size is slow for its work. Only those are drawn of which \
         the engine tells the shape of the weights. {description}."
    );
    figure(plot.svg(&format!("{}-conv-{id}", part.id)), &caption, Html::default())
}

/// The work of a convolution, if its shapes tell.
fn work(op: &Op) -> Option<Work> {
    let is_convolution = op.op.contains("Conv") && !op.op.contains("Transpose") && !op.op.contains("Deconv");
    let ([_, weights, ..], [output, ..]) = (op.inputs.as_slice(), op.outputs.as_slice()) else { return None };
    if !is_convolution {
        return None;
    }
    let (weights, _) = tensor(weights)?;
    let (output, _) = tensor(output)?;
    let channels = *output.get(1)?;
    let a_value: f64 = match weights.as_slice() {
        // As ONNX has them: output channels, then input channels of a group, then the kernel.
        [out, rest @ ..] if *out == channels && rest.len() >= 2 => rest.iter().product(),
        // As tract has them: groups, output channels of one, then all the rest.
        [groups, out, rest] if groups * out == channels => *rest,
        _ => return None,
    };
    let bytes = op
        .inputs
        .iter()
        .chain(&op.outputs)
        .map(|text| tensor(text).map(|(shape, size)| product(&shape) * size));
    Some(Work { macs: product(&output) * a_value, bytes: bytes.sum::<Option<f64>>()? })
}

fn product(shape: &[f64]) -> f64 {
    shape.iter().product()
}

/// `1x64x20x20xf32`: the shape, and the bytes of an element.
fn tensor(text: &str) -> Option<(Vec<f64>, f64)> {
    let mut parts: Vec<&str> = text.split('x').collect();
    let kind = parts.pop()?;
    let bits: f64 = kind.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    let shape =
        parts.into_iter().map(|n| n.parse::<u32>().ok().map(f64::from)).collect::<Option<Vec<_>>>()?;
    Some((shape, bits / 8.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(inputs: &[&str], output: &str) -> Op {
        let inputs = inputs.iter().map(ToString::to_string).collect();
        Op { op: "Conv".into(), inputs, outputs: vec![output.into()], ..Op::default() }
    }

    #[test]
    fn the_work_is_that_of_the_shapes() {
        let conv = op(&["1x64x20x20xf32", "32x64x3x3xf32", "32xf32"], "1x32x20x20xf32");
        let macs = 12_800.0 * 64.0 * 9.0;
        let bytes = 4.0 * (25_600.0 + 18_432.0 + 32.0 + 12_800.0);
        assert_eq!(work(&conv), Some(Work { macs, bytes }));
        let packed = op(&["1x3x320x320xf32", "1x16x108xf32"], "1x16x160x160xf32");
        assert_eq!(work(&packed).map(|work| work.macs), Some(409_600.0 * 108.0));
        for unknown in [
            op(&["1x1xf32 packed", "1xf32 packed"], "1x32x6400xf32"),
            op(&["1x64x20x20xf32", "7x64x3x3xf32"], "1x32x20x20xf32"),
            op(&["f32"], "f32"),
            op(&[], ""),
            Op { op: "ConvTranspose".into(), ..conv.clone() },
            Op { op: "Add".into(), ..conv.clone() },
        ] {
            assert_eq!(work(&unknown), None, "{unknown:?}");
        }
    }
}
