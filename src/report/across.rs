//! Devices side by side: what each variant is over all of them, then one table of variants by devices, those of one SoC together,
//! every ratio to that device's own original.

use super::fit;
use super::grid::{Grid, UNKNOWN, known};
use super::section::{Section, Tone};
use super::text::{self, PAGE, shorten};
use super::variants;
use crate::compare::across::{Across, Contradiction, OnDevice, Over, Unit, Variant, Why};
use crate::compare::distinct;
use crate::record::Role;
use crate::units;

/// What the first line has, of such a report alone.
pub const BEGINS: &str = ", each against its own original. ";
/// With more devices than that, their records' own tables are shown only if they are asked for.
pub const MANY: usize = 6;
/// Rows of a table at a glance.
const ROWS: usize = 14;
/// Variants that are told in a sentence each, at a glance.
const SENTENCES: usize = 4;
/// Columns that the name of a SoC, a device or a variant takes at most.
const NAME: usize = 20;

/// All of it; at a glance what fits one screen.
pub fn sections(across: &Across, at_a_glance: bool) -> Vec<Section> {
    let found = found(across, at_a_glance);
    let asides = asides(across);
    let asides = if at_a_glance { fit::at_most(6, "remark", asides) } else { asides };
    std::iter::once(found).chain(tables(across, at_a_glance)).chain([asides]).collect()
}

/// A sentence for each variant, and the devices that contradict the rest.
fn found(across: &Across, at_a_glance: bool) -> Section {
    let devices = match across.socs {
        // The only one may not be known.
        1 if across.devices.iter().all(|device| device.soc.is_none()) => {
            units::count(across.devices.len(), "device")
        }
        1 => units::count(across.devices.len(), "device") + " of one SoC",
        socs => format!("{} of {}", units::count(across.devices.len(), "device"), units::count(socs, "SoC")),
    };
    let mut section = Section::plain().line(devices + BEGINS + &rests_on(across));
    let told: Vec<&Variant> = told(across).collect();
    let most = if at_a_glance { SENTENCES } else { told.len() };
    for variant in told.iter().take(most) {
        section = match &variant.over {
            Some(over) => section.toned(sentence(&variant.label, over), tone(over)),
            None => section.line(format!(
                "{}: fewer than two devices count, so that nothing is said over them.",
                variant.label
            )),
        };
    }
    if told.len() > most {
        let more = units::count(told.len() - most, "more variant");
        section = section.line(format!("{more}: --detail tells them"));
    }
    let all = across.variants.iter().flat_map(|v| v.contradictions.iter().map(move |c| (v, c)));
    section.warnings(all.map(|(variant, one)| contradiction(variant, one)))
}

/// What intervals rest on, where devices share a SoC.
fn rests_on(across: &Across) -> String {
    let confidence = units::percent(across.confidence).trim_end_matches(".0").to_owned();
    let unit = match across.variants.iter().filter_map(|v| v.over).map(|over| over.unit).next() {
        Some(Unit::Soc) if across.socs < across.devices.len() => {
            " Devices of one SoC are alike: over all, each SoC counts once."
        }
        _ => "",
    };
    format!("{confidence}% sure of each interval over devices.{unit}")
}

/// Variants that are worth a sentence: not the control, and not what has nothing to be compared with.
fn told(across: &Across) -> impl Iterator<Item = &Variant> {
    let has_ratio = |v: &&Variant| v.on.iter().flatten().any(|on| on.delta.is_some());
    across.variants.iter().filter(|v| v.role != Role::Control).filter(has_ratio)
}

fn tone(over: &Over) -> Option<Tone> {
    match over.interval? {
        [low, _] if low > 1.0 => Some(Tone::Bad),
        [_, high] if high < 1.0 => Some(Tone::Good),
        _ => Some(Tone::Open),
    }
}

/// An interval wider than that, from end to end as a factor, says nothing.
const BLIND: f64 = 10.0;

/// `mish over 7 devices: 1.12 times as long (1.08 to 1.16 on average); another device: 0.98 to 1.28; …`
fn sentence(label: &str, over: &Over) -> String {
    let over_what = match over.unit {
        Unit::Device => units::count(over.devices, "device"),
        Unit::Soc if over.units == over.devices => units::count(over.devices, "device"),
        Unit::Soc => {
            format!("{} of {}", units::count(over.devices, "device"), units::count(over.units, "SoC"))
        }
    };
    let seen = |interval: Option<[f64; 2]>| interval.filter(|[low, high]| high / low < BLIND);
    let average = match seen(over.interval) {
        Some([low, high]) => {
            let [ratio, low, high] = units::factors([over.ratio, low, high]);
            format!("{ratio} times as long ({low} to {high} on average)")
        }
        None => format!("{} times as long (no interval that tells anything)", units::ratio(over.ratio, None)),
    };
    let few = || format!("two {} are few: nothing is said of another one", plural(over));
    let another = match (over.another, seen(over.another)) {
        (None, _) if over.units == 2 => few(),
        (_, None) => "another device: anything".to_owned(),
        (_, Some([low, high])) => {
            let [_, low, high] = units::factors([over.ratio, low, high]);
            let which = match over.unit {
                Unit::Device => "another device of this SoC",
                Unit::Soc if over.units == over.devices => "another device",
                Unit::Soc => "a device of another SoC",
            };
            format!("{which}: {low} to {high}")
        }
    };
    format!("{label} over {over_what}: {average}; {another}; {}.", spread(over))
}

