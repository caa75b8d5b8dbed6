//! How long runs take, as far as it is known, and which variant ran last.

use std::time::Duration;

use crate::measure::Measurement;

/// The least that loads and first runs may take, of which nothing is known.
const LEAST: Duration = Duration::from_secs(60);

/// What an exchange may take beside the runs.
const BESIDE: Duration = Duration::from_secs(10);

/// How many times its usual time a run may take.
const SLOWER: u32 = 20;

pub struct Pace {
    /// How long a run of each variant takes.
    runs: Vec<Option<Duration>>,
    /// The variant that ran last, whose data may be in the caches.
    last: Option<usize>,
    /// How long loads and first runs may take.
    unknown: Duration,
}

impl Pace {
    pub fn new(measurement: &Measurement) -> Self {
        Self {
            runs: vec![None; measurement.variants.len()],
            last: None,
            unknown: measurement.time.max(LEAST),
        }
    }

    /// Notes how long a first run took, unless more is known.
    pub fn note_first(&mut self, variant: usize, run: Duration) {
        self.runs[variant].get_or_insert(run);
    }

    /// Notes how long a run takes now.
    pub fn note(&mut self, variant: usize, run: Option<Duration>) {
        self.runs[variant] = run;
    }

    /// How long a run of each of these variants takes, where it is known.
    pub fn runs(&self, variants: &[usize]) -> Vec<Duration> {
        variants.iter().filter_map(|&variant| self.runs[variant]).collect()
    }

    pub fn ran_last(&self, variant: usize) -> bool {
        self.last == Some(variant)
    }

    pub fn set_last(&mut self, variant: usize) {
        self.last = Some(variant);
    }

    /// How long to wait for so many runs: far longer than they should take. `runs` is 0 for loads and first runs.
    pub fn patience(&self, variant: usize, runs: u32) -> Duration {
        match self.runs[variant] {
            Some(run) if runs > 0 => BESIDE + run * SLOWER * (runs + 1),
            _ => self.unknown,
        }
    }
}
