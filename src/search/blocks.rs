//! What a search asks in blocks of processes side by side: the latency of designs, and how far changes move the outputs.

use std::time::Duration;

use super::costs;
use super::design;
use super::document::{Block, Price, Search};
use super::plan::Plan;
use crate::error::{Error, Result};
use crate::measure::{Blocks, Planned, Step, Told};
use crate::record::Engine;
use crate::units;

/// The share of the time that goes into blocks; the rest is for the front.
pub const SHARE_OF_BLOCKS: f64 = 0.7;

/// Blocks, or as many designs as they have where memory makes them smaller, that are measured whatever they take.
const LEAST_BLOCKS: usize = 4;

/// Variants whose outputs are compared at a time.
const AT_ONCE: usize = 8;

/// What is said of designs that failed, before why the first one did.
const FAILED: &str = "designs that fail are left out; the first";

/// Whether a warning is of what was measured in blocks.
pub fn is_of_blocks(warning: &str) -> bool {
    warning.starts_with(FAILED)
}

/// Fails if a search would go on with another version of its engine.
pub fn same_engine(earlier: &Engine, now: &Engine) -> Result<()> {
    let (was, is) = (&earlier.version, &now.version);
    if was.is_empty() || was == is {
        return Ok(());
    }
    let name = &now.name;
    Err(Error::input(format!(
        "--resume: it was measured with {name} {was}, and would go on with {is}: search anew"
    )))
}

/// Designs of blocks, until the time is up.
pub struct Designs<'a> {
    plan: &'a Plan,
    /// What earlier blocks took, when all are to be done, and when all else is.
    before: Duration,
    until: Duration,
    whole: Duration,
    /// Designs of a block that doesn't repeat another.
    size: usize,
    pending: Option<Block>,
    search: &'a mut Search,
    keep: &'a mut dyn FnMut(&Search) -> Result<()>,
}

impl<'a> Designs<'a> {
    /// Goes on with the blocks of the search; `keep` is given it after each.
    pub fn new(
        plan: &'a Plan,
        search: &'a mut Search,
        keep: &'a mut dyn FnMut(&Search) -> Result<()>,
    ) -> Self {
        let whole = plan.measurement.time;
        Self {
            plan,
            before: Duration::from_nanos(search.settings.blocks_ns),
            until: whole.mul_f64(SHARE_OF_BLOCKS),
            whole,
            size: design::size(&costs::counts(&search.levels)),
            pending: None,
            search,
            keep,
        }
    }
}

impl Blocks for Designs<'_> {
    fn next(&mut self, elapsed: Duration) -> Result<Option<Step>> {
        let spent = self.before + elapsed;
        let number = self.search.blocks.len();
        let levels = costs::counts(&self.search.levels);
        // As long as another one takes, by those before.
        let one = spent / u32::try_from(number.max(1)).unwrap_or(u32::MAX);
        let measured: usize = self.search.blocks.iter().map(|block| block.designs.len()).sum();
        if spent + one > self.until && measured >= LEAST_BLOCKS * design::size(&levels) {
            return Ok(None);
        }
        let before = self.search.blocks.last().filter(|_| design::repeats(number));
        let size = before.map_or(self.size, |before| before.designs.len());
        let designs = design::block(&levels, self.search.settings.seed, number, size);
        let variants = designs
            .iter()
            .enumerate()
            .map(|(i, design)| self.plan.variant(design, &format!("design {}", i + 1), String::new()));
        let variants = variants.collect::<Result<Vec<Planned>>>()?;
        self.pending = Some(Block { number, designs, ns: vec![] });
        let share = |time: Duration| time.as_secs_f64() / self.whole.as_secs_f64().max(1e-9);
        let one = if number == 0 { self.until / 20 } else { one };
        Ok(Some(Step {
            variants,
            name: format!("block {}", number + 1),
            before: share(spent).min(SHARE_OF_BLOCKS),
            share: share(one),
            rest: self.whole.saturating_sub(spent + one),
        }))
    }

    fn at_most(&mut self, variants: usize) -> bool {
        let Some(size) = design::size_within(&costs::counts(&self.search.levels), variants) else {
            return false;
        };
        self.size = size;
        // A repeat is as large as what it repeats, which is measured again then, smaller.
        if self.pending.take().is_some_and(|block| design::repeats(block.number)) {
            self.search.blocks.pop();
        }
        true
    }

    fn took(&mut self, told: Told, elapsed: Duration) -> Result<()> {
        let Told { answers, loaded } = told;
        let Some(mut block) = self.pending.take() else { return Ok(()) };
        if let Some((engine, inputs)) = loaded {
            same_engine(&self.search.engine, &engine)?;
            self.search.engine = Engine { id: self.plan.engine.label.clone(), ..engine };
            self.search.model.inputs = inputs;
        }
        if let (true, Some(why)) =
            (answers.iter().all(|a| a.error.is_some()), answers.iter().find_map(|a| a.error.clone()))
        {
            return Err(Error::input(format!("every design fails: {why}")));
        }
        let why = answers.iter().find_map(|answer| answer.error.clone());
        if let Some(why) = why.filter(|_| !self.search.warnings.iter().any(|warning| is_of_blocks(warning))) {
            self.search.warnings.push(format!("{FAILED}: {why}"));
        }
        block.ns = answers.into_iter().map(|answer| answer.p50_ns).collect();
        self.search.blocks.push(block);
        self.search.settings.blocks_ns = nanos(self.before + elapsed);
        self.search.settings.elapsed_ns = self.search.settings.blocks_ns;
        self.search.settings.interrupted = true;
        (self.keep)(self.search)
    }
}

