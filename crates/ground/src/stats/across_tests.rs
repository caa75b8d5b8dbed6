//! What is said over devices, against figures of SciPy's and by simulation.

use super::across::{Across, apart, rough, together};
use super::{Mean, Samples, holm};
use crate::random::SplitMix64;

/// A mean of this error, of two forks.
fn known(point: f64, error: f64) -> Mean {
    Mean::of(&Samples::new([point - error, point + error]).expect("two"))
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-7
}

const SEVEN: [f64; 7] = [0.113, 0.098, 0.131, 0.072, 0.120, 0.105, 0.090];

#[test]
fn the_mean_its_interval_and_that_for_another_device_are_scipys() {
    let all = Across::of(&[SEVEN.map(|x| known(x, 0.004)).to_vec()]).expect("seven");
    let (mean, further) = (all.mean(0.95), all.further(0.95).expect("seven"));
    let interval = mean.interval.expect("seven");
    assert!(close(mean.point, 0.104_142_857));
    assert!(close(interval.low, 0.085_945_642) && close(interval.high, 0.122_340_072), "{interval:?}");
    assert!(close(further.low, 0.052_673_360) && close(further.high, 0.155_612_354), "{further:?}");
    assert!(close(all.between, 0.019_265_068) && close(all.again, 0.004), "{all:?}");
    assert_eq!((all.devices, all.units, all.within), (7, 7, None));
}

#[test]
fn of_several_groups_each_counts_once() {
    let groups = [vec![0.113, 0.098, 0.131], vec![0.072, 0.080], vec![0.02]];
    let groups = groups.map(|group| group.into_iter().map(|x| known(x, 0.004)).collect());
    let all = Across::of(&groups).expect("three groups");
    let (mean, further) = (all.mean(0.95), all.further(0.95).expect("three"));
    let interval = mean.interval.expect("three");
    assert!(close(mean.point, 0.07) && close(interval.low, -0.047_465_834), "{mean:?}");
    assert!(close(further.half_width(), 0.237_865_464), "{further:?}");
    assert!(close(all.between, 0.046_024_550) && close(all.within.expect("five"), 0.013_291_601), "{all:?}");
    assert_eq!((all.devices, all.units), (6, 3));
}

#[test]
fn two_devices_say_nothing_of_a_third_and_one_nothing_at_all() {
    let two = Across::of(&[vec![known(0.1, 0.01), known(0.2, 0.01)]]).expect("two");
    assert_eq!((two.further(0.95), two.units), (None, 2));
    // t(0.975, 1) is 12.7: half the distance of the two, so many times.
    assert!((two.mean(0.95).interval.expect("two").half_width() - 12.7062 * 0.05).abs() < 1e-5);
    assert_eq!(Across::of(&[vec![known(0.1, 0.01)]]), None);
    let single = Mean::of(&Samples::new([0.1]).expect("one fork"));
    assert_eq!(Across::of(&[vec![known(0.1, 0.01), single]]), None, "a single fork has no error");
}

#[test]
fn devices_that_agree_by_chance_are_known_no_better_than_they_were_measured() {
    let all = Across::of(&[vec![known(0.1, 0.03), known(0.1, 0.03)]]).expect("two");
    let half = all.mean(0.95).interval.expect("two").half_width();
    assert!((half - 12.7062 * 0.03 / 2.0f64.sqrt()).abs() < 1e-5 && all.between == 0.0, "{half}");
}

#[test]
fn what_was_measured_far_less_exactly_than_the_others_is_rough() {
    let errors = [Some(0.005), Some(0.004), None, Some(0.1), Some(0.006), Some(0.019)];
    assert_eq!(rough(&errors, 0.02), [false, false, false, true, false, false]);
    assert_eq!(rough(&[Some(0.1), Some(0.12)], 0.02), [false, false], "all are alike");
}

#[test]
fn a_value_is_as_far_from_the_others_as_scipy_says() {
    let mut all = SEVEN.map(|x| known(x, 0.004)).to_vec();
    all.push(known(0.30, 0.004));
    let tail = apart(&all, 0.02)[7].expect("eight");
    // Its own error has one degree of freedom: 0.0130 > 8.7e-5.
    let own = super::student::t_tail((0.30 - 0.104_142_857) / 0.004, 1.0);
    assert!(close(tail, own), "{tail} {own}");
    let forks =
        Samples::new((0..20).map(|at| 0.30 + 0.01 * if at % 2 == 0 { 1.0 } else { -1.0 })).expect("20");
    all[7] = Mean::of(&forks);
    let tail = apart(&all, 0.02)[7].expect("eight");
    assert!((tail - 8.687_762_9e-5).abs() < 1e-9, "{tail}");
    assert_eq!(apart(&all[..3], 0.02), [None; 3]);
    let near = apart(&all[..7], 0.5);
    assert_eq!(near, [Some(1.0); 7], "none is beyond the margin");
}

