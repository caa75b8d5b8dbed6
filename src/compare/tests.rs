//! Comparisons of records made up here: what is called, what is not, and what is said to differ.

use super::*;
use crate::record::{Fork, Model, Op, Profiled, Role, Site, Variant, Verdict};
use crate::report::fixture;

/// Nearly normal numbers from a fixed seed: mean 0, deviation 1.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Standard deviations of log latency.
#[derive(Clone, Copy, Debug)]
struct Unrest {
    /// From record to record, beyond what forks show.
    record: f64,
    fork: f64,
    run: f64,
}

/// Measured: eleven records of a small detector in a row on a shared virtual machine, with a load of 0.7 to 1.2 a
/// CPU by other programs. The first is its original (the calmest variant), the second its control. Under heavier
/// load forks differ by 20% and nothing below that can be seen.
const MEASURED: [Unrest; 2] = [
    Unrest { record: 0.0106, fork: 0.0104, run: 0.021 },
    Unrest { record: 0.0149, fork: 0.018, run: 0.0215 },
];
const CALM: Unrest = MEASURED[0];

/// Forks of a variant that takes `ms`, in a record that is `drift` slower than usual.
fn forks(noise: &mut Noise, unrest: Unrest, n: usize, ms: f64, drift: f64) -> Vec<Fork> {
    let fork = |noise: &mut Noise| {
        let fork = drift + unrest.fork * noise.normal();
        let mut run = || (ms * 1e6 * (fork + unrest.run * noise.normal()).exp()) as u64;
        Fork { rounds: (0..3).map(|_| (0..5).map(|_| run()).collect()).collect(), ..Fork::default() }
    };
    (0..n).map(|_| fork(noise)).collect()
}

fn variant(role: Role, rule: &str, forks: Vec<Fork>) -> Variant {
    let name = if rule.is_empty() { "original".into() } else { format!("{rule}, exported") };
    Variant { skipped: vec![], forks, ..fixture::variant(&name, role, rule, vec![]) }
}

fn record(variants: Vec<Variant>) -> Record {
    Record {
        schema: crate::record::SCHEMA.into(),
        oplat: Default::default(),
        started_at: String::new(),
        command: vec![],
        engine: crate::record::Engine {
            name: "tract".into(),
            version: "0.23.9".into(),
            isa: vec![],
            libc: "glibc 2.36".into(),
            allocator: "system".into(),
            ..Default::default()
        },
        engines: vec![],
        imported: vec![],
        environment: Default::default(),
        model: Default::default(),
        models: vec![],
        settings: crate::record::Settings { confidence: 0.99, ..Default::default() },
        order: vec![],
        variants,
    }
}

/// Original, mish and control as one measurement would find them, `slower` times as slow.
fn measured(noise: &mut Noise, n: usize, slower: f64) -> Record {
    unrestful(noise, CALM, n, slower)
}

fn unrestful(noise: &mut Noise, unrest: Unrest, n: usize, slower: f64) -> Record {
    let drift = unrest.record * noise.normal() + slower.ln();
    let mut one = |role, rule: &str, ms| variant(role, rule, forks(noise, unrest, n, ms, drift));
    record(vec![
        one(Role::Original, "", 44.0),
        one(Role::Swap, "mish", 52.0),
        one(Role::Control, "identity", 43.0),
    ])
}

fn against(base: &Record, new: &Record, limit: Option<Limit>) -> Against {
    let named = |name, record| NamedRecord { name, record };
    let compared =
        compare(&[named("base.json", base)], &[&[named("new.json", new)]], Options { limit, margin: None });
    compared.expect("common variants").against.remove(0)
}

fn verdicts(base: &Record, new: &Record) -> Vec<Verdict> {
    let compared = against(base, new, None);
    compared.variants.iter().map(|m| m.change.as_ref().expect("measured").verdict).collect()
}

const TRIES: usize = 200;

