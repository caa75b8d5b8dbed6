//! What is known of each variant while it is measured. The record has better figures, which take longer to make: here a fork's
//! number is the median of its runs.

use super::Session;
use crate::figures;
use crate::measure::SoFar;
use crate::record::{Criteria, Delta, Fork, Look};
use crate::stats::{Mean, Samples, holm};

impl Session<'_, '_> {
    /// Tells of all variants that have a timed run, against the first of their engine. As in the record, the intervals hold
    /// together; and as wide as if it were looked now.
    pub(super) fn tell_estimates(&mut self) {
        let so_far = self.so_far();
        self.progress.estimates(&so_far);
    }

    fn so_far(&self) -> Vec<SoFar> {
        let (measurement, raw) = (self.measurement, &self.raw);
        let forks: Vec<Vec<Fork>> =
            raw.variants.iter().map(|v| v.forks.iter().map(|f| f.fork.clone()).collect()).collect();
        let steady = figures::side_by_side(&forks.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let median = |fork: &Fork| Samples::from_ns(fork.rounds.iter().flatten()).map(|runs| runs.median());
        let medians: Vec<Vec<Option<f64>>> =
            steady.iter().map(|forks| forks.iter().map(|fork| median((*fork)?)).collect()).collect();
        let planned = &measurement.variants;
        let ratio = |at: usize| {
            let base =
                planned.iter().position(|v| v.engine == planned[at].engine).filter(|base| *base != at)?;
            let pairs = medians[base].iter().zip(&medians[at]);
            Some(Mean::of(&Samples::new(pairs.filter_map(|(base, own)| Some(((*own)? / (*base)?).ln())))?))
        };
        let ratios: Vec<Option<Mean>> = (0..planned.len()).map(ratio).collect();
        let tails: Vec<Option<f64>> = ratios.iter().map(|r| Some(r.as_ref()?.tail_beyond(0.0))).collect();
        let looks = self.looks_until_now();
        let needed = holm(&tails, measurement.confidence, |alpha| Look::level(&looks, alpha));
        let one = |at: usize| {
            let p50_ns = Samples::new(medians[at].iter().flatten().copied())?.median() as u64;
            let by = Criteria { confidence: needed[at], margin: measurement.margin, drift: 0.0 };
            let delta = ratios[at].as_ref().map(|ratio| Delta::new("", ratio, by));
            Some(SoFar {
                name: planned[at].name.clone(),
                p50_ns,
                ratio: delta.map(|d| (d.ratio, d.interval)),
                verdict: self.verdicts[at],
            })
        };
        (0..planned.len()).filter_map(one).collect()
    }
}
