//! The figures of a record that are made of its forks. They are made in one place, whether the measurement has just ended,
//! was gone on with, or is several records put together.
//!
//! - `odd`: processes that say nothing of their variant
//! - `pairing`: ratios and costs, from turns of the same rounds
//! - `steadiness`: outliers and drift
//!
//! Every variant has one verdict, against its original. All verdicts of a record hold together with the confidence of its
//! settings: each ratio's interval is as wide as Holm's procedure asks (see [`holm`]). Intervals of costs, which have no
//! verdict, have that confidence each by itself. Where the measurement ended when its verdicts were known, both are as wide as
//! the looks ask (see [`crate::stats::level`]).

mod odd;
mod pairing;
mod steadiness;

use std::collections::BTreeSet;

use crate::record::{Criteria, Delta, Fork, Latency, Profiled, Record, Role, Settings, Variant};
use crate::stats::{Mean, Samples, holm};

pub use odd::{Steady, steady as side_by_side};
pub use pairing::overhead;

/// Makes all of them: latencies, steadiness, ratios, costs, and what profiled runs come to as a whole.
pub fn make(record: &mut Record) {
    let Record { settings, variants, .. } = record;
    for variant in variants.iter_mut() {
        variant.latency = Latency::of(&variant.forks);
        variant.steadiness = steadiness::steadiness(&variant.forks, settings.confidence);
    }
    profiles(settings, variants);
    deltas(settings, variants);
    costs(settings, variants);
}

/// The forks of each variant without odd processes, each in its place: `[variant][fork]`. Only variants of one group were
/// measured side by side.
pub fn steady(variants: &[Variant]) -> Vec<Steady<'_>> {
    let mut all: Vec<Steady> = vec![vec![]; variants.len()];
    let groups: BTreeSet<usize> = variants.iter().map(|v| v.group).collect();
    for group in groups {
        let of_it: Vec<usize> = (0..variants.len()).filter(|&at| variants[at].group == group).collect();
        let forks: Vec<&[Fork]> = of_it.iter().map(|&at| variants[at].forks.as_slice()).collect();
        of_it.into_iter().zip(odd::steady(&forks)).for_each(|(at, steady)| all[at] = steady);
    }
    all
}

/// Profiled runs as a whole. How much of them ops explain is known by who has the ops' runs.
fn profiles(settings: &Settings, variants: &mut [Variant]) {
    let made: Vec<Option<Profiled>> = variants
        .iter()
        .zip(steady(variants))
        .map(|(variant, steady)| profiled(variant.profiled?, &steady, settings.confidence))
        .collect();
    variants.iter_mut().zip(made).for_each(|(variant, made)| variant.profiled = made.or(variant.profiled));
}

fn profiled(known: Profiled, steady: &Steady, confidence: f64) -> Option<Profiled> {
    let forks = || steady.iter().flatten().copied();
    let walls = Samples::from_ns(forks().flat_map(|f| f.profiled_rounds.iter().flat_map(|p| &p.runs_ns)))?;
    let overhead = overhead(forks(), confidence);
    Some(Profiled {
        p50_ns: walls.median().round() as u64,
        overhead_ratio: overhead.map(|o| o.point),
        overhead_interval: overhead.and_then(|o| o.interval).map(|i| [i.low, i.high]),
        ..known
    })
}

/// The logarithm of each variant's ratio to its original.
pub fn log_ratios(variants: &[Variant]) -> Vec<Option<Mean>> {
    let steady = steady(variants);
    let ratio = |at: usize| pairing::log_ratio(&steady[base(variants, at)?], &steady[at]);
    (0..variants.len()).map(ratio).collect()
}

/// Every variant against the original of its group.
pub fn deltas(settings: &Settings, variants: &mut [Variant]) {
    let steady = steady(variants);
    let ratio = |at: usize, base: Option<usize>| {
        let base = base?;
        Some((variants[base].name.clone(), pairing::log_ratio(&steady[base], &steady[at])?))
    };
    let places = 0..variants.len();
    let own = places.clone().map(|at| ratio(at, base(variants, at)));
    let across = places.map(|at| ratio(at, counterpart(variants, at)));
    let ratios: Vec<Option<(String, Mean)>> = own.chain(across).collect();
    // Where there is a limit, what is said must hold together of that.
    let beyond = settings.max_regression.unwrap_or(0.0).ln_1p();
    let tails: Vec<Option<f64>> =
        ratios.iter().map(|ratio| Some(ratio.as_ref()?.1.tail_beyond(beyond))).collect();
    let needed = holm(&tails, settings.confidence, |alpha| settings.level(alpha));
    let mut deltas = ratios.into_iter().zip(needed).map(|(ratio, confidence)| {
        let by = Criteria { confidence, margin: settings.margin, drift: 0.0 };
        ratio.map(|(against, ratio)| Delta::new(&against, &ratio, by))
    });
    variants.iter_mut().zip(&mut deltas).for_each(|(variant, delta)| variant.delta = delta);
    variants.iter_mut().zip(&mut deltas).for_each(|(variant, delta)| variant.across = delta);
}