#[test]
fn the_same_binary_is_called_slower_or_faster_in_at_most_one_of_twenty_tries() {
    let called = |v: &Verdict| matches!(v, Verdict::Slower | Verdict::Faster);
    for unrest in MEASURED {
        for n in [3, 4, 8] {
            let mut noise = Noise(7);
            let mut one = || unrestful(&mut noise, unrest, n, 1.0);
            let wrong = (0..TRIES).filter(|_| verdicts(&one(), &one()).iter().any(called)).count();
            assert!(wrong <= TRIES / 20, "{unrest:?}, {n} forks: {wrong} false verdicts in {TRIES} tries");
        }
    }
}

#[test]
fn on_a_calm_machine_a_model_that_became_ten_per_cent_slower_is_called() {
    let mut noise = Noise(8);
    let called = (0..TRIES).filter(|_| {
        let (base, new) = (measured(&mut noise, 8, 1.0), measured(&mut noise, 8, 1.1));
        verdicts(&base, &new).iter().all(|v| *v == Verdict::Slower)
    });
    let called = called.count();
    assert!(called >= TRIES * 19 / 20, "{called} of {TRIES} were called");
}

#[test]
fn the_interval_is_welchs_over_the_forks_medians() {
    let fork = |ns: &[u64]| Fork { rounds: vec![ns.to_vec()], ..Fork::default() };
    let base = record(vec![variant(Role::Original, "", vec![fork(&[90, 100, 500]), fork(&[102])])]);
    let new = record(vec![variant(Role::Original, "", vec![fork(&[120]), fork(&[121]), fork(&[119])])]);
    let change = against(&base, &new, None).variants.remove(0).change.expect("measured");
    let logs = |ns: &[f64]| crate::stats::Samples::new(ns.iter().map(|n| n.ln())).expect("samples");
    let expected = crate::stats::Mean::difference(&logs(&[100.0, 102.0]), &logs(&[120.0, 121.0, 119.0]));
    let expected = expected.estimate(0.99).exp();
    let interval = expected.interval.expect("enough forks");
    assert!((change.ratio - expected.point).abs() < 1e-12, "{change:?}");
    assert_eq!(change.interval, Some([interval.low, interval.high]));
    assert!(change.resolution.is_some_and(|seen| seen > DRIFT + interval.half_width()), "{change:?}");
    assert_eq!(change.against, "base.json");
}

#[test]
fn the_worst_variant_comes_first_and_decides() {
    let mut noise = Noise(9);
    let base = measured(&mut noise, 8, 1.0);
    let mut new = base.clone();
    new.variants[1].forks = forks(&mut noise, CALM, 8, 52.0 * 1.2, 0.0);
    let limit = "5%".parse().ok();
    let compared = against(&base, &new, limit);
    let told: Vec<_> = compared.variants.iter().map(|m| (m.name.as_str(), m.outcome)).collect();
    assert_eq!(told[0], ("mish, exported", Some(Outcome::Regression)));
    assert_eq!(told[1].1, Some(Outcome::Within));
    assert_eq!(compared.outcome, Some(Outcome::Regression));
    assert_eq!(against(&base, &base, limit).outcome, Some(Outcome::Within));
    assert_eq!(against(&base, &base, None).outcome, None);
}

#[test]
fn an_interval_across_the_limit_cannot_be_told_and_a_regression_wins_over_it() {
    let mut noise = Noise(10);
    let base = measured(&mut noise, 8, 1.0);
    let mut new = measured(&mut noise, 8, 1.0);
    new.variants[1].forks = forks(&mut noise, CALM, 8, 52.0 * 1.05, 0.0);
    let limit = "5%".parse().ok();
    assert_eq!(against(&base, &new, limit).outcome, Some(Outcome::Inconclusive));
    new.variants[0].forks = forks(&mut noise, CALM, 8, 44.0 * 1.3, 0.0);
    assert_eq!(against(&base, &new, limit).outcome, Some(Outcome::Regression));
}

