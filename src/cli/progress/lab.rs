//! Many targets on one screen: how many are done, how long the rest takes, and those that need a look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::MultiProgress;

use super::{Frame, Told, fork_of, joined};
use crate::cli::note;
use crate::error::{Error, Exit};
use crate::escape;
use crate::measure::Progress;
use crate::report::text;
use crate::units;

/// How often it is drawn at most.
const PAUSE: Duration = Duration::from_millis(100);

/// Lines of single targets below the bar.
const LINES: usize = 10;

/// How long a target may say nothing before it gets a line for that.
const SILENT: Duration = Duration::from_secs(30);

/// Targets that are still awaited, from when they are so few that each is named.
const FEW: usize = 3;

/// Several targets, and how far each is.
pub struct Lab {
    names: Vec<String>,
    targets: Mutex<Vec<One>>,
}

/// One target.
struct One {
    state: State,
    /// What it does: `fork 2 of 24, round 1 of 5`.
    doing: String,
    told: Option<Told>,
    at_most: bool,
    /// When it last said something.
    heard: Instant,
}

enum State {
    /// It is being reached.
    Waiting,
    Measuring,
    Done,
    /// Why it has no more to give, or never had.
    Failed(Error),
}

impl Lab {
    pub fn new(names: &[String]) -> Self {
        let one = |_: &String| One {
            state: State::Waiting,
            doing: "waiting".into(),
            told: None,
            at_most: false,
            heard: Instant::now(),
        };
        Self { targets: Mutex::new(names.iter().map(one).collect()), names: names.to_vec() }
    }

    /// Notes how a target ended. Gives the line about it, which names those that are still awaited once they are few.
    pub fn end(&self, number: usize, how: Result<(), &Error>) -> String {
        let mut targets = self.targets();
        let (state, how) = match how {
            Ok(()) => (State::Done, "done".to_owned()),
            Err(error) => (State::Failed(error.clone()), format!("{}: {error}", word(error))),
        };
        targets[number].state = state;
        let left: Vec<&str> = self
            .names
            .iter()
            .zip(&*targets)
            .filter(|(_, t)| t.is_awaited())
            .map(|(n, _)| n.as_str())
            .collect();
        let awaited = match left.len() {
            1..=FEW => format!("; awaited: {}", left.join(", ")),
            _ => String::new(),
        };
        format!("{how} ({} of {}{awaited})", targets.len() - left.len(), targets.len())
    }

    fn targets(&self) -> MutexGuard<'_, Vec<One>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The share that is done, and all in one line: `100 targets: 62 done, 35 measuring, 3 lost; about 4 min left (slowest:
    /// board7)`.
    fn summary(&self, now: Instant) -> (f64, String) {
        let targets = self.targets();
        let words = targets.iter().map(One::word);
        let count = |word: &str| words.clone().filter(|one| *one == word).count();
        let counts = ["done", "measuring", "waiting", "lost", "failed"].map(|word| (count(word), word));
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let slowest = targets
            .iter()
            .zip(&self.names)
            .filter_map(|(one, name)| Some((one.left(now)?, one.at_most, name)));
        let left = slowest.max().filter(|(left, ..)| *left >= Duration::from_secs(1));
        let left = left.map_or_else(String::new, |(left, at_most, name)| {
            let about = if at_most { "at most" } else { "about" };
            format!("; {about} {} left (slowest: {name})", units::duration(left))
        });
        let share = targets.iter().map(|one| one.share(now)).sum::<f64>() / targets.len().max(1) as f64;
        (share, format!("{}: {}{left}", units::count(targets.len(), "target"), counts.join(", ")))
    }

