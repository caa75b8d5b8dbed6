//! How far a measurement is, and what is known by now: on standard error, and drawn only if that is a terminal.
//!
//! Drawn between turns and never by a thread of its own, which would disturb what is measured.

mod lab;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::note;
use crate::error::Error;
use crate::escape;
use crate::measure::{Progress, SoFar};
use crate::record::Verdict;
use crate::report::text;
use crate::units::{self, Scale};
use lab::{Lab, Many};

/// Steps of the bar.
const WHOLE: u64 = 1000;

/// Lines of variants below all bars: more would push them off the screen.
const LINES: usize = 16;

/// The bar, or only notes where nobody would see one.
pub fn on_stderr() -> Box<dyn Progress + Send> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::new(String::new(), &drawn(), LINES, None))
    } else {
        Box::new(Notes { name: String::new(), place: None })
    }
}

/// As [`on_stderr`], for several targets at once: what each has to say has its name in front. More of them than a screen has lines
/// have one bar together.
pub fn several(names: &[String]) -> Vec<Box<dyn Progress + Send>> {
    if let [_] = names {
        return vec![on_stderr()];
    }
    let lab = Arc::new(Lab::new(names));
    let bars = std::io::stderr().is_terminal().then(drawn);
    let height = height();
    let many = bars.as_ref().filter(|_| names.len() + 2 > height).map(|all| Many::new(&lab, all, height));
    let of = |(number, name): (usize, &String)| -> Box<dyn Progress + Send> {
        let (name, place) = (format!("{name}: "), Place { lab: lab.clone(), number });
        match (&many, &bars) {
            (Some(many), _) => Box::new(many.one(number)),
            (None, Some(bars)) => Box::new(Bar::new(name, bars, LINES / names.len(), Some(place))),
            (None, None) => Box::new(Notes { name, place: Some(place) }),
        }
    };
    names.iter().enumerate().map(of).collect()
}

/// Lines of the terminal.
fn height() -> usize {
    #[cfg(unix)]
    let known = rustix::termios::tcgetwinsize(std::io::stderr()).ok().map(|size| usize::from(size.ws_row));
    #[cfg(not(unix))]
    let known = None;
    known.filter(|&lines| lines > 0).unwrap_or(24)
}

/// Which of several targets it is.
struct Place {
    lab: Arc<Lab>,
    number: usize,
}

impl Place {
    /// Notes how it ended; gives the line about it.
    fn end(&self, how: Result<(), &Error>) -> String {
        self.lab.end(self.number, how)
    }
}

fn drawn() -> MultiProgress {
    MultiProgress::with_draw_target(ProgressDrawTarget::stderr())
}

struct Notes {
    /// In front of every line: nothing where there is only one target.
    name: String,
    place: Option<Place>,
}

impl Progress for Notes {
    fn ended(&mut self, how: Result<(), &Error>) {
        if let Some(line) = self.place.as_ref().map(|place| place.end(how)) {
            self.note(&line);
        }
    }

    fn note(&mut self, message: &str) {
        note(&format!("{}{message}", self.name));
    }
}

/// A bar with lines below it.
struct Frame {
    all: MultiProgress,
    bar: ProgressBar,
    lines: Vec<ProgressBar>,
}

impl Frame {
    fn new(all: &MultiProgress) -> Self {
        let bar = all.add(ProgressBar::new(WHOLE));
        if let Ok(style) = ProgressStyle::with_template("[{bar:24}] {wide_msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { all: all.clone(), bar, lines: vec![] }
    }

    fn set_done(&self, share: f64) {
        self.bar.set_position((share * WHOLE as f64) as u64);
    }

    fn set_message(&self, message: &str) {
        self.bar.set_message(escape::line(message).into_owned());
    }

    /// As many lines as there are to show.
    fn set_lines(&mut self, texts: Vec<String>) {
        while self.lines.len() < texts.len() {
            let last = self.lines.last().unwrap_or(&self.bar);
            let line = self.all.insert_after(last, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {wide_msg}") {
                line.set_style(style);
            }
            self.lines.push(line);
        }
        self.lines.drain(texts.len()..).for_each(|line| line.finish_and_clear());
        self.lines.iter().zip(texts).for_each(|(line, text)| line.set_message(text));
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.set_lines(vec![]);
        self.bar.finish_and_clear();
    }
}

struct Bar {
    /// With a line for each variant.
    frame: Frame,
    most_lines: usize,
    name: String,
    place: Option<Place>,
    fork: String,
    /// Whether it may end before its plan does.
    at_most: bool,
    told: Option<Told>,
}

impl Bar {
    fn new(name: String, all: &MultiProgress, most_lines: usize, place: Option<Place>) -> Self {
        let (frame, fork) = (Frame::new(all), String::new());
        Self { frame, most_lines, name, place, fork, at_most: false, told: None }
    }

    fn show(&self, what: &str) {
        let left = self.told.map_or_else(String::new, |told| {
            let (done, left) = told.after(told.at.elapsed(), self.at_most);
            self.frame.set_done(done);
            left
        });
        self.frame.set_message(&format!("{}{}", self.name, joined(&[&left, &self.fork, what])));
    }
}

/// The parts that say something.
fn joined(parts: &[&str]) -> String {
    let told: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    told.join(", ")
}

/// `fork 2 of 24`
fn fork_of(fork: usize, forks: usize, at_most: bool) -> String {
    let most = if at_most { " at most" } else { "" };
    format!("fork {fork} of {forks}{most}")
}

impl Progress for Bar {
    fn fork(&mut self, fork: usize, forks: usize) {
        self.fork = fork_of(fork, forks, self.at_most);
        self.show("");
    }