/// One change at a time, of which nothing but outputs is asked.
pub struct Outputs<'a> {
    plan: &'a Plan,
    /// Sites and levels.
    left: Vec<(usize, usize)>,
    /// Variants that are alive at once beside the original.
    most: usize,
    asked: Vec<(usize, usize)>,
    search: &'a mut Search,
    keep: &'a mut dyn FnMut(&Search) -> Result<()>,
}

impl<'a> Outputs<'a> {
    /// Of these changes, each a site and a level; `keep` is given the search after each block.
    pub fn new(
        plan: &'a Plan,
        left: Vec<(usize, usize)>,
        search: &'a mut Search,
        keep: &'a mut dyn FnMut(&Search) -> Result<()>,
    ) -> Self {
        Self { plan, left, most: AT_ONCE, asked: vec![], search, keep }
    }

    pub fn are_all_known(&self) -> bool {
        self.left.is_empty() && self.asked.is_empty()
    }
}

impl Blocks for Outputs<'_> {
    fn next(&mut self, _: Duration) -> Result<Option<Step>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let most = self.most.min(self.left.len());
        self.asked = self.left.drain(..most).collect();
        let mut variants = vec![self.plan.original()];
        for &(site, level) in &self.asked {
            let mut design = vec![0; self.plan.sites.told.len()];
            design[site] = level;
            let levels = &self.plan.sites.told[site];
            let name = format!("{} at {}", levels.activations[level], levels.node);
            variants.push(self.plan.variant(&design, &name, String::new())?);
        }
        let name = format!("outputs, {} left", units::count(self.left.len() + most, "change"));
        let rest = self.plan.measurement.time;
        Ok(Some(Step { variants, name, before: 0.0, share: 0.0, rest }))
    }

    fn at_most(&mut self, variants: usize) -> bool {
        self.left.splice(0..0, self.asked.drain(..));
        self.most = variants.saturating_sub(1);
        self.most > 0
    }

    fn took(&mut self, told: Told, _: Duration) -> Result<()> {
        for ((site, level), answer) in self.asked.drain(..).zip(told.answers.into_iter().skip(1)) {
            let levels = &self.plan.sites.told[site];
            let (node, activation) = (levels.node.clone(), levels.activations[level].clone());
            let change = answer.change.map(|change| change.relative_l2).filter(|change| change.is_finite());
            let Some(price) = change else {
                let why = answer.error.unwrap_or_else(|| "its outputs can't be compared".into());
                return Err(Error::input(format!(
                    "{activation} at {node}: {why}; give --sensitivity a file instead of `outputs`"
                )));
            };
            self.search.prices.push(Price { node, activation, price });
        }
        self.search.settings.interrupted = true;
        (self.keep)(self.search)
    }
}

/// Whole nanoseconds.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
