//! A search from its first block to its last pair.

use std::time::Duration;

use super::costs::{self, Costs};
use super::design::{self, Design};
use super::document::{Against, AtOnce, Block, Measured, Point, Price, SCHEMA, Search, Settings};
use super::front::{self, front};
use super::plan::Plan;
use super::prices;
use crate::device::Target;
use crate::environment;
use crate::error::{Error, Exit, Result};
use crate::measure::{
    self, Blocks, FORKS, Interrupt, Measurement, Once, Only, Part, Planned, Progress, Step, Told, blocks,
};
use crate::record::{Engine, Record};
use crate::units;

/// The share of the time that goes into blocks; the rest is for the front.
pub const SHARE_OF_BLOCKS: f64 = 0.7;

/// Blocks, or as many designs as they have where memory makes them smaller, that are measured whatever they take.
const LEAST_BLOCKS: usize = 4;

/// Designs of the front that are measured again.
const MEASURED: usize = 6;

/// Variants whose outputs are compared at a time.
const OUTPUTS_AT_ONCE: usize = 8;

/// Searches, or goes on with a search of the same plan that was cut off. `keep` is given what is known after each block. What an
/// interrupt leaves is told as far as it goes.
///
/// Fails if the target is emulated, if the engine refuses all designs, or if the time is too short to tell anything.
pub fn run(
    plan: &Plan,
    earlier: Option<Search>,
    target: &dyn Target,
    progress: &mut dyn Progress,
    interrupt: &Interrupt,
    keep: &mut dyn FnMut(&Search) -> Result<()>,
) -> Result<Search> {
    progress.phase("reaching the target");
    let measurement = &plan.measurement;
    if let Some(earlier) = &earlier {
        target.go_on_at(&earlier.environment.target);
    }
    let place =
        measure::look(target, measurement.cpus.as_deref(), &mut |line| progress.note(line), interrupt)?;
    if place.emulated {
        return Err(Error::input(
            "the target is emulated: its times say nothing of a device, and a search is about times",
        ));
    }
    let mut search = begun(plan);
    search.environment = place;
    if let Some(earlier) = earlier {
        earlier.is_of_plan(&search).map_err(|why| {
            Error::input(format!(
                "--resume: it is of {why}: search anew without --resume, or give another --save"
            ))
        })?;
        if is_answer(&earlier, &search) {
            return Ok(earlier);
        }
        progress.note(&format!("{} there already", units::count(earlier.blocks.len(), "block")));
        search = taken_up(search, earlier);
    }
    let mut once = Once::new(progress);
    let mut ask = Ask { plan, target, progress: &mut once, interrupt, keep };
    if search.settings.against == Against::Outputs {
        ask.outputs(&mut search)?;
    }
    // A front that was begun is of the blocks that there are.
    if !interrupt.is_raised() && search.cut_off.is_none() {
        let done = ask.blocks(&mut search);
        kept_if_lost(&mut search, done, interrupt)?;
    }
    let Some(found) = costs::of(&search.levels, &search.blocks) else {
        search.settings.interrupted = interrupt.is_raised();
        (ask.keep)(&search)?;
        complete(&search, true)?;
        return Err(untold(&search));
    };
    let designs = fitted(plan, &mut search, &found)?;
    if !interrupt.is_raised() && search.settings.lost.is_none() {
        let done = ask.front(&mut search, &found, &designs);
        kept_if_lost(&mut search, done, interrupt)?;
    }
    search.settings.interrupted = interrupt.is_raised();
    (ask.keep)(&search)?;
    Ok(search)
}

/// Notes that the target was lost, so that what was measured until then is reported, as it is after an interrupt.
fn kept_if_lost(search: &mut Search, done: Result<()>, interrupt: &Interrupt) -> Result<()> {
    match done {
        Err(_) if interrupt.is_raised() => {}
        Err(error) if error.exit == Exit::Lost => search.settings.lost = Some(error.message),
        done => done?,
    }
    Ok(())
}

/// Why there are no costs, though nothing was lost.
fn untold(search: &Search) -> Error {
    let designs = || search.blocks.iter().flat_map(|block| block.designs.iter().zip(&block.ns));
    let ran = |site: usize, level: usize| designs().any(|(design, ns)| design[site] == level && ns.is_some());
    for (site, levels) in search.levels.iter().enumerate() {
        if let Some(level) = (0..levels.activations.len()).find(|&level| !ran(site, level)) {
            let (activation, node) = (&levels.activations[level], &levels.node);
            let why = search.warnings.first().map_or(String::new(), |why| format!(" ({why})"));
            return Error::input(format!(
                "no design with {activation} at {node} could be run{why}: leave the site out with --skip"
            ));
        }
    }
    Error::input("the time is too short to tell any cost: give more --time")
}

