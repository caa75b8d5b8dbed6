//! The page of what devices show together, and its drawings on a page of several records.

use super::markup::Html;
use super::page::{Page, beside, figure};
use super::ratios::estimate;
use super::sections;
use crate::compare::across::{Across, Over, Variant};
use crate::plot::{Estimate, Forest};
use crate::record::Margin;
use crate::report::section::Section;
use crate::report::{across as tables, text};
use crate::units;

/// Variants that are drawn, and devices that are drawn one by one; of more, SoCs are drawn.
const DRAWN: usize = 8;
const DEVICES: usize = 40;

pub fn page(across: &Across) -> String {
    let mut models: Vec<&str> = across.variants.iter().map(|v| v.model.as_str()).collect();
    models.dedup();
    let title = format!("{} on {}", models.join(" and "), units::count(across.devices.len(), "device"));
    let head =
        Section::plain().line("What each variant is over all devices. --detail adds a part for each record.");
    let mut page = Page::new(text::shorten(&title, 90), sections::section(&head, false));
    page.section("Across devices", [inside(across)]);
    page.finish()
}

/// What is said, and the plots.
pub fn inside(across: &Across) -> Html {
    let told = sections::sections(&tables::sections(across, false), false);
    let has_ratio = |v: &&Variant| v.on.iter().flatten().any(|on| on.delta.is_some());
    let drawn = across.variants.iter().filter(has_ratio).take(DRAWN).enumerate();
    [told, beside(drawn.map(|(at, variant)| forest(across, variant, at)))].into_iter().collect()
}

/// A variant's ratio by device, and over them.
fn forest(across: &Across, variant: &Variant, at: usize) -> Html {
    let title = format!("{} by device", variant.label);
    let mut rows: Vec<Estimate> = vec![];
    if across.devices.len() <= DEVICES {
        for (device, on) in across.devices.iter().zip(&variant.on) {
            let Some(delta) = on.as_ref().and_then(|on| on.delta.as_ref()) else { continue };
            let soc =
                device.soc.as_ref().map_or(String::new(), |soc| format!(" ({})", text::shorten(soc, 30)));
            rows.push(estimate(format!("{}{soc}", device.name), Some(delta)));
        }
    }
    for of_soc in &variant.by_soc {
        let name = format!("{}, {}", of_soc.soc, units::count(of_soc.over.devices, "device"));
        rows.push(row(name, &of_soc.over, of_soc.over.interval));
    }
    if let Some(over) = &variant.over {
        rows.push(row("average over all".into(), over, over.interval));
        if over.another.is_some() {
            rows.push(row("a device that was not measured".into(), over, over.another));
        }
    }
    let caption = format!(
        "{title}: ratio of times to the same device's own original. A device's interval is over its forks, those over devices are \
         of {}%. The band: differences below {}%, which are called none. A filled mark is slower or faster for sure.",
        units::percent(across.confidence).trim_end_matches(".0"),
        units::percent(Margin::default().0).trim_end_matches(".0"),
    );
    let plot = Forest {
        title: &title,
        axis: "ratio of paired runs, below 1 is faster",
        rows,
        margin: Margin::default().0,
    };
    figure(plot.svg(&format!("across-{at}")), &caption, Html::default())
}

fn row(name: String, over: &Over, interval: Option<[f64; 2]>) -> Estimate {
    let sure = interval.is_some_and(|[low, high]| low > 1.0 || high < 1.0);
    Estimate { name, ratio: Some(over.ratio), interval, told: units::ratio(over.ratio, interval), sure }
}
