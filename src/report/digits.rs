//! How many digits a figure is worth: what the forks differ by in it says how far it may be off.

use super::types;
use crate::figures;
use crate::record::{Fork, Op, Record, Variant};
use crate::stats::{self, Samples};
use crate::units::{self, Scale};

/// How far a figure may be off of which each fork has one of its own; `None` where fewer than two have.
pub fn error(record: &Record, of_forks: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mean = stats::Mean::of(&Samples::new(of_forks)?);
    Some(mean.estimate(record.settings.confidence).interval?.half_width())
}

/// The variants' p50 and p90, in their order; `None` where there are none.
pub fn latencies(record: &Record, time: Scale) -> Vec<Option<[String; 2]>> {
    let forks = figures::steady(&record.variants);
    let of = |(variant, forks): (&Variant, Vec<Option<&Fork>>)| {
        let latency = variant.latency?;
        let shown = |ns: u64, share: f64| {
            let own = forks
                .iter()
                .flatten()
                .filter_map(|fork| Some(Samples::from_ns(fork.rounds.iter().flatten())?.quantile(share)));
            units::known_to(ns, error(record, own), time)
        };
        Some([shown(latency.p50_ns, 0.5), shown(latency.p90_ns, 0.9)])
    };
    record.variants.iter().zip(forks).map(of).collect()
}

/// Mean times of operators, all together.
#[derive(Clone, Debug, Default)]
pub struct Mean {
    pub ns: u64,
    /// The same of each fork; empty where not every operator has it of the same forks.
    of_forks: Vec<u64>,
}

impl Mean {
    pub fn of<'o>(ops: impl IntoIterator<Item = &'o Op>) -> Self {
        ops.into_iter().map(|op| Self { ns: op.mean_ns, of_forks: op.fork_mean_ns.clone() }).collect()
    }

    /// The same with a time that forks don't tell apart.
    pub fn and(self, ns: u64) -> Self {
        Self { ns: self.ns + ns, ..self }
    }

    /// The time in as many digits as it is worth.
    pub fn text(&self, record: &Record, time: Scale) -> String {
        match self.ns {
            0 => time.of_some(0),
            ns => units::known_to(ns, self.error(record), time),
        }
    }

    /// The share of the variant's profiled run; `None` if there was none.
    pub fn share(&self, record: &Record, variant: &Variant) -> Option<String> {
        Some(self.part(record, types::share(variant, self.ns)?))
    }

    /// A share that it is of something, in as many digits as the time is worth.
    pub fn part(&self, record: &Record, share: f64) -> String {
        let error = self.error(record).filter(|_| self.ns > 0);
        units::part_known_to(share, error.map(|error| error / self.ns as f64 * share))
    }

    fn error(&self, record: &Record) -> Option<f64> {
        error(record, self.of_forks.iter().map(|&ns| ns as f64))
    }
}

impl<M: std::borrow::Borrow<Mean>> FromIterator<M> for Mean {
    fn from_iter<I: IntoIterator<Item = M>>(means: I) -> Self {
        let mut means = means.into_iter();
        let Some(first) = means.next() else { return Self::default() };
        means.fold(first.borrow().clone(), |sum, mean| {
            let mean = mean.borrow();
            let same = sum.of_forks.len() == mean.of_forks.len();
            let both = sum.of_forks.iter().zip(&mean.of_forks).filter(|_| same);
            Self { ns: sum.ns + mean.ns, of_forks: both.map(|(a, b)| a + b).collect() }
        })
    }
}
