//! A model with other activations at its sites.

mod alone;
mod edit;
mod functions;
mod lowering;
pub mod mix;
mod rewrite;
mod select;

pub use crate::sites::own::{DOMAIN, read};
pub use crate::sites::{Found, NotSite, Refusal, Site, find, flat};
pub use alone::{alone, behind_convolution};
pub use lowering::{Lowerings, distinct, effective, has_kernel, of_mix, runs_kernel};
pub use mix::{Assignment, Mix};
pub use oplat_ground::record::Lowering;
pub use rewrite::{assign, exporter, original, rewrite};
pub use select::{Now, Selection};

use crate::onnx::Model;

/// A model with activations swapped (or not, for the original), ready to be written or run.
#[derive(Clone, Debug)]
pub struct Variant {
    pub model: Model,
    /// Every site that was found in the original, swapped or not, in the order of the graph.
    pub sites: Vec<VariantSite>,
    /// What looks like a site but can't be swapped.
    pub skipped: Vec<Skipped>,
}

impl Variant {
    /// At how many sites a kernel runs.
    pub fn kernels(&self) -> usize {
        self.sites.iter().filter(|site| site.lowering == Some(Lowering::Kernel)).count()
    }
}

/// One site, as it stands in a [`Variant`].
#[derive(Clone, Debug, PartialEq)]
pub struct VariantSite {
    /// Name of the ONNX node that put out the activation's value in the original: the site's identity.
    pub node: String,
    /// The activation before, spelled as a user would (`silu`, `leaky_relu:0.1`).
    pub from: String,
    /// The activation now; equal to `from` where it was left alone.
    pub to: String,
    /// Whether this site was selected for swapping (in the original: would have been).
    pub selected: bool,
    /// How the new activation becomes operators here; `None` where the site was not swapped.
    pub lowering: Option<Lowering>,
    /// Whether its node does other things, too: it stands inside an operator that does more.
    pub is_part: bool,
    /// Indices (as [`crate::onnx::for_each_node`] counts) of the nodes of [`Variant::model`] that compute it,
    /// ascending; none for one inside a function, whose nodes have no indices of their own.
    pub nodes: Vec<usize>,
}

/// What looks like a site but can't be swapped, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Skipped {
    pub node: String,
    pub op: String,
    /// `None` for a site at which only this activation can't stand.
    pub refusal: Option<Refusal>,
    pub reason: String,
}

impl Skipped {
    /// The reason as a record keeps it, with the refusal in front.
    pub fn recorded_reason(&self) -> String {
        match self.refusal {
            Some(refusal) => refusal.with_reason(&self.reason),
            None => self.reason.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