#[test]
fn a_limit_below_what_records_drift_apart_by_is_exceeded_only_beyond_that() {
    let mut noise = Noise(12);
    let base = measured(&mut noise, 8, 1.0);
    let mut slower = |times: f64| {
        let mut new = base.clone();
        new.variants[1].forks = forks(&mut noise, CALM, 8, 52.0 * times, 0.0);
        let compared = against(&base, &new, "0.5%".parse().ok());
        let change =
            compared.variants.iter().find(|m| m.name == "mish, exported").and_then(|m| m.change.clone());
        (change.expect("measured"), compared.outcome)
    };
    let (change, outcome) = slower(1.025);
    assert!(
        change.interval.is_some_and(|[low, _]| low > 1.005) && change.verdict != Verdict::Slower,
        "{change:?}"
    );
    assert_eq!(outcome, Some(Outcome::Inconclusive));
    assert_eq!(slower(1.1).1, Some(Outcome::Regression));
}

#[test]
fn what_has_no_interval_cannot_be_told() {
    let mut noise = Noise(11);
    let base = measured(&mut noise, 8, 1.0);
    let limit = "5%".parse().ok();
    let single = measured(&mut noise, 1, 1.0);
    let change = against(&base, &single, limit).variants.remove(0).change.expect("measured");
    assert_eq!((change.interval, change.verdict), (None, Verdict::Inconclusive));
    assert_eq!(against(&base, &single, limit).outcome, Some(Outcome::Inconclusive));

    let mut failed = base.clone();
    failed.variants[1].forks.clear();
    failed.variants[1].error = Some("the worker was killed".into());
    let compared = against(&failed, &base, limit);
    assert_eq!(compared.outcome, Some(Outcome::Inconclusive), "the base has nothing to compare with");
    let last = compared.variants.last().expect("three variants");
    assert!(last.change.is_none() && last.base.error.is_some());
}

#[test]
fn what_failed_or_is_missing_in_the_new_record_is_a_failure_of_the_gate() {
    let mut noise = Noise(20);
    let base = measured(&mut noise, 8, 1.0);
    let outcome = |change: fn(&mut Record)| {
        let mut new = base.clone();
        change(&mut new);
        let compared = against(&base, &new, "5%".parse().ok());
        let worst = compared.variants.iter().filter_map(|m| m.outcome).max();
        (compared.outcome, worst, compared.only_base)
    };
    let all_within = Some(Outcome::Within);
    assert_eq!(outcome(|_| ()), (all_within, all_within, vec![]));
    // Crashed late: what was measured until then looks good.
    let crashed = outcome(|new| new.variants[1].error = Some("the worker was killed".into()));
    assert_eq!(crashed, (Some(Outcome::Failed), Some(Outcome::Failed), vec![]));
    let refused = outcome(|new| {
        let variant = &mut new.variants[1];
        (variant.error, variant.refused) = (Some("the engine can't run it".into()), true);
        variant.forks.clear();
    });
    assert_eq!(refused.0, Some(Outcome::Failed));
    let missing = outcome(|new| drop(new.variants.remove(1)));
    assert_eq!(missing, (Some(Outcome::Missing), all_within, vec!["mish, exported".to_owned()]));
    let more = outcome(|new| new.variants.push(variant(Role::Swap, "gelu", new.variants[1].forks.clone())));
    assert_eq!(more.0, all_within, "what the base doesn't have is not judged");
}