/// What was measured of an earlier search, for what is asked for now.
fn taken_up(asked: Search, earlier: Search) -> Search {
    let cut_off = earlier.cut_off.clone().filter(|_| is_same_front(&earlier, &asked));
    let prices = if asked.prices.is_empty() { earlier.prices } else { asked.prices };
    let settings = Settings {
        blocks_ns: earlier.settings.blocks_ns,
        elapsed_ns: earlier.settings.elapsed_ns,
        ..asked.settings
    };
    Search {
        started_at: earlier.started_at,
        blocks: earlier.blocks,
        model: earlier.model,
        engine: earlier.engine,
        environment: earlier.environment,
        prices,
        settings,
        cut_off,
        ..asked
    }
}

/// Fails if not all that was asked for was measured.
pub fn complete(search: &Search, resumable: bool) -> Result<()> {
    let hint =
        if resumable { "; --resume goes on from there" } else { "; with --save it could be gone on with" };
    if search.settings.interrupted {
        return Err(Error::lost(format!("interrupted: what was measured until then is reported{hint}")));
    }
    match &search.settings.lost {
        Some(why) => Err(Error::lost(format!("{why}{hint}"))),
        None => Ok(()),
    }
}

/// Whether an earlier search is all that is asked for now.
fn is_answer(earlier: &Search, asked: &Search) -> bool {
    let was = &earlier.settings;
    let whole = !was.interrupted && was.lost.is_none() && earlier.additivity.is_some();
    whole && is_same_front(earlier, asked)
}

/// Whether what is asked for now has the same front.
fn is_same_front(earlier: &Search, asked: &Search) -> bool {
    let (was, is) = (&earlier.settings, &asked.settings);
    let same_prices = is.against != Against::File || earlier.prices == asked.prices;
    same_prices && was.budget == is.budget && is.time_limit_ns <= was.time_limit_ns
}

/// A search of which nothing is measured.
fn begun(plan: &Plan) -> Search {
    let measurement = &plan.measurement;
    Search {
        schema: SCHEMA.into(),
        oplat: environment::this_program(),
        started_at: environment::rfc3339(std::time::SystemTime::now()),
        command: measurement.command.clone(),
        model: measurement.subjects[0].model.clone(),
        engine: Engine { id: plan.engine.label.clone(), ..Default::default() },
        environment: Default::default(),
        settings: Settings {
            among: plan.among.iter().map(ToString::to_string).collect(),
            lowering: plan.lowering,
            threads: measurement.load.threads,
            seed: measurement.load.seed,
            confidence: measurement.confidence,
            time_limit_ns: nanos(measurement.time),
            blocks_ns: 0,
            elapsed_ns: 0,
            budget: plan.budget,
            against: plan.against,
            interrupted: false,
            lost: None,
        },
        fed: fed(measurement),
        levels: plan.sites.told.clone(),
        blocks: vec![],
        prices: plan.prices.clone(),
        sites: vec![],
        additivity: None,
        original_ns: None,
        front: vec![],
        cut_off: None,
        warnings: vec![],
    }
}

/// `images=1x3x320x320`, `batch=1`
fn fed(measurement: &Measurement) -> Vec<String> {
    let subject = &measurement.subjects[0];
    let inputs = subject.inputs.iter().map(|i| format!("{}={}", i.name, units::shape(&i.shape)));
    inputs.chain(subject.dims.iter().map(|(name, size)| format!("{name}={size}"))).collect()
}

/// Fills in what the costs say, and gives the designs of the points of the front, which are not measured yet.
fn fitted(plan: &Plan, search: &mut Search, found: &Costs) -> Result<Vec<Design>> {
    search.sites = costs::by_site(&search.levels, found, search.settings.confidence);
    let mut additivity = costs::additivity(&search.levels, found);
    if found.odd > 0 {
        let odd = units::count(found.odd, "design");
        search.warnings.push(format!(
            "{odd} ran far slower than their sites explain, as a few processes do, and are left out"
        ));
    }
    let base = found.fit.base_ns;
    additivity.at_once = plan
        .among
        .iter()
        .map(|activation| AtOnce {
            activation: activation.to_string(),
            predicted_ns: base + cost(found, &plan.sites.everywhere(activation)),
            measured: None,
        })
        .collect();
    search.additivity = Some(additivity);
    search.original_ns = Some(base);
    let prices = prices::table(&search.levels, &search.prices);
    let front = front(&found.expected, &prices);
    let mut chosen = front::chosen(&front, MEASURED);
    if let Some(budget) = search.settings.budget {
        let within = front.iter().position(|point| base + point.cost_ns <= budget.ns(base));
        chosen.extend(within.filter(|&at| at > 0));
        chosen.sort_unstable();
        chosen.dedup();
    }
    let points: Vec<_> = chosen.into_iter().map(|at| &front[at]).collect();
    search.front = points
        .iter()
        .enumerate()
        .map(|(i, point)| {
            let name = format!("front-{}", i + 1);
            let mix = plan.sites.mix(&point.design, &name)?.to_string();
            let changed = point.design.iter().filter(|&&level| level > 0).count();
            let predicted_ns = base + point.cost_ns;
            Ok(Point { name, mix, changed, price: point.price, predicted_ns, measured: None })
        })
        .collect::<Result<_>>()?;
    Ok(points.into_iter().map(|point| point.design.clone()).collect())
}