    /// A line for each of so many targets: first those that failed, then those that are silent, then those that take longest.
    fn lines(&self, most: usize, now: Instant) -> Vec<String> {
        let targets = self.targets();
        let silent =
            |one: &One| Some(now.saturating_duration_since(one.heard)).filter(|silent| *silent >= SILENT);
        let failed = targets.iter().enumerate().filter(|(_, one)| matches!(one.state, State::Failed(_)));
        let mut awaited: Vec<(usize, &One)> =
            targets.iter().enumerate().filter(|(_, one)| one.is_awaited()).collect();
        awaited.sort_by_key(|(_, one)| std::cmp::Reverse((silent(one), one.left(now))));
        // Of many that failed, the last lines are for the others all the same.
        let shares = failed.clone().count().min(most.div_ceil(2).max(most.saturating_sub(awaited.len())));
        let shown: Vec<(usize, &One)> = failed.take(shares).chain(awaited).take(most).collect();
        let names: Vec<String> =
            shown.iter().map(|(number, _)| text::shorten(&self.names[*number], 30)).collect();
        let widest = names.iter().map(|name| text::width(name)).max().unwrap_or(0);
        let line = |((_, one), name): (&(usize, &One), &String)| {
            let what = match (&one.state, silent(one)) {
                (State::Failed(error), _) => format!("{}: {error}", word(error)),
                (_, Some(silent)) => format!("nothing new for {}: {}", units::duration(silent), one.doing),
                (_, None) => {
                    let left = one
                        .told
                        .map(|told| told.after(now.saturating_duration_since(told.at), one.at_most).1);
                    joined(&[left.as_deref().unwrap_or_default(), &one.doing])
                }
            };
            let gap = " ".repeat(widest - text::width(name));
            format!("{name}{gap}  {}", escape::line(&what))
        };
        shown.iter().zip(&names).map(line).collect()
    }
}

impl One {
    fn is_awaited(&self) -> bool {
        matches!(self.state, State::Waiting | State::Measuring)
    }

    fn word(&self) -> &'static str {
        match &self.state {
            State::Waiting => "waiting",
            State::Measuring => "measuring",
            State::Done => "done",
            State::Failed(error) => word(error),
        }
    }

    /// About how long it still takes, where that is known.
    fn left(&self, now: Instant) -> Option<Duration> {
        let told = self.told.filter(|_| self.is_awaited())?;
        Some(told.left.saturating_sub(now.saturating_duration_since(told.at)))
    }

    fn share(&self, now: Instant) -> f64 {
        match (&self.state, self.told) {
            (State::Done | State::Failed(_), _) => 1.0,
            (_, Some(told)) => told.after(now.saturating_duration_since(told.at), self.at_most).0,
            (_, None) => 0.0,
        }
    }
}

/// What became of a target that ended so.
fn word(error: &Error) -> &'static str {
    if error.exit == Exit::Lost { "lost" } else { "failed" }
}

/// One bar for all targets, and lines for some.
pub struct Many {
    lab: Arc<Lab>,
    drawn: Arc<Mutex<Drawn>>,
}

struct Drawn {
    frame: Frame,
    most_lines: usize,
    last: Option<Instant>,
}

impl Many {
    pub fn new(lab: &Arc<Lab>, all: &MultiProgress, height: usize) -> Self {
        let most_lines = LINES.min(height.saturating_sub(2));
        let drawn = Drawn { frame: Frame::new(all), most_lines, last: None };
        Self { lab: lab.clone(), drawn: Arc::new(Mutex::new(drawn)) }
    }

    /// What one of the targets tells.
    pub fn one(&self, number: usize) -> OneOfMany {
        OneOfMany { lab: self.lab.clone(), drawn: self.drawn.clone(), number, fork: String::new() }
    }
}

pub struct OneOfMany {
    lab: Arc<Lab>,
    drawn: Arc<Mutex<Drawn>>,
    number: usize,
    fork: String,
}

impl OneOfMany {
    fn drawn(&self) -> MutexGuard<'_, Drawn> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known of the target, and draws all of them again if that was a while ago.
    fn change(&self, change: impl FnOnce(&mut One)) {
        let now = Instant::now();
        if let Some(one) = self.lab.targets().get_mut(self.number) {
            one.heard = now;
            change(one);
        }
        let mut drawn = self.drawn();
        if drawn.last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return;
        }
        drawn.last = Some(now);
        let (share, summary) = self.lab.summary(now);
        let lines = self.lab.lines(drawn.most_lines, now);
        drawn.frame.set_done(share);
        drawn.frame.set_message(&summary);
        drawn.frame.set_lines(lines);
    }
}