/// With a limit of 5%, seven variants that are 4% slower for sure and one that is 7% slower: ranked against the drift, the
/// seven would come first and leave the one no wider an interval than each of eight needs.
#[test]
fn with_a_limit_variants_are_ranked_by_how_far_they_are_beyond_it() {
    let mut noise = Noise(21);
    let calm = Unrest { record: 0.0, fork: 0.004, run: 0.002 };
    let mut side = |slower: &[f64]| {
        let of = |(at, slower): (usize, &f64)| {
            variant(Role::Swap, &format!("a{at}"), forks(&mut noise, calm, 8, 10.0 * slower, 0.0))
        };
        record(slower.iter().enumerate().map(of).collect())
    };
    let (base, new) = (side(&[1.0; 8]), side(&[1.1, 1.04, 1.04, 1.04, 1.04, 1.04, 1.04, 1.04]));
    let compared = against(&base, &new, "5%".parse().ok());
    let confidence = |name: &str| {
        let matched = compared.variants.iter().find(|m| m.name == name).expect("joined");
        matched.change.as_ref().expect("measured").confidence
    };
    assert!((confidence("a0, exported") - (1.0 - 0.01 / 8.0)).abs() < 1e-12, "the clearest one first");
    assert!((confidence("a1, exported") - (1.0 - 0.01 / 7.0)).abs() < 1e-12, "no other is beyond the limit");
    assert_eq!(compared.outcome, Some(Outcome::Regression));
}

#[test]
fn times_of_an_emulator_are_not_compared() {
    let mut noise = Noise(12);
    let (base, mut new) = (measured(&mut noise, 8, 1.0), measured(&mut noise, 8, 2.0));
    new.environment.emulated = true;
    let compared = against(&base, &new, "5%".parse().ok());
    assert!(
        compared.no_latency.as_ref().is_some_and(|why| why.contains("the newer one ran under an emulator"))
    );
    assert!(compared.variants.iter().all(|m| m.change.is_none()));
    assert_eq!(compared.outcome, Some(Outcome::Inconclusive));
}

#[test]
fn a_knob_is_named_and_does_not_keep_variants_apart() {
    let mut noise = Noise(13);
    let (base, mut new) = (measured(&mut noise, 8, 1.0), measured(&mut noise, 8, 1.1));
    new.variants.reverse();
    for v in &mut new.variants {
        v.knobs.insert("TRACT_X".into(), "1".into());
    }
    let compared = against(&base, &new, None);
    assert_eq!(compared.variants.len(), 3);
    assert!(compared.variants.iter().all(|m| m.base.name == m.new.name));
    assert_eq!(told(&compared), ["variants: knobs: none -> TRACT_X=1"]);
}

/// One variant twice, with a knob and without: the knob tells them apart.
#[test]
fn variants_of_one_record_are_joined_with_their_likes() {
    let mut noise = Noise(14);
    let mut one = |knob: Option<&str>, ms| {
        let mut v = variant(Role::Swap, "mish", forks(&mut noise, CALM, 4, ms, 0.0));
        v.knobs.extend(knob.map(|k| ("K".to_owned(), k.to_owned())));
        v
    };
    let (plain, knob) = (one(None, 10.0), one(Some("1"), 20.0));
    let base = record(vec![plain.clone(), knob.clone()]);
    let new = record(vec![knob, plain]);
    for matched in against(&base, &new, None).variants {
        assert_eq!(matched.change.expect("measured").ratio, 1.0);
    }
}

fn told(against: &Against) -> Vec<String> {
    against.differences.iter().map(|d| format!("{}: {} -> {}", d.what, d.base, d.new)).collect()
}