/// What devices are like that a simulation makes.
#[derive(Clone, Copy)]
struct World {
    /// Standard deviation of SoCs, and of devices of one.
    between: f64,
    within: f64,
    /// Standard errors of devices, in turn.
    errors: &'static [f64],
    forks: usize,
    /// A deviate of mean 0 and variance 1.
    deviate: fn(&mut SplitMix64) -> f64,
}

const USUAL: World = World { between: 0.0, within: 0.0, errors: &[0.01], forks: 4, deviate: normal };
const UNEQUAL: &[f64] = &[0.003, 0.01, 0.003, 0.005, 0.1];

fn normal(random: &mut SplitMix64) -> f64 {
    (-2.0 * (1.0 - random.unit(53)).ln()).sqrt() * (std::f64::consts::TAU * random.unit(53)).cos()
}

/// Student's t with 5 degrees of freedom.
fn heavy(random: &mut SplitMix64) -> f64 {
    let chi: f64 = (0..5).map(|_| normal(random).powi(2)).sum();
    normal(random) / (chi / 5.0).sqrt() / (5.0f64 / 3.0).sqrt()
}

impl World {
    fn measured(&self, truth: f64, at: usize, random: &mut SplitMix64) -> Mean {
        let spread = self.errors[at % self.errors.len()] * (self.forks as f64).sqrt();
        Mean::of(&Samples::new((0..self.forks).map(|_| truth + spread * normal(random))).expect("forks"))
    }

    /// Devices by SoC, so many of each, and the truth of one more of another SoC.
    fn devices(&self, sizes: &[usize], random: &mut SplitMix64) -> (Vec<Vec<Mean>>, f64) {
        let mut at = 0;
        let mut group = |n: usize, random: &mut SplitMix64| {
            let soc = self.between * (self.deviate)(random);
            let device = |random: &mut SplitMix64| soc + self.within * (self.deviate)(random);
            let truths: Vec<f64> = (0..n).map(|_| device(random)).collect();
            let measured = truths.iter().map(|&truth| self.measured(truth, at, random)).collect();
            at += n;
            (measured, truths)
        };
        let groups = sizes.iter().map(|&n| group(n, random).0).collect();
        (groups, group(1, random).1[0])
    }

    /// In which share of so many tries the interval of the mean holds the truth, and that for another device the truth of one.
    fn covers(&self, sizes: &[usize], tries: usize) -> (f64, f64) {
        let mut random = SplitMix64::new(11);
        let (mut mean, mut further) = (0, 0);
        for _ in 0..tries {
            let (groups, another) = self.devices(sizes, &mut random);
            let errors: Vec<_> = groups.iter().flatten().map(Mean::error).collect();
            let mut left_out = rough(&errors, 0.02).into_iter();
            let kept = groups.into_iter().map(|group| {
                group.into_iter().filter(|_| !left_out.next().unwrap_or(false)).collect::<Vec<_>>()
            });
            let Some(all) = Across::of(&kept.collect::<Vec<_>>()) else { continue };
            mean += usize::from(all.mean(0.95).interval.is_some_and(|i| i.contains(0.0)));
            further += usize::from(all.further(0.95).is_some_and(|i| i.contains(another)));
        }
        (mean as f64 / tries as f64, further as f64 / tries as f64)
    }
}

/// Four standard errors of a share of 0.95 in so many tries.
const TRIES: usize = 1500;
const OFF: f64 = 0.0225;

#[test]
fn intervals_over_devices_cover_as_stated_however_much_these_differ() {
    for devices in [3, 5, 10, 30] {
        for spread in [0.0, 0.005, 0.01, 0.05] {
            let world = World { within: spread, ..USUAL };
            let (mean, further) = world.covers(&[devices], TRIES);
            assert!(mean > 0.95 - OFF, "{devices} devices, {spread}: the mean's held in {mean}");
            assert!(further > 0.95 - OFF, "{devices} devices, {spread}: another device's held in {further}");
            if spread == 0.05 {
                assert!(mean < 0.95 + OFF, "{devices} devices: the mean's held in {mean}");
                assert!(further < 0.95 + OFF, "{devices} devices: another device's held in {further}");
            }
        }
    }
    let (mean, _) = World { within: 0.05, ..USUAL }.covers(&[2], TRIES);
    assert!(mean > 0.95 - OFF, "two devices: the mean's held in {mean}");
}

