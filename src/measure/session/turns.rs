//! The rounds of a fork: a turn of every variant, plain or profiled.

use std::time::Duration;

use super::{Session, Stop, share};
use crate::measure::Only;
use crate::measure::client::{ClientError, WorkerClient};
use crate::measure::plan::{self, Schedule, Turns};
use crate::record::ProfiledRound;
use crate::stats::Samples;

impl Session<'_, '_> {
    /// The rounds of a fork. What they took is what later ones are planned by.
    pub(super) fn rounds(
        &mut self,
        fork: usize,
        schedule: Schedule,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<(), Stop> {
        self.raw.order.push(vec![]);
        let runs = self.raw.runs_per_turn;
        let mut one_run = vec![];
        for round in 0..schedule.rounds {
            self.progress.phase(&format!("round {} of {}", round + 1, schedule.rounds));
            let turns = match self.measurement.only {
                Only::Latency => Turns::Plain,
                _ => schedule.turns(fork, round),
            };
            let began = self.clock.elapsed();
            self.round(turns, fork, round, clients)?;
            let now = self.clock.elapsed();
            let profiled = if turns == Turns::Plain { 0 } else { plan::profiled_runs(runs) };
            let all_runs = runs + plan::untimed_runs(runs) + profiled;
            one_run.push((now - began).as_secs_f64() / f64::from(all_runs));
            let left = self.budget.left(schedule, round + 1);
            self.progress.advance(share(now, left), left);
            // Then after each fork: it takes a moment, and forks are what intervals are made of.
            if round == 0 && self.budget.is_first(fork) {
                self.tell_estimates();
            }
        }
        self.tell_estimates();
        // The median: a round that waited for a hanging worker says nothing of those to come.
        if let Some(run) = Samples::new(one_run).map(|s| s.median()) {
            self.budget.note_turns(Duration::from_secs_f64(run), runs);
        }
        Ok(())
    }

    /// One turn of every variant, in random order.
    fn round(
        &mut self,
        turns: Turns,
        fork: usize,
        round: usize,
        clients: &mut Vec<WorkerClient>,
    ) -> Result<(), Stop> {
        let variants: Vec<usize> = clients.iter().map(|client| client.variant).collect();
        let order = plan::order(self.measurement.load.seed, fork, round, &variants);
        self.raw.order[fork].push(order.clone());
        self.each(clients, Some(&order), |session, client| match turns {
            Turns::Plain => session.plain_turn(client),
            Turns::PlainThenProfiled => {
                session.plain_turn(client)?;
                session.profiled_turn(client, round)
            }
            Turns::ProfiledThenPlain => {
                session.profiled_turn(client, round)?;
                session.plain_turn(client)
            }
        })
    }

    fn plain_turn(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let (variant, runs) = (client.variant, self.raw.runs_per_turn);
        // Of a slow model, a round may take half a minute.
        if runs == 1 {
            self.progress.phase(&format!("running {}", self.measurement.variants[variant].name));
        }
        let warm = self.is_warm(variant);
        let answer = client.turn(runs, warm, self.patience(variant, runs))?;
        if let Some(raw) = self.raw.newest_fork(variant) {
            raw.note_usage(&answer);
            if let Some(more) = answer.in_turn {
                *raw.fork.in_turns.get_or_insert_default() += more;
            }
            raw.fork.rounds.push(answer.runs_ns);
        }
        Ok(())
    }

    fn profiled_turn(&mut self, client: &mut WorkerClient, round: usize) -> Result<(), ClientError> {
        let (variant, runs) = (client.variant, plan::profiled_runs(self.raw.runs_per_turn));
        let warm = self.is_warm(variant);
        if !client.has_ops() {
            self.describe(client)?;
        }
        // The engine may have to load the model once more for it.
        let apart = self.raw.newest_fork(variant).is_some_and(|raw| raw.profiled_apart);
        let loading = if apart { self.patience(variant, 0) } else { Duration::ZERO };
        let patience = self.patience(variant, runs) + loading;
        let Some(profile) = client.profile(runs, warm, patience)? else { return Ok(()) };
        if let Some(raw) = self.raw.newest_fork(variant) {
            let (runs_ns, around_ns) = (profile.runs_ns, profile.around_ns);
            raw.fork.profiled_rounds.push(ProfiledRound { round, runs_ns, around_ns });
            raw.ops_ns.iter_mut().zip(profile.ops_ns).for_each(|(all, new)| all.extend(new));
        }
        Ok(())
    }

    /// Asks what the engine makes of the model, where it tells that only now.
    pub(super) fn describe(&mut self, client: &mut WorkerClient) -> Result<(), ClientError> {
        let variant = client.variant;
        let Some(described) = client.describe(self.patience(variant, 0))? else { return Ok(()) };
        let raw = &mut self.raw.variants[variant];
        let ops = described.ops.len();
        raw.describe(described).map_err(ClientError::Other)?;
        if let Some(fork) = self.raw.newest_fork(variant) {
            fork.ops_ns = vec![vec![]; ops];
            fork.profiled_apart = true;
        }
        Ok(())
    }

    /// Whether the variant, which runs now, needs no untimed run before its turn.
    fn is_warm(&mut self, variant: usize) -> bool {
        let warm = self.pace.ran_last(variant) || plan::untimed_runs(self.raw.runs_per_turn) == 0;
        self.pace.set_last(variant);
        warm
    }
}