/// How much devices differ, and how much of it is measurement.
fn spread(over: &Over) -> String {
    let by = |share: f64| match share {
        none if none < 0.0005 => "no more than measurements scatter".to_owned(),
        share => format!("by {}%", units::percent(share)),
    };
    let within = over.within.map_or(String::new(), |within| format!(", devices of one SoC {}", by(within)));
    let again = match over.again {
        none if none < 0.0005 => "less than 0.05".to_owned(),
        share => units::percent(share),
    };
    format!("{} differ {}{within}, repeated measurements on one by {again}%", plural(over), by(over.between))
}

/// What is independent.
fn plural(over: &Over) -> &'static str {
    match over.unit {
        Unit::Soc if over.units < over.devices => "SoCs",
        _ => "devices",
    }
}

fn contradiction(variant: &Variant, one: &Contradiction) -> String {
    let [here, others] = [one.ratio, one.others].map(units::times);
    let who = match one.unit {
        Unit::Device => one.who.clone(),
        Unit::Soc => format!("devices of {}", one.who),
    };
    let verb = if one.unit == Unit::Soc { "contradict" } else { "contradicts" };
    match one.why {
        Why::Opposite => format!(
            "{who} {verb} the rest: there {} is {} ({here} times as long), over all it is {others} times as long",
            variant.label,
            if one.ratio > 1.0 { "slower" } else { "faster" },
        ),
        Why::Outside => format!(
            "{who} {verb} the rest: there {} takes {here} times as long, on the others{} {others}, which differ less among themselves",
            variant.label,
            if one.of_its_soc { " of this SoC" } else { "" },
        ),
    }
}

/// Variants by devices, or where that is too wide, devices by variants.
fn tables(across: &Across, at_a_glance: bool) -> Vec<Section> {
    let key = "original: p50 of whole runs; others: ratio to the same device's own original";
    if across.devices.len() <= MANY {
        let grid = by_columns(across);
        if natural(&grid) <= PAGE {
            return vec![Section::plain().table(grid).line(key)];
        }
    }
    let variants: Vec<&Variant> = across.variants.iter().collect();
    let mut rest = variants.as_slice();
    let mut tables = vec![];
    while !rest.is_empty() {
        let fits =
            (1..=rest.len()).rev().find(|&n| natural(&by_rows(across, &rest[..n], at_a_glance)) <= PAGE);
        let (band, more) = rest.split_at(fits.unwrap_or(1));
        let mut section = Section::plain();
        let mut grid = by_rows(across, band, at_a_glance);
        let rows = grid.len();
        if at_a_glance && rows > ROWS {
            grid.truncate(ROWS);
            section = section
                .table(grid)
                .line(format!("{}: --detail shows them", units::count(rows - ROWS, "more row")));
        } else {
            section = section.table(grid);
        }
        tables.push(section);
        rest = more;
        if at_a_glance && !rest.is_empty() {
            let more = units::count(rest.len(), "more variant");
            tables.push(Section::plain().line(format!("{more}: --detail shows them")));
            break;
        }
    }
    tables.push(
        Section::plain().line(format!("{key}, ± half of its interval; of a SoC, the mean of its devices")),
    );
    tables
}

/// One row a variant, one column a device.
fn by_columns(across: &Across) -> Grid {
    let titles = across.devices.iter().map(|device| {
        let soc = shorten(device.soc.as_deref().unwrap_or_default(), NAME);
        format!("{soc}\n{}", shorten(&device.name, NAME))
    });
    let mut grid = titles.fold(Grid::new().name("variant"), |grid, title| grid.number(&title));
    for variant in &across.variants {
        let cells = variant.on.iter().map(|on| match on {
            Some(OnDevice { delta: Some(delta), .. }) => variants::ratio(delta),
            on => original(on),
        });
        grid.row(std::iter::once(variant.label.clone()).chain(cells));
    }
    grid
}

