//! `oplat swap`: the variant as a file, for any engine.

use std::io::Write;
use std::path::PathBuf;

use super::flags::SiteFlags;
use super::{model, note, output};
use crate::activation::Activation;
use crate::engines;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::onnx::mark;
use crate::swap::{self, Found, Lowering, Variant};
use crate::units;

/// What the user typed.
#[derive(clap::Args)]
#[command(mut_arg("from", |arg| arg.help("Only sites that are now one of these")))]
#[command(mut_arg("site", |arg| arg.help("Only sites with such a name (`*`, `?`); may be repeated")))]
#[command(mut_arg("skip", |arg| arg.help("No sites with such a name; may be repeated")))]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(value_name = "MODEL")]
    model: String,
    /// The activation to put in: mish, leaky_relu:0.1, …
    #[arg(long, value_name = "NAME")]
    act: String,
    /// `exported`, as the model's exporter would write it, or `kernel`: one operator of domain `oplat`, and a
    /// function of that name in the file by which any engine can run it
    #[arg(long, value_name = "LOWERING", default_value = "exported")]
    lowering: Lowering,
    /// Where to write the model; external data goes beside it
    #[arg(short, long, value_name = "OUT.onnx")]
    output: PathBuf,
    #[command(flatten)]
    select: SiteFlags,
}

/// Writes the model with the chosen sites swapped, and says how many of which kind they were.
pub fn run(args: Args, out: &mut dyn Write) -> Result<()> {
    let activation = Activation::parse(&args.act)?;
    let selection = args.select.check()?;
    let chosen = model::resolve(&args.model, &[], &mut |text| note(text))?.whole()?;
    let named = |e: Error| e.context(&chosen.name);
    let destination = Destination::replacing(&args.output, &mark::KIND, &chosen.files())?;
    let (found, selected) = selection.choose(swap::find(&chosen.model)).map_err(named)?;
    let lowering = swap::effective(args.lowering, &activation, &engines::default().about().1);
    let variant = swap::rewrite(&chosen.model, &found, &selected, &activation, lowering).map_err(named)?;
    tell_exported(&variant, &activation, args.lowering, lowering);
    let versions = [&chosen.model, &variant.model].map(|m| m.proto.ir_version.unwrap_or_default());
    if versions[0] != versions[1] {
        note(&format!(
            "functions need a newer format: its version is {} now, not {}",
            versions[1], versions[0]
        ));
    }
    variant.model.write_to(&destination)?;
    let is_swapped = |i: &usize| variant.sites.get(*i).is_some_and(|site| site.selected);
    let (swapped, left): (Vec<usize>, Vec<usize>) = selected.iter().partition(|i| is_swapped(i));
    let left: Vec<&str> = left.iter().filter_map(|&i| Some(found.sites.get(i)?.name.as_str())).collect();
    for skipped in variant.skipped.iter().filter(|s| left.contains(&s.node.as_str())) {
        note(&format!("{} stays as it is: {}", skipped.node, skipped.reason));
    }
    let counts = counts(&found, &swapped);
    output::told(&destination, &format!("{}: {counts} -> {activation}", args.output.display()), out)
}

/// Says at which sites there is no kernel though one was asked for.
fn tell_exported(variant: &Variant, activation: &Activation, asked: Lowering, effective: Lowering) {
    let exported = variant.sites.iter().filter(|site| site.lowering == Some(Lowering::Exported)).count();
    if asked != effective {
        note(&format!("{activation} has no kernel, or is the engine's own: it is written as exported"));
    } else if asked == Lowering::Kernel && exported > 0 {
        let sites = units::count(exported, "site");
        note(&format!("{sites} of a type without kernels: written as exported"));
    }
}

/// `57 silu`, `19 hard_swish, 14 relu`: the selected sites by kind.
fn counts(found: &Found, selected: &[usize]) -> String {
    let sites = selected.iter().filter_map(|&i| found.sites.get(i)).cloned().collect();
    let counts = Found { sites, not_sites: vec![] }.counts();
    counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>().join(", ")
}
