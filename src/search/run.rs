//! A search from its first block to its last pair.

use std::time::Duration;

use super::blocks::{self, Designs, Outputs, SHARE_OF_BLOCKS, nanos, same_engine};
use super::costs::{self, Costs};
use super::design::Design;
use super::document::{Against, AtOnce, Measured, Point, SCHEMA, Search, Settings};
use super::front::{self, front};
use super::plan::Plan;
use super::prices;
use crate::device::Target;
use crate::environment;
use crate::error::{Error, Exit, Result};
use crate::measure::{self, FORKS, Interrupt, Measurement, Once, Only, Part, Progress, blocks};
use crate::record::{Engine, Record};
use crate::units;

/// Designs of the front that are measured again.
const MEASURED: usize = 6;

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
        warnings: earlier.warnings.into_iter().filter(|warning| blocks::is_of_blocks(warning)).collect(),
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
        .map(|activation| {
            let design = plan.sites.everywhere(activation);
            AtOnce {
                activation: activation.to_string(),
                predicted_ns: base + found.expected_of(&design),
                predicted_half_ns: Some(found.half_of(&design, search.settings.confidence)),
                measured: None,
            }
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
            let predicted_half_ns = Some(found.half_of(&point.design, search.settings.confidence));
            Ok(Point {
                name,
                mix,
                changed,
                price: point.price,
                predicted_ns,
                predicted_half_ns,
                measured: None,
            })
        })
        .collect::<Result<_>>()?;
    Ok(points.into_iter().map(|point| point.design.clone()).collect())
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
        let mut outputs = Outputs::new(plan, left, search, keep);
        let measurement = Measurement { only: Only::Outputs, ..self.plan.measurement.clone() };
        let engine = &self.plan.engine;
        blocks(&measurement, engine, &mut outputs, self.target, self.progress, self.interrupt)?;
        match outputs.are_all_known() {
            true => Ok(()),
            false => Err(Error::lost(
                "interrupted before the prices were known: --resume goes on from what --save kept",
            )),
        }
    }

    fn blocks(&mut self, search: &mut Search) -> Result<()> {
        let measurement = Measurement { only: Only::Latency, ..self.plan.measurement.clone() };
        let mut designs = Designs::new(self.plan, search, self.keep);
        let engine = &self.plan.engine;
        let (target, progress) = (self.target, &mut *self.progress);
        search.environment = blocks(&measurement, engine, &mut designs, target, progress, self.interrupt)?;
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
        // It stays in the search until there is a newer one.
        let cut_off =
            search.cut_off.clone().filter(|record| is_of(record, &measurement)).map(|record| *record);
        let record = measure::measure(&measurement, cut_off, self.target, &mut part, self.interrupt)?;
        same_engine(&search.engine, &record.engine)?;
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
        point.predicted_half_ns = point.predicted_half_ns.map(scaled);
        names.push(point.name.clone());
    }
    for (at_once, design) in search.additivity.iter_mut().flat_map(|a| &mut a.at_once).zip(everywhere) {
        let same = points.iter().position(|point| point == design);
        at_once.measured = measured(same.map_or(at_once.activation.as_str(), |at| names[at].as_str()));
        at_once.predicted_ns = scaled(at_once.predicted_ns);
        at_once.predicted_half_ns = at_once.predicted_half_ns.map(scaled);
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
