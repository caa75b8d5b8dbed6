//! `oplat swap`: the variant as a file, for any engine.

use std::io::Write;
use std::path::PathBuf;

use super::flags::SiteFlags;
use super::{model, note, output};
use crate::activation::Activation;
use crate::compare::distinct;
use crate::engines;
use crate::error::{Error, Result};
use crate::files::Destination;
use crate::onnx::mark;
use crate::swap::{self, Assignment, Found, Lowering, Mix, Variant, mix};
use crate::units;

/// What the user typed.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("activations").args(["act", "mix"]).required(true))]
#[command(mut_arg("from", |arg| arg.help("Only sites that are now one of these")))]
#[command(mut_arg("site", |arg| arg.help("Only sites with such a name (`*`, `?`); may be repeated")))]
#[command(mut_arg("skip", |arg| arg.help("No sites with such a name; may be repeated")))]
pub struct Args {
    /// An ONNX file; failing that `models/FILE`, failing that the built-in model of that name
    #[arg(value_name = "MODEL")]
    model: String,
    /// The activation to put in: mish, leaky_relu:0.1, …
    #[arg(long, value_name = "NAME")]
    act: Option<String>,
    /// Different activations at different sites: what all selected sites become, then rules for sites by name, of which a
    /// later one wins (`silu, /model.2*=relu, /model.3*=keep`); rules are for any site, whatever the other flags
    /// say. `@FILE.yaml#NAME` takes a mix of an experiment
    #[arg(long, value_name = "[NAME: ]RULES")]
    mix: Option<String>,
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
    let mix = asked_for(&args)?;
    let selection = args.select.check()?;
    let chosen = model::resolve(&args.model, &[], &mut |text| note(text))?.whole()?;
    let named = |e: Error| e.context(&chosen.name);
    let destination = Destination::replacing(&args.output, &mark::KIND, &chosen.files())?;
    let sites =
        mix::choose(swap::find(&chosen.model), &selection, std::slice::from_ref(&mix)).map_err(named)?;
    let assignment = &sites.assignments[0];
    let engine = engines::default().about().1;
    let lowering = |to: &Activation| swap::effective(args.lowering, to, &engine);
    let variant = swap::assign(&chosen.model, &sites.found, assignment, &lowering).map_err(named)?;
    tell_exported(&variant, assignment, args.lowering, &lowering);
    let versions = [&chosen.model, &variant.model].map(|m| m.proto.ir_version.unwrap_or_default());
    if versions[0] != versions[1] {
        note(&format!(
            "functions need a newer format: its version is {} now, not {}",
            versions[1], versions[0]
        ));
    }
    variant.model.write_to(&destination)?;
    let left = assignment.keys().filter(|&&i| variant.sites.get(i).is_some_and(|site| !site.selected));
    let left: Vec<&str> = left.filter_map(|&i| Some(sites.found.sites.get(i)?.name.as_str())).collect();
    for skipped in variant.skipped.iter().filter(|s| left.contains(&s.node.as_str())) {
        note(&format!("{} stays as it is: {}", skipped.node, skipped.reason));
    }
    let counts = counts(&sites.found, assignment, &variant);
    output::told(&destination, &format!("{}: {counts}", args.output.display()), out)
}

/// What was asked for.
fn asked_for(args: &Args) -> Result<Mix> {
    let mut mixes = super::mix::everywhere(args.act.as_slice())?;
    mixes.extend(super::mix::read(args.mix.as_slice())?);
    match <[Mix; 1]>::try_from(mixes) {
        Ok([mix]) => Ok(mix),
        Err(mixes) => {
            let names = mixes.iter().map(Mix::short).collect::<Vec<_>>().join(", ");
            Err(Error::input(format!(
                "--mix: a file is written of one mix: give one of {names}, as @FILE#NAME"
            )))
        }
    }
}

/// Says at which sites there is no kernel though one was asked for.
fn tell_exported(
    variant: &Variant,
    assignment: &Assignment,
    asked: Lowering,
    effective: &dyn Fn(&Activation) -> Lowering,
) {
    let without = distinct(assignment.values().filter(|to| effective(to) != asked));
    for activation in without {
        note(&format!("{activation} has no kernel, or is the engine's own: it is written as exported"));
    }
    let untyped = variant.sites.iter().enumerate().filter(|(i, site)| {
        let as_kernel = assignment.get(i).is_some_and(|to| effective(to) == Lowering::Kernel);
        as_kernel && site.lowering == Some(Lowering::Exported)
    });
    let untyped = untyped.count();
    if untyped > 0 {
        let sites = units::count(untyped, "site");
        note(&format!("{sites} of a type without kernels: written as exported"));
    }
}

/// `57 silu -> mish`, `19 hard_swish, 14 relu -> mish; 2 relu -> gelu`: the swapped sites by what they are now and were.
fn counts(found: &Found, assignment: &Assignment, variant: &Variant) -> String {
    let swapped = |to: &Activation| {
        let sites = assignment.iter().filter(|(_, other)| *other == to).map(|(&i, _)| i);
        let sites = sites.filter(|&i| variant.sites.get(i).is_some_and(|site| site.selected));
        let sites = sites.filter_map(|i| found.sites.get(i)).cloned().collect();
        let counts = Found { sites, not_sites: vec![] }.counts();
        let counts = counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>();
        format!("{} -> {to}", counts.join(", "))
    };
    distinct(assignment.values()).into_iter().map(swapped).collect::<Vec<_>>().join("; ")
}