#[test]
fn they_cover_where_devices_were_measured_with_unequal_errors_and_by_few_forks() {
    for forks in [2, 4] {
        for spread in [0.0, 0.01, 0.05] {
            for devices in [5, 30] {
                let world = World { within: spread, errors: UNEQUAL, forks, ..USUAL };
                let (mean, further) = world.covers(&[devices], TRIES);
                assert!(
                    mean.min(further) > 0.95 - OFF,
                    "{devices}, {forks} forks, {spread}: {mean} {further}"
                );
            }
        }
    }
}

#[test]
fn heavy_tails_cost_the_interval_for_another_device_little() {
    for devices in [3, 10, 30] {
        let world = World { within: 0.05, deviate: heavy, ..USUAL };
        let (mean, further) = world.covers(&[devices], TRIES);
        assert!(mean > 0.95 - OFF && further > 0.93 - OFF, "{devices} devices: {mean} {further}");
    }
}

#[test]
fn devices_of_one_soc_are_one_witness_and_not_many() {
    for sizes in [&[2, 2, 2][..], &[8, 1, 1, 1, 1], &[3, 3, 3, 3, 3], &[20, 5, 3, 1, 1, 1]] {
        for (between, within) in [(0.05, 0.01), (0.0, 0.02)] {
            let world = World { between, within, ..USUAL };
            let (mean, further) = world.covers(sizes, TRIES);
            assert!(mean.min(further) > 0.95 - OFF, "{sizes:?} {between} {within}: {mean} {further}");
        }
    }
    // Taken for independent, 8 phones of one SoC and 4 of others hold the truth in half of the tries.
    let mut random = SplitMix64::new(12);
    let world = World { between: 0.05, within: 0.01, ..USUAL };
    let held = |_: &usize| {
        let devices = world.devices(&[8, 1, 1, 1, 1], &mut random).0.concat();
        Across::of(&[devices]).and_then(|all| all.mean(0.95).interval).is_some_and(|i| i.contains(0.0))
    };
    let held = (0..TRIES).filter(held).count();
    assert!(held < TRIES * 6 / 10, "{held} of {TRIES}");
}

/// In how many of so many tries some device is said to be apart, and in how many the first one, which is so far off.
fn told_apart(world: World, devices: usize, off: f64, tries: usize) -> (usize, usize) {
    let mut random = SplitMix64::new(13);
    let (mut any, mut first) = (0, 0);
    for _ in 0..tries {
        let mut all = world.devices(&[devices], &mut random).0.concat();
        if off != 0.0 {
            all[0] = world.measured(off, 0, &mut random);
        }
        let tails = apart(&all, 0.02);
        let sure: Vec<bool> = tails
            .iter()
            .zip(holm(&tails, 0.95, |alpha| alpha))
            .map(|(tail, confidence)| tail.is_some_and(|tail| tail <= 1.0 - confidence))
            .collect();
        any += usize::from(sure.iter().any(|&sure| sure));
        first += usize::from(sure[0]);
    }
    (any, first)
}

#[test]
fn a_device_is_wrongly_told_apart_in_one_of_twenty_tables_at_most() {
    for devices in [4, 5, 10, 30] {
        for spread in [0.0, 0.01, 0.05] {
            for errors in [&[0.01][..], &[0.003, 0.01, 0.003, 0.005, 0.02]] {
                let world = World { within: spread, errors, ..USUAL };
                let (any, _) = told_apart(world, devices, 0.0, 1000);
                // 50, and three standard errors.
                assert!(any <= 71, "{devices} devices, {spread}, {errors:?}: {any} of 1000");
            }
        }
    }
}

#[test]
fn a_device_of_another_kind_is_told_apart_among_ten() {
    let world = World { within: 0.02, errors: &[0.005], forks: 8, ..USUAL };
    let (_, found) = told_apart(world, 10, 0.15, 300);
    assert!(found > 285, "{found} of 300");
    let (_, found) = told_apart(world, 5, 0.15, 300);
    assert!((150..285).contains(&found), "of five in two of three tries: {found} of 300");
}

#[test]
fn a_group_has_the_errors_of_its_devices() {
    let group = together(&[known(0.1, 0.03), known(0.2, 0.04)]).expect("two");
    assert!(close(group.error().expect("known"), 0.025) && close(group.estimate(0.9).point, 0.15));
}