/// The same network in the first engine of the group, for one of another engine.
fn counterpart(variants: &[Variant], at: usize) -> Option<usize> {
    let this = &variants[at];
    let first = variants.iter().find(|v| v.group == this.group)?;
    let same = |v: &Variant| {
        (v.group, &v.engine) == (first.group, &first.engine)
            && (&v.model, v.role, &v.rule, v.lowering) == (&this.model, this.role, &this.rule, this.lowering)
            && v.knobs.is_empty()
    };
    (this.engine != first.engine).then(|| variants.iter().position(same))?
}

/// What a variant is compared against: the first of its group in its engine, which is an original.
fn base(variants: &[Variant], at: usize) -> Option<usize> {
    let beside = |v: &Variant| (v.group, &v.engine) == (variants[at].group, &variants[at].engine);
    let first = variants.iter().position(beside)?;
    // Older records don't tell groups.
    let told = variants[at].delta.as_ref().and_then(|d| variants.iter().position(|v| v.name == d.against));
    Some(told.unwrap_or(first)).filter(|&base| base != at)
}

/// Every variant against the control of its own model.
fn costs(settings: &Settings, variants: &mut [Variant]) {
    let steady = steady(variants);
    let confidence = 1.0 - settings.level(1.0 - settings.confidence);
    let alike = |v: &Variant| (v.group, v.engine.clone(), v.model.clone(), v.knobs.clone());
    let costs: Vec<_> = (0..variants.len())
        .map(|at| {
            let its = alike(&variants[at]);
            let control = variants.iter().position(|v| v.role == Role::Control && alike(v) == its)?;
            let p50_ns = variants[at].latency.map_or(0, |l| l.p50_ns);
            let of_swap = variants[at].role != Role::Control;
            of_swap.then(|| pairing::activation_cost(&steady[control], &steady[at], p50_ns, confidence))?
        })
        .collect();
    variants.iter_mut().zip(costs).for_each(|(variant, cost)| variant.activation_cost = cost);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::record::Verdict;

    /// A measurement of an original and eight others, whose forks' log ratios have this deviation.
    fn record(random: &mut SplitMix64, truth: f64, deviation: f64) -> Record {
        let mut normal = || (0..12).map(|_| random.unit(53)).sum::<f64>() - 6.0;
        let of_original: Vec<f64> = (0..8).map(|_| normal()).collect();
        // The original's own part of the deviation is in all ratios.
        let share = deviation * 0.5f64.sqrt();
        let mut forks = |truth: f64, own: Option<&[f64]>| -> Vec<Fork> {
            let log = |at: usize, normal: &mut dyn FnMut() -> f64| match own {
                Some(own) => share * own[at],
                None => truth.ln() + share * normal(),
            };
            let ns = (0..8).map(|at| (1e8 * log(at, &mut normal).exp()) as u64);
            let fork = |(at, ns)| Fork { number: Some(at), rounds: vec![vec![ns]], ..Fork::default() };
            ns.enumerate().map(fork).collect()
        };
        let mut all = vec![forks(1.0, Some(&of_original))];
        all.extend((0..8).map(|_| forks(truth, None)));
        let variants = all.into_iter().enumerate().map(|(at, forks)| variant(at, forks));
        Record { variants: variants.collect(), ..empty() }
    }

    fn empty() -> Record {
        let json = r#"{"schema": "oplat.record/1", "oplat": {"version": "", "profile": "", "debug_assertions": false},
            "started_at": "", "command": [], "model": {"name": "", "source": "", "sha256": "", "inputs": [],
            "parameters": 0, "macs": null}, "order": [], "variants": []}"#;
        let mut value: serde_json::Value = serde_json::from_str(json).expect("JSON");
        value["engine"] = serde_json::to_value(crate::record::Engine::default()).expect("JSON");
        value["environment"] = serde_json::to_value(crate::record::Environment::default()).expect("JSON");
        let settings = Settings { confidence: 0.99, ..Settings::default() };
        value["settings"] = serde_json::to_value(settings).expect("JSON");
        serde_json::from_value(value).expect("a record")
    }

    fn variant(at: usize, forks: Vec<Fork>) -> Variant {
        Variant {
            name: format!("v{at}"),
            model: None,
            group: 0,
            engine: "tract".into(),
            across: None,
            role: if at == 0 { Role::Original } else { Role::Swap },
            rule: String::new(),
            lowering: Default::default(),
            threads: 1,
            knobs: Default::default(),
            sites: vec![],
            skipped: vec![],
            forks,
            latency: None,
            delta: None,
            steadiness: None,
            profiled: None,
            activation_cost: None,
            memory: None,
            output_change: None,
            ops: vec![],
            error: None,
            refused: false,
            bug: false,
        }
    }

    /// In how many of so many records at least one verdict is so.
    fn told(tries: usize, truth: f64, deviation: f64, so: fn(Verdict) -> bool) -> usize {
        let mut random = SplitMix64::new(4);
        let mut any = || {
            let mut record = record(&mut random, truth, deviation);
            make(&mut record);
            record.variants.iter().filter_map(|v| v.delta.as_ref()).any(|d| so(d.verdict))
        };
        (0..tries).filter(|_| any()).count()
    }

    #[test]
    fn eight_variants_have_a_false_verdict_in_one_of_a_hundred_records_at_most() {
        let called = |v| matches!(v, Verdict::Slower | Verdict::Faster);
        let none = |v| v == Verdict::None;
        for deviation in [0.005, 0.015] {
            let (differ, same) = (told(1000, 1.0, deviation, called), told(1000, 1.02, deviation, none));
            // 10, and three standard errors of so many tries; each at 99% by itself would be some 70.
            assert!(differ <= 19, "{deviation}: of 1000 records without a difference {differ} tell of one");
            assert!(same <= 19, "{deviation}: of 1000 records with 2% {same} tell of none");
        }
        assert!(told(100, 1.0, 0.005, none) > 90, "nothing differs, and that can be told");
        assert!(told(100, 1.05, 0.005, called) > 90, "all differ, and that can be told");
    }

    #[test]
    fn a_fork_that_one_variant_has_not_moves_no_other_pair() {
        let mut random = SplitMix64::new(5);
        let mut record = record(&mut random, 1.1, 0.0001);
        // The machine is slower from fork to fork, and a variant was lost in the second one and taken up again.
        for variant in &mut record.variants {
            for (at, fork) in variant.forks.iter_mut().enumerate() {
                fork.rounds[0][0] += 10_000_000 * at as u64 * if variant.name == "v0" { 10 } else { 11 } / 10;
            }
        }
        record.variants[1].forks.remove(1);
        make(&mut record);
        let delta = record.variants[1].delta.as_ref().expect("paired");
        assert!((delta.ratio - 1.1).abs() < 0.001 && delta.verdict == Verdict::Slower, "{delta:?}");
    }

    #[test]
    fn a_variant_is_compared_in_its_engine_and_with_the_same_network_in_the_first() {
        let mut random = SplitMix64::new(7);
        let mut record = record(&mut random, 1.0, 0.0001);
        record.variants.truncate(4);
        for (at, (engine, role, times)) in
            [("a", Role::Original, 2), ("a", Role::Swap, 4), ("b", Role::Original, 1), ("b", Role::Swap, 8)]
                .into_iter()
                .enumerate()
        {
            let variant = &mut record.variants[at];
            (variant.engine, variant.role) = (engine.into(), role);
            variant.forks.iter_mut().for_each(|fork| fork.rounds[0][0] *= times);
        }
        make(&mut record);
        let told = |delta: &Option<Delta>| {
            delta.as_ref().map(|d| (d.against.clone(), (d.ratio * 10.0).round() / 10.0))
        };
        let own: Vec<_> = record.variants.iter().map(|v| told(&v.delta)).collect();
        let across: Vec<_> = record.variants.iter().map(|v| told(&v.across)).collect();
        assert_eq!(own, [None, Some(("v0".into(), 2.0)), None, Some(("v2".into(), 8.0))]);
        assert_eq!(across, [None, None, Some(("v0".into(), 0.5)), Some(("v1".into(), 2.0))]);
    }

    #[test]
    fn forks_of_different_groups_are_no_pairs() {
        let mut random = SplitMix64::new(6);
        let mut record = record(&mut random, 1.0, 0.0001);
        record.variants.truncate(4);
        for variant in &mut record.variants[2..] {
            // Whatever a record says.
            variant.group = usize::MAX;
            variant.forks.iter_mut().for_each(|fork| fork.rounds[0][0] *= 2);
        }
        make(&mut record);
        let against: Vec<_> =
            record.variants.iter().map(|v| v.delta.as_ref().map(|d| d.against.as_str())).collect();
        assert_eq!(against, [None, Some("v0"), None, Some("v2")]);
        assert!((record.variants[3].delta.as_ref().expect("paired").ratio - 1.0).abs() < 0.001);
    }
}