fn cost(found: &Costs, design: &Design) -> f64 {
    design.iter().zip(&found.expected).map(|(&level, site)| site[level]).sum()
}

/// Who is asked, and whom what is known is told.
struct Ask<'a> {
    plan: &'a Plan,
    target: &'a dyn Target,
    progress: &'a mut dyn Progress,
    interrupt: &'a Interrupt,
    keep: &'a mut dyn FnMut(&Search) -> Result<()>,
}

impl Ask<'_> {
    /// How far one change at a time moves the outputs, of those that are not known yet.
    fn outputs(&mut self, search: &mut Search) -> Result<()> {
        let sites = &self.plan.sites.told;
        let all =
            sites.iter().enumerate().flat_map(|(site, l)| (1..l.activations.len()).map(move |n| (site, n)));
        let is_known = |(site, level): &(usize, usize)| {
            let (node, activation) = (&sites[*site].node, &sites[*site].activations[*level]);
            search.prices.iter().any(|price| price.node == *node && price.activation == *activation)
        };
        let left: Vec<_> = all.filter(|change| !is_known(change)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let changes = units::count(left.len(), "change");
        self.progress
            .note(&format!("how far {changes} move the outputs is measured first; --time begins after it"));
        let (plan, keep) = (self.plan, &mut *self.keep);
        let mut outputs = Outputs { plan, left, most: OUTPUTS_AT_ONCE, asked: vec![], search, keep };
        let measurement = Measurement { only: Only::Outputs, ..self.plan.measurement.clone() };
        let engine = &self.plan.engine;
        blocks(&measurement, engine, &mut outputs, self.target, self.progress, self.interrupt)?;
        let whole = outputs.left.is_empty() && outputs.asked.is_empty();
        match whole {
            true => Ok(()),
            false => Err(Error::lost(
                "interrupted before the prices were known: --resume goes on from what --save kept",
            )),
        }
    }

    fn blocks(&mut self, search: &mut Search) -> Result<()> {
        let measurement = Measurement { only: Only::Latency, ..self.plan.measurement.clone() };
        let mut designs = Designs {
            plan: self.plan,
            before: Duration::from_nanos(search.settings.blocks_ns),
            until: measurement.time.mul_f64(SHARE_OF_BLOCKS),
            whole: measurement.time,
            size: design::size(&costs::counts(&search.levels)),
            pending: None,
            search,
            keep: self.keep,
        };
        let engine = &self.plan.engine;
        let (target, progress) = (self.target, &mut *self.progress);
        let environment = blocks(&measurement, engine, &mut designs, target, progress, self.interrupt)?;
        designs.search.environment = environment;
        Ok(())
    }

    /// Measures the front, and each activation everywhere, in pairs with the original.
    fn front(&mut self, search: &mut Search, found: &Costs, points: &[Design]) -> Result<()> {
        let plan = self.plan;
        let mut variants = vec![plan.original()];
        for (point, design) in search.front.iter().zip(points) {
            variants.push(plan.variant(design, &point.name, point.mix.clone())?);
        }
        let everywhere: Vec<Design> = plan.among.iter().map(|a| plan.sites.everywhere(a)).collect();
        for (activation, design) in plan.among.iter().zip(&everywhere) {
            let changes = design.iter().any(|&level| level > 0);
            if changes && !points.contains(design) {
                let name = activation.to_string();
                variants.push(plan.variant(design, &name, name.clone())?);
            }
        }
        let spent = Duration::from_nanos(search.settings.blocks_ns);
        let time = plan.measurement.time;
        let time = time.saturating_sub(spent).max(time.mul_f64(0.5 * (1.0 - SHARE_OF_BLOCKS)));
        let measurement =
            Measurement { variants: variants.into(), time, forks: FORKS, ..plan.measurement.clone() };
        let mut part =
            Part::new(self.progress, "the front", SHARE_OF_BLOCKS, 1.0 - SHARE_OF_BLOCKS, Duration::ZERO);
        let cut_off =
            search.cut_off.take().filter(|record| is_of(record, &measurement)).map(|record| *record);
        let record = measure::measure(&measurement, cut_off, self.target, &mut part, self.interrupt)?;
        search.settings.elapsed_ns =
            search.settings.blocks_ns + record.settings.elapsed_ns.unwrap_or(nanos(time));
        fill_in(search, found, &record, points, &everywhere);
        let is_cut_off = self.interrupt.is_raised() || search.settings.lost.is_some();
        search.cut_off = is_cut_off.then(|| Box::new(record));
        Ok(())
    }
}