#[test]
fn everything_that_differs_is_named() {
    let mut base = record(vec![variant(Role::Original, "", vec![])]);
    let site = |to: &str| Site {
        node: "a".into(),
        from: "silu".into(),
        to: to.into(),
        lowering: None,
        shape: vec![],
        folded_into: None,
    };
    base.variants[0].sites = vec![site("silu")];
    base.environment.cpu = Some("A".into());
    base.environment.isa = vec!["fma".into(), "avx2".into()];
    base.model.sha256 = "0123456789abcdef0123".into();
    let mut new = base.clone();
    new.environment.isa.reverse();
    new.model.source = "elsewhere.onnx".into();
    assert_eq!(told(&against(&base, &new, None)), Vec::<String>::new(), "order and path are no differences");

    new.environment.cpu = Some("B".into());
    new.environment.affinity = vec![2, 3];
    new.engine.version = "0.24.0".into();
    new.engine.libc = "musl 1.2".into();
    new.oplat.profile = "release".into();
    new.oplat.debug_assertions = true;
    new.model.sha256 = "f".repeat(64);
    new.settings.threads = 2;
    new.settings.denormals = crate::record::Denormals::Flush;
    new.variants[0].sites = vec![site("relu")];
    let khz = |mhz: i64| crate::record::BeforeAfter::first(mhz * 1000);
    base.environment.frequency_khz.insert("0".into(), khz(3000));
    new.environment.frequency_khz.insert("0".into(), khz(2000));
    // What one record doesn't know differs from nothing.
    base.engine.libc = String::new();
    base.oplat.profile = "dev".into();
    assert_eq!(
        told(&against(&base, &new, None)),
        [
            "model: SHA-256: 0123456789abcdef -> ffffffffffffffff",
            "machine: CPU: A -> B",
            "machine: pinned to CPUs: none -> 2,3",
            "engine: tract 0.23.9 -> tract 0.24.0",
            "oplat: build profile: dev -> release",
            "oplat: debug assertions: no -> yes",
            "settings: threads: 0 -> 2",
            "settings: denormals: keep -> flush",
            "machine: mean frequency, MHz: 3000 -> 2000",
            "variants: sites: original: 1 silu -> original: 1 silu -> relu",
        ]
    );
}

#[test]
fn of_several_engines_each_ones_allocator_is_looked_at() {
    let (mut base, mut new) = (record(vec![]), record(vec![]));
    let with = |record: &mut Record, allocator: &str| {
        let other = crate::record::Engine { allocator: allocator.into(), ..record.engine.clone() };
        record.engines = vec![record.engine.clone(), other];
    };
    with(&mut base, "mimalloc");
    with(&mut new, "mimalloc");
    assert_eq!(differences::all(&base, &new), []);
    with(&mut new, "jemalloc");
    let told: Vec<_> = differences::all(&base, &new).into_iter().map(|d| (d.what, d.base, d.new)).collect();
    let both = |second: &str| format!("system and {second}");
    assert_eq!(told, [("engine: allocator", both("mimalloc"), both("jemalloc"))]);
}

fn op(node: &str, op: &str, shape: &str, mean_ns: u64) -> Op {
    Op {
        op: op.into(),
        node: node.into(),
        outputs: vec![shape.into()],
        mean_ns,
        fork_mean_ns: vec![mean_ns],
        ..Op::default()
    }
}

#[test]
fn ops_are_joined_by_name_and_failing_that_by_operator_and_shape() {
    let mut base = record(vec![variant(Role::Original, "", vec![])]);
    let mut new = base.clone();
    base.variants[0].ops =
        vec![op("act", "Exp", "8xf32", 10), op("act", "Mul", "8xf32", 30), op("conv", "Conv", "8xf32", 100)];
    new.variants[0].ops = vec![
        op("act", "Mish", "8xf32", 50),
        op("renamed", "Conv", "8xf32", 150),
        op("pool", "Pool", "4xf32", 1),
        op("act", "Mul", "8xf32", 31),
    ];
    new.variants[0].profiled = Some(Profiled {
        p50_ns: 240,
        overhead_ratio: Some(1.0),
        overhead_interval: None,
        unaccounted_ns: 7,
        bookkeeping: None,
    });
    let ops = against(&base, &new, None).variants.remove(0).ops;
    let rows: Vec<_> =
        ops.rows.iter().map(|p| (p.node.as_str(), p.what.as_str(), p.joined_by, p.difference_ns())).collect();
    assert_eq!(
        rows,
        [
            ("conv", "Conv", JoinedBy::Shape, 50),
            ("act", "Exp -> Mish", JoinedBy::Name, 40),
            ("act", "Mul", JoinedBy::Name, 1),
            ("pool", "Pool", JoinedBy::Nothing, 1),
        ]
    );
    assert_eq!((ops.base_unaccounted_ns, ops.new_unaccounted_ns), (None, Some(7)));
}

