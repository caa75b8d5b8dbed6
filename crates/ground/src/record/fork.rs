//! What one process of a variant told: all figures of runs are made of it.

use serde::{Deserialize, Serialize};

/// One process: its cold start and its rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fork {
    /// Which fork of the measurement it is, from 0: forks of one number were measured side by side. A variant that failed
    /// has none of some numbers. Null in older records, where it is the place in the list.
    #[serde(default)]
    pub number: Option<usize>,
    /// Whether it was started at the same time as the fork's others: they disturbed its load and its first run, which tables
    /// leave out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub started_together: bool,
    /// 0 where it isn't known, as the next two.
    pub load_ns: u64,
    pub optimise_ns: u64,
    pub first_run_ns: u64,
    /// Resident set when the model was loaded, and its high-water mark after the first run.
    #[serde(default)]
    pub loaded_rss_bytes: Option<u64>,
    #[serde(default)]
    pub first_run_rss_bytes: Option<u64>,
    /// Untimed runs until run times had settled, the first one not counted.
    #[serde(default)]
    pub warm_up_runs: Option<u32>,
    /// Whether they had: false where the patience for it ended first.
    #[serde(default)]
    pub settled: Option<bool>,
    pub peak_rss_bytes: Option<u64>,
    /// Since the process started.
    pub minor_faults: Option<u64>,
    pub involuntary_switches: Option<u64>,
    /// Of the plain turns alone, untimed runs included.
    #[serde(default)]
    pub in_turns: Option<InTurns>,
    /// `rounds[round][run]`: plain runs, ns.
    pub rounds: Vec<Vec<u64>>,
    /// Rounds of profiled runs: the index of the plain round each follows, and wall times, ns.
    pub profiled_rounds: Vec<ProfiledRound>,
    /// `ops_ns[op][run]`: the profiled runs' ops. Kept only where forks are missing, for who goes on from there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ops_ns: Vec<Vec<u64>>,
}

/// What disturbed a process in its plain turns, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InTurns {
    pub runs: u64,
    pub minor_faults: u64,
    pub involuntary_switches: u64,
}

impl std::ops::AddAssign for InTurns {
    fn add_assign(&mut self, more: Self) {
        self.runs += more.runs;
        self.minor_faults += more.minor_faults;
        self.involuntary_switches += more.involuntary_switches;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProfiledRound {
    pub round: usize,
    pub runs_ns: Vec<u64>,
    /// Of each run, the time before its first op and after its last one, ns.
    #[serde(default)]
    pub around_ns: Vec<[u64; 2]>,
}