/// Whether a record is of these variants, so that it can be gone on with.
fn is_of(record: &Record, measurement: &Measurement) -> bool {
    let its = record.variants.iter().map(|variant| (&variant.name, &variant.rule));
    record.settings.looks.is_none() && its.eq(measurement.variants.iter().map(|v| (&v.name, &v.rule)))
}

/// Puts into the document what was measured of the front.
fn fill_in(search: &mut Search, found: &Costs, record: &Record, points: &[Design], everywhere: &[Design]) {
    let of = |name: &str| record.variants.iter().find(|variant| variant.name == name);
    let measured = |name: &str| {
        let variant = of(name)?;
        let delta = variant.delta.as_ref()?;
        let p50_ns = variant.latency?.p50_ns as f64;
        Some(Measured { p50_ns, ratio: delta.ratio, interval: delta.interval })
    };
    let base = found.fit.base_ns;
    let original = of("original").and_then(|v| v.latency).map_or(base, |latency| latency.p50_ns as f64);
    // The machine may be faster or slower now than it was for the blocks.
    let scaled = |predicted_ns: f64| predicted_ns * original / base;
    search.original_ns = Some(original);
    let mut names = vec![];
    for point in &mut search.front {
        point.measured = measured(&point.name);
        point.predicted_ns = scaled(point.predicted_ns);
        names.push(point.name.clone());
    }
    for (at_once, design) in search.additivity.iter_mut().flat_map(|a| &mut a.at_once).zip(everywhere) {
        let same = points.iter().position(|point| point == design);
        at_once.measured = measured(same.map_or(at_once.activation.as_str(), |at| names[at].as_str()));
        at_once.predicted_ns = scaled(at_once.predicted_ns);
    }
    search.warnings.extend(record.environment.warnings.iter().cloned());
    search.settings.lost = measure::complete(record, true)
        .err()
        .filter(|e| e.exit == Exit::Lost && !record.settings.interrupted)
        .map(|e| e.message);
    for variant in record.variants.iter().filter(|variant| variant.error.is_some()) {
        let why = variant.error.as_deref().unwrap_or_default();
        search.warnings.push(format!("{} was not measured: {why}", variant.name));
    }
}

/// Designs of blocks, until the time is up.
struct Designs<'a> {
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
        let repeats = self.pending.take().is_some_and(|block| design::repeats(block.number));
        let fitting = design::size_within(&costs::counts(&self.search.levels), variants);
        self.size = fitting.unwrap_or(self.size);
        fitting.is_some() && !repeats
    }

    fn took(&mut self, told: Told, elapsed: Duration) -> Result<()> {
        let Told { answers, loaded } = told;
        let Some(mut block) = self.pending.take() else { return Ok(()) };
        if let Some((engine, inputs)) = loaded {
            let (was, is) = (&self.search.engine.version, &engine.version);
            if !was.is_empty() && was != is {
                return Err(Error::input(format!(
                    "--resume: it was measured with {} {was}, and would go on with {is}: search anew",
                    engine.name
                )));
            }
            self.search.engine = Engine { id: self.plan.engine.label.clone(), ..engine };
            self.search.model.inputs = inputs;
        }
        if let (true, Some(why)) =
            (answers.iter().all(|a| a.error.is_some()), answers.iter().find_map(|a| a.error.clone()))
        {
            return Err(Error::input(format!("every design fails: {why}")));
        }
        if let Some(why) = answers.iter().find_map(|answer| answer.error.clone()) {
            let told = "designs that fail are left out; the first";
            if !self.search.warnings.iter().any(|warning| warning.starts_with(told)) {
                self.search.warnings.push(format!("{told}: {why}"));
            }
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
struct Outputs<'a> {
    plan: &'a Plan,
    /// Sites and levels.
    left: Vec<(usize, usize)>,
    /// Variants that are alive at once beside the original.
    most: usize,
    asked: Vec<(usize, usize)>,
    search: &'a mut Search,
    keep: &'a mut dyn FnMut(&Search) -> Result<()>,
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

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
