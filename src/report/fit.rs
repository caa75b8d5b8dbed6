//! Sections on one screen: what doesn't fit is left to the full report, and said to be.

use super::grid::Grid;
use super::section::{Part, Section};
use super::text;
use crate::units;

/// Lines of a screen that a sentence or a warning may take.
const LINES: usize = 3;

/// Lines that sections take, with the empty ones between them.
pub fn lines(sections: &[&Section]) -> usize {
    let of = |section: &&Section| section.parts.iter().map(taken).sum::<usize>();
    let all: Vec<usize> = sections.iter().map(of).filter(|&lines| lines > 0).collect();
    all.iter().sum::<usize>() + all.len().saturating_sub(1)
}

/// The section in so many lines at most. Sentences are cut, and of a table's rows and of sentences only the first ones are left;
/// how many more `noun` there are is said.
pub fn at_most(most: usize, noun: &str, section: Section) -> Section {
    let Section { heading, parts, tones } = section;
    let section = Section { heading, parts: parts.into_iter().map(short).collect(), tones };
    if lines(&[&section]) <= most {
        return section;
    }
    let mut fitted = Section { heading: section.heading, ..Section::plain() };
    let is_table = |part: &Part| matches!(part, Part::Table(_));
    let others = section.parts.iter().filter(|part| !is_table(part)).map(taken).sum::<usize>();
    // One line says what is left out.
    let (mut left, mut more) = (most.saturating_sub(1), 0);
    for (at, part) in section.parts.into_iter().enumerate() {
        if let Part::Table(mut grid) = part {
            more += cut(&mut grid, left.saturating_sub(others).max(left / 2));
            left = left.saturating_sub(taken_by(&grid));
            fitted = fitted.table(grid).lines(note(more, noun));
            more = 0;
        } else if taken(&part) <= left && more == 0 {
            left -= taken(&part);
            fitted.tones.extend(section.tones.get(&at).map(|&tone| (fitted.parts.len(), tone)));
            fitted.parts.push(part);
        } else {
            more += 1;
        }
    }
    let has_table = fitted.parts.iter().any(is_table);
    fitted.lines(note(more, noun).filter(|_| !has_table))
}

fn note(more: usize, noun: &str) -> Option<String> {
    (more > 0).then(|| format!("{}: oplat report shows them", units::count(more, &format!("more {noun}"))))
}

fn taken(part: &Part) -> usize {
    text::part(part).lines().count()
}

fn taken_by(grid: &Grid) -> usize {
    text::table(grid).lines().count()
}

/// A sentence that isn't too long.
fn short(part: Part) -> Part {
    match part {
        Part::Line(line) => Part::Line(text::cut(&line, LINES)),
        Part::Warning(line) => Part::Warning(text::cut(&line, LINES)),
        part => part,
    }
}

/// Leaves the first rows of a table, so that it takes so many lines; one row at least. Gives how many are gone.
fn cut(grid: &mut Grid, most: usize) -> usize {
    let rows = grid.len();
    let titles = taken_by(grid) - rows;
    grid.truncate(most.saturating_sub(titles).max(1));
    rows - grid.len()
}