/// One row a device, those of one SoC below what they are together. At a glance, many devices of one SoC are only told together.
fn by_rows(across: &Across, band: &[&Variant], at_a_glance: bool) -> Grid {
    let titles = band.iter().map(|variant| shorten(&variant.label, NAME));
    let grid = Grid::new().name("SoC").name("device");
    let mut grid = titles.fold(grid, |grid, title| grid.number(&title.replacen(", ", "\n", 1)));
    let short = at_a_glance && across.devices.len() > ROWS && across.socs > 1;
    for group in 0..across.socs {
        let of_it: Vec<usize> =
            (0..across.devices.len()).filter(|&at| across.devices[at].group == group).collect();
        let Some(first) = of_it.first().map(|&at| &across.devices[at]) else { continue };
        let mut soc = shorten(first.soc.as_deref().unwrap_or(UNKNOWN), NAME);
        if of_it.len() > 1 {
            let all = units::count(of_it.len(), "device");
            let cells = band.iter().map(|variant| together(across, variant, group));
            grid.row([std::mem::take(&mut soc), all].into_iter().chain(cells));
            if short {
                continue;
            }
        }
        for at in of_it {
            let cells = band.iter().map(|variant| on_device(&variant.on[at]));
            let name = shorten(&across.devices[at].name, NAME);
            grid.row([std::mem::take(&mut soc), name].into_iter().chain(cells));
        }
    }
    grid
}

/// What the devices of a SoC show together.
fn together(across: &Across, variant: &Variant, group: usize) -> String {
    let of_soc = variant.by_soc.iter().find(|of_soc| of_soc.group == group).map(|of_soc| of_soc.over);
    let over = of_soc.or_else(|| variant.over.filter(|_| across.socs == 1));
    known(over, |over| with_half(over.ratio, over.interval))
}

fn on_device(on: &Option<OnDevice>) -> String {
    match on {
        Some(OnDevice { delta: Some(delta), .. }) => with_half(delta.ratio, delta.interval),
        on => original(on),
    }
}

fn original(on: &Option<OnDevice>) -> String {
    match on {
        None => String::new(),
        Some(OnDevice { failed: true, .. }) => "failed".into(),
        Some(on) => known(on.p50_ns, units::time),
    }
}

/// `1.15 ±0.10`
fn with_half(ratio: f64, interval: Option<[f64; 2]>) -> String {
    let Some([low, high]) = interval else { return format!("{} ±?", units::times(ratio)) };
    if high / low >= BLIND {
        return "inconclusive".into();
    }
    let [text, ..] = units::factors([ratio, low, high]);
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    format!("{text} ±{:.decimals$}", (high - low) / 2.0)
}

/// The columns that a table takes if no name gives way.
fn natural(grid: &Grid) -> usize {
    let shown = grid.shown();
    let of = |(at, column): (usize, &&super::grid::Column)| {
        let titles = column.title.lines().map(text::width);
        titles.chain(shown.rows.iter().map(|row| text::width(row[at]))).max().unwrap_or(0) + 2
    };
    shown.columns.iter().enumerate().map(of).sum::<usize>().saturating_sub(2)
}

/// Names that a line has.
const NAMED: usize = 4;

/// What is not counted, what is not the same everywhere, and which records are one device.
fn asides(across: &Across) -> Section {
    let key = |left: &crate::compare::across::LeftOut| (left.variant.clone(), left.why.clone());
    let left_out = distinct(across.left_out.iter().map(key)).into_iter().map(|(variant, why)| {
        let of_it = across.left_out.iter().filter(|left| key(left) == (variant.clone(), why.clone()));
        let names: Vec<&str> = of_it.map(|left| left.what.as_str()).collect();
        let more = names.len().saturating_sub(NAMED);
        let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let what = variant.map_or(String::new(), |variant| format!("{variant} on "));
        format!("left out: {what}{named}{more}: {why}")
    });
    let differ = across.differences.iter().map(|unlike| {
        let values =
            unlike.values.iter().map(|(value, n)| format!("{value} ({})", units::count(*n, "record")));
        format!("not the same everywhere: {} is {}", unlike.what, values.collect::<Vec<_>>().join(", "))
    });
    let some = across.variants.iter().filter(|v| v.on.iter().any(Option::is_none)).map(|variant| {
        let on = variant.on.iter().flatten().count();
        format!("{} is on {} of {} devices only", variant.label, on, variant.on.len())
    });
    // First what may make all of it untrue.
    let notes = across.notes.iter().cloned();
    Section::plain().warnings(notes).lines(left_out.chain(some)).warnings(differ)
}

#[cfg(test)]
mod tests {
    use super::with_half;

    #[test]
    fn what_says_nothing_has_no_digits() {
        assert_eq!(with_half(1.15, Some([1.14, 1.16])), "1.150 ±0.010");
        assert_eq!(with_half(1.15, Some([1.05, 1.25])), "1.15 ±0.10");
        assert_eq!(with_half(0.004, Some([0.0001, 0.16])), "inconclusive");
        assert_eq!(with_half(1.15, None), "1.15 ±?");
    }
}
