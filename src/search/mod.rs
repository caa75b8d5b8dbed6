//! Which activation where: what each costs at each site, and the designs that are the fastest for what they change.
//!
//! Sites are not measured one by one. Each process runs a design in which every site has one of the activations at random (`design`),
//! so that every run tells something of every site; `fit` takes the costs from the latencies (without those of processes that are
//! `odd`), `costs` says how sure they are, and whether they add up. `front` makes the best designs of them, which are measured again
//! in pairs with the original (`run`). `plan` is what is asked for, `prices` what a change is worth, `document` what comes of it.

mod blocks;
pub mod costs;
mod design;
pub mod document;
mod fit;
mod front;
mod odd;
mod plan;
pub mod prices;
mod run;
#[cfg(test)]
mod tests;

pub use document::{Search, Settings};
pub use plan::{Plan, Sites};
pub use run::{complete, run};