#[test]
fn records_without_a_common_variant_are_refused() {
    let base = record(vec![variant(Role::Swap, "mish", vec![])]);
    let new = record(vec![variant(Role::Swap, "gelu", vec![])]);
    let named = |name, record| NamedRecord { name, record };
    let error = compare(&[named("a.json", &base)], &[&[named("b.json", &new)]], Options::default())
        .expect_err("nothing in common");
    assert_eq!(error.exit_code(), 2);
    assert_eq!(
        error.message,
        "a.json and b.json have no variant in common: the one has mish, exported, the other gelu, exported"
    );
}

/// Several models in one record: a variant is its model's, and a model that only one record has joins nothing.
#[test]
fn variants_of_several_models_are_joined_by_model() {
    let mut noise = Noise(15);
    let model = |name: &str, sha: &str| Model { name: name.into(), sha256: sha.into(), ..Model::default() };
    let mut of = |name: &str, ms| Variant {
        model: Some(name.into()),
        name: format!("{name}: original"),
        ..variant(Role::Original, "", forks(&mut noise, CALM, 4, ms, 0.0))
    };
    let (a, b, c) = (of("a", 10.0), of("b", 20.0), of("c", 30.0));
    let mut base = record(vec![a.clone(), b.clone()]);
    base.models = vec![model("a", "1"), model("b", "2")];
    base.model = base.models[0].clone();
    let mut new = record(vec![c, b, a.clone()]);
    new.models = vec![model("c", "3"), model("b", "4"), model("a", "1")];
    new.model = new.models[0].clone();
    let compared = against(&base, &new, None);
    let ratios: Vec<_> = compared.variants.iter().map(|m| m.change.as_ref().map(|c| c.ratio)).collect();
    assert_eq!(ratios, [Some(1.0), Some(1.0)]);
    assert_eq!(compared.only_new, ["c: original"]);
    assert_eq!(told(&compared), ["model: name: a and b -> c and b and a", "model: SHA-256: b: 2 -> 4"]);

    // The only model of a record is its own, whatever its name.
    let mut alone = record(vec![Variant { model: None, name: "original".into(), ..a }]);
    alone.model = model("a", "1");
    assert_eq!(against(&base, &alone, None).variants.len(), 1);
    let mut other = alone.clone();
    other.model = model("z", "9");
    assert_eq!(told(&against(&alone, &other, None)), ["model: name: a -> z", "model: SHA-256: 1 -> 9"]);
}

#[test]
fn an_odd_process_changes_no_ratio() {
    let mut noise = Noise(16);
    let base = measured(&mut noise, 8, 1.0);
    let mut new = measured(&mut noise, 8, 1.0);
    let usual = against(&base, &new, None).variants.remove(0).change.expect("measured").ratio;
    for run in new.variants[1].forks[3].rounds.iter_mut().flatten() {
        *run *= 3;
    }
    let worst = against(&base, &new, None).variants.remove(0).change.expect("measured");
    assert!(worst.ratio < 1.03 * usual && worst.verdict != Verdict::Slower, "{worst:?}");
}

