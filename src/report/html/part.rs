//! A record among those of a page.

use crate::record::{Record, Variant};

/// A record on its page.
pub struct Part<'r> {
    pub name: &'r str,
    pub record: &'r Record,
    /// The variants that are drawn one by one: the first, which have the originals among them.
    pub drawn: Vec<&'r Variant>,
    /// Begins the identifiers of its plots.
    pub id: String,
}