    fn phase(&mut self, what: &str) {
        self.show(what);
    }

    fn advance(&mut self, done: f64, left: Duration) {
        self.told = Some(Told::now(done, left));
    }

    fn may_end_early(&mut self) {
        self.at_most = true;
    }

    fn estimates(&mut self, variants: &[SoFar]) {
        self.frame.set_lines(lines(variants, self.most_lines));
    }

    fn note(&mut self, message: &str) {
        self.frame.bar.suspend(|| note(&format!("{}{message}", self.name)));
    }

    fn ended(&mut self, how: Result<(), &Error>) {
        if let Some(line) = self.place.as_ref().map(|place| place.end(how)) {
            self.note(&line);
        }
    }

    fn aside(&mut self, act: &mut dyn FnMut()) {
        self.frame.bar.suspend(act);
    }
}

/// How far it was when that was last told.
#[derive(Clone, Copy)]
struct Told {
    at: Instant,
    done: f64,
    left: Duration,
}

impl Told {
    fn now(done: f64, left: Duration) -> Self {
        Self { at: Instant::now(), done: done.clamp(0.0, 1.0), left }
    }

    /// The share that is done and what is left, so much later: the clock goes on while nothing is told.
    fn after(self, passed: Duration, at_most: bool) -> (f64, String) {
        let left = self.left.saturating_sub(passed);
        let gone = (self.left - left).as_secs_f64() / self.left.as_secs_f64().max(1e-9);
        let text = match left < Duration::from_secs(1) {
            true => "nearly done".to_owned(),
            false if at_most => format!("at most {} left", units::duration(left)),
            false => format!("about {} left", units::duration(left)),
        };
        (self.done + (1.0 - self.done) * gone, text)
    }
}

/// What is known of each variant, a line each: `mish, exported  312.6 ms  1.14 [1.11, 1.17]  slower`.
fn lines(variants: &[SoFar], most: usize) -> Vec<String> {
    let shown = if variants.len() > most { most.saturating_sub(1) } else { variants.len() };
    let time = Scale::time(variants.iter().map(|v| v.p50_ns).max().unwrap_or(0));
    let names: Vec<String> = variants[..shown].iter().map(|v| text::shorten(&v.name, 40)).collect();
    let widest = names.iter().map(|name| text::width(name)).max().unwrap_or(0);
    let line = |(variant, name): (&SoFar, &String)| {
        let gap = " ".repeat(widest - text::width(name));
        let ratio = variant.ratio.map(|(ratio, interval)| format!("  {}", units::ratio(ratio, interval)));
        let known = variant.verdict.map_or_else(String::new, |verdict| format!("  {}", known(verdict)));
        let (p50, ratio) = (time.text(variant.p50_ns), ratio.unwrap_or_default());
        format!("{name}{gap}  {p50:>7} {}{ratio}{known}", time.unit)
    };
    let lines = variants.iter().zip(&names).map(line);
    let rest = (variants.len() > shown && most > 0)
        .then(|| format!("and {} more", units::count(variants.len() - shown, "variant")));
    lines.chain(rest).collect()
}

/// A verdict while it is measured.
fn known(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Slower => "slower: known",
        Verdict::Faster => "faster: known",
        Verdict::None => "no difference: known",
        Verdict::Inconclusive => "still open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_goes_on_while_nothing_is_told() {
        let told = Told { at: Instant::now(), done: 0.2, left: Duration::from_secs(40) };
        let after = |seconds| told.after(Duration::from_secs(seconds), false);
        assert_eq!(after(0), (0.2, "about 40 s left".into()));
        let (done, text) = after(30);
        assert_eq!(text, "about 10 s left");
        assert!((done - 0.8).abs() < 1e-9, "{done}");
        assert_eq!(after(60), (1.0, "nearly done".into()));
        assert_eq!(told.after(Duration::from_secs(10), true).1, "at most 30 s left");
    }

    #[test]
    fn each_variant_has_a_line_with_its_estimate_and_its_interval() {
        let of = |name: &str, p50_ns, ratio| SoFar { name: name.into(), p50_ns, ratio, verdict: None };
        let known = |verdict, so_far| SoFar { verdict: Some(verdict), ..so_far };
        let variants = [
            of("original", 275_200_000, None),
            known(Verdict::Slower, of("mish, exported", 312_600_000, Some((1.14, Some([1.112, 1.17]))))),
            known(Verdict::Inconclusive, of("mish, kernel", 275_900_000, Some((1.002, Some([0.97, 1.03]))))),
            of("\u{1b}[2J", 90_000_000, Some((0.33, None))),
        ];
        assert_eq!(
            lines(&variants, 4),
            [
                "original          275.2 ms",
                "mish, exported    312.6 ms  1.14 [1.11, 1.17]  slower: known",
                "mish, kernel      275.9 ms  1.00 [0.97, 1.03]  still open",
                "\\u001b[2J          90.0 ms  0.330",
            ]
        );
        assert_eq!(lines(&variants, 2)[1..], ["and 3 variants more"]);
        assert!(lines(&variants, 0).is_empty() && lines(&[], 3).is_empty());
    }
}