/// A B A B: what one record is off by, the other makes up for, and less drift has to be allowed for.
#[test]
fn several_records_a_side_see_a_smaller_difference() {
    let mut noise = Noise(17);
    let called = |noise: &mut Noise, records: usize, slower: f64| {
        let mut side = |slower| (0..records).map(|_| measured(noise, 8, slower)).collect::<Vec<_>>();
        let (base, new) = (side(1.0), side(slower));
        let compared =
            compare(&named_side(&base), &[&named_side(&new)], Options::default()).expect("in common");
        compared.against[0]
            .variants
            .iter()
            .any(|m| m.change.as_ref().is_some_and(|c| c.verdict == Verdict::Slower))
    };
    let mut tries = |records, slower| (0..100).filter(|_| called(&mut noise, records, slower)).count();
    let (one, four) = (tries(1, 1.05), tries(4, 1.05));
    assert!(
        four >= 90 && four > one,
        "a difference of 5%: {one} of 100 with one record a side, {four} with four"
    );
    assert!(tries(4, 1.0) <= 5, "false verdicts with four records a side");
}

fn named_side(side: &[Record]) -> Vec<NamedRecord<'_>> {
    side.iter().map(|record| NamedRecord { name: "r.json", record }).collect()
}

#[test]
fn a_pooled_side_has_the_forks_of_all_its_records_and_means_over_them() {
    let mut noise = Noise(18);
    let (mut a, mut b) = (measured(&mut noise, 3, 1.0), measured(&mut noise, 5, 1.0));
    a.variants[0].ops = vec![op("conv", "Conv", "8xf32", 100)];
    b.variants[0].ops = vec![op("conv", "Conv", "8xf32", 200)];
    b.settings.threads = 2;
    let both = [a, b];
    let compared =
        compare(&named_side(&both), &[&named_side(&both[..1])], Options::default()).expect("in common");
    let first = compared.against[0].variants.iter().find(|m| m.role == Role::Original).expect("joined");
    assert_eq!((first.base.forks, first.new.forks), (8, 3));
    assert_eq!(first.ops.rows[0].base_ns, Some(150));
    assert_eq!((compared.base.records, compared.base.name.as_str()), (2, "r.json + r.json"));
    assert_eq!(told(&compared.against[0]), ["settings: threads: 0 -> 2"], "within a side too");
}

#[test]
fn forks_are_paired_within_their_own_record_and_a_later_records_variant_is_kept() {
    let mut noise = Noise(22);
    let (mut a, mut b) = (measured(&mut noise, 4, 1.0), measured(&mut noise, 4, 2.0));
    // The first record's swap failed early, and only the second has another.
    a.variants[1].forks.truncate(1);
    b.variants.push(variant(Role::Swap, "gelu", b.variants[1].forks.clone()));
    let both = [a, b];
    let pooled = pool::pool(&named_side(&both)).expect("a side");
    let delta = |at: usize| pooled.variants[at].delta.as_ref().expect("paired");
    let expected = 52.0 / 44.0;
    assert!((delta(1).ratio / expected - 1.0).abs() < 0.02, "{:?}", delta(1));
    assert_eq!((pooled.variants[1].forks.len(), pooled.variants[3].forks.len()), (5, 4));
    assert!(pooled.environment.warnings.contains(&"gelu, exported is in 1 of 2 records only".to_owned()));
    let compared =
        compare(&named_side(&both), &[&named_side(&both[1..])], Options::default()).expect("common");
    assert!(compared.against[0].only_new.is_empty() && compared.against[0].variants.len() == 4);
}

/// Twenty variants, of which none changed: some intervals of 99% would lie beside 1 now and then.
#[test]
fn verdicts_on_many_variants_hold_together() {
    let mut noise = Noise(19);
    let mut many = || {
        let drift = 0.0;
        let forks =
            |noise: &mut Noise| forks(noise, Unrest { record: 0.0, fork: 0.03, run: 0.01 }, 4, 10.0, drift);
        record((0..20).map(|i| variant(Role::Swap, &format!("a{i}"), forks(&mut noise))).collect())
    };
    let called = |v: &Verdict| matches!(v, Verdict::Slower | Verdict::Faster);
    let wrong = (0..TRIES).filter(|_| verdicts(&many(), &many()).iter().any(called)).count();
    assert!(wrong <= TRIES / 50, "{wrong} of {TRIES} comparisons had a false verdict");
}