impl Progress for OneOfMany {
    fn fork(&mut self, fork: usize, forks: usize) {
        let number = (fork, forks);
        let mut text = String::new();
        self.change(|one| {
            one.state = State::Measuring;
            text = fork_of(number.0, number.1, one.at_most);
            one.doing.clone_from(&text);
        });
        self.fork = text;
    }

    fn phase(&mut self, what: &str) {
        self.change(|one| one.doing = joined(&[&self.fork, what]));
    }

    fn advance(&mut self, done: f64, left: Duration) {
        self.change(|one| one.told = Some(Told::now(done, left)));
    }

    fn may_end_early(&mut self) {
        self.change(|one| one.at_most = true);
    }

    fn note(&mut self, message: &str) {
        let line = format!("{}: {message}", self.lab.names[self.number]);
        self.aside(&mut || note(&line));
    }

    /// Those that are done are seen in the bar.
    fn ended(&mut self, how: Result<(), &Error>) {
        let line = self.lab.end(self.number, how);
        if how.is_err() {
            self.note(&line);
        }
        self.drawn().last = None;
        self.change(|_| {});
    }

    fn aside(&mut self, act: &mut dyn FnMut()) {
        self.drawn().frame.bar.suspend(act);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 targets of which the first are done, the last wait, and three are lost; the rest takes ever longer.
    fn lab() -> (Lab, Instant) {
        let names: Vec<String> = (0..100).map(|number| format!("board{number}")).collect();
        let lab = Lab::new(&names);
        let now = Instant::now();
        for number in 0..62 {
            lab.end(number, Ok(()));
        }
        for number in 62..65 {
            lab.end(number, Err(&Error::lost("worker \u{1b}[2J died")));
        }
        for (number, one) in lab.targets().iter_mut().enumerate().skip(65).take(30) {
            let left = Duration::from_secs(60 + number as u64);
            (one.state, one.told) = (State::Measuring, Some(Told { at: now, done: 0.5, left }));
            one.doing = "fork 3 of 24".into();
        }
        lab.targets().iter_mut().for_each(|one| one.heard = now);
        (lab, now)
    }

    #[test]
    fn a_hundred_targets_are_one_line() {
        let (lab, now) = lab();
        let (share, line) = lab.summary(now);
        assert_eq!(
            line,
            "100 targets: 62 done, 30 measuring, 5 waiting, 3 lost; about 2 min 34 s left (slowest: board94)"
        );
        assert!((share - 0.8).abs() < 1e-9, "{share}");
        lab.targets()[94].at_most = true;
        let (_, line) = lab.summary(now + Duration::from_secs(100));
        assert!(line.ends_with("; at most 54 s left (slowest: board94)"), "{line}");
    }

    #[test]
    fn the_lines_are_of_those_that_need_a_look() {
        let (lab, now) = lab();
        lab.targets()[99].heard = now.checked_sub(Duration::from_secs(90)).expect("a time");
        let lines = lab.lines(6, now);
        assert_eq!(
            lines,
            [
                "board62  lost: worker \\u001b[2J died",
                "board63  lost: worker \\u001b[2J died",
                "board64  lost: worker \\u001b[2J died",
                "board99  nothing new for 90 s: waiting",
                "board94  about 2 min 34 s left, fork 3 of 24",
                "board93  about 2 min 33 s left, fork 3 of 24",
            ]
        );
        assert!(lab.lines(0, now).is_empty());
        assert_eq!(lab.lines(200, now).len(), 38, "those that are done need none");
    }

    #[test]
    fn a_line_at_each_end_names_the_last_that_are_awaited() {
        let names = ["a", "b", "c", "d", "e"].map(String::from);
        let lab = Lab::new(&names);
        assert_eq!(lab.end(0, Ok(())), "done (1 of 5)");
        assert_eq!(lab.end(3, Err(&Error::lost("gone"))), "lost: gone (2 of 5; awaited: b, c, e)");
        assert_eq!(lab.end(1, Err(&Error::input("no"))), "failed: no (3 of 5; awaited: c, e)");
        lab.end(2, Ok(()));
        assert_eq!(lab.end(4, Ok(())), "done (5 of 5)");
    }
}
