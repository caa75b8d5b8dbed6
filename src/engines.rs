//! The engines that are linked into the program. A new one is a crate behind the seam ([`crate::engine`]) and a line here.

use crate::engine::Backend;

/// All of them; the first is the one that is taken unless another is asked for.
static ALL: [&dyn Backend; 1] = [&oplat_tract::Tract];

/// The engine that is taken unless another is asked for.
pub fn default() -> &'static dyn Backend {
    ALL[0]
}
