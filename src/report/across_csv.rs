//! What devices show together, as comma-separated values: a row for each variant over all devices, over those of each SoC, and on
//! each device.

use super::csv::{columns, ends, known, line, number, role};
use super::verdict::word;
use crate::compare::across::{Across, Over, Unit, Variant};

columns! {
    struct AcrossRow {
        /// `all`, `soc` or `device`.
        row,
        model, model_sha256, engine, variant, role,
        /// Of `soc` and `device`.
        soc, device, host, target,
        /// How many there are, and what intervals rest on.
        devices, unit, units,
        p50_ns, ratio, ratio_low, ratio_high, confidence,
        /// Where another device would lie.
        another_low, another_high,
        /// Standard deviations and a standard error, as shares.
        between, within, again,
        verdict,
        /// Of a device: whether it is a part of what is said over all.
        counts,
        /// Of a device or SoC: `opposite` or `outside`, where it contradicts the rest.
        contradicts,
    }
}

pub fn render(across: &Across) -> String {
    let mut out = String::new();
    line(&mut out, AcrossRow::HEADER);
    for variant in &across.variants {
        rows(across, variant, &mut out);
    }
    out
}

fn rows(across: &Across, variant: &Variant, out: &mut String) {
    let common = AcrossRow {
        model: variant.model.clone(),
        model_sha256: variant.sha256.clone(),
        engine: variant.engine.clone(),
        variant: variant.name.clone(),
        role: role(variant.role),
        ..AcrossRow::default()
    };
    // A board may be called as its SoC is.
    let contradicts = |who: &str, unit: Unit| {
        let found = variant.contradictions.iter().find(|c| c.who == who && c.unit == unit);
        let json = found.and_then(|c| serde_json::to_value(c.why).ok());
        json.as_ref().and_then(|json| json.as_str()).unwrap_or_default().to_owned()
    };
    if let Some(over) = &variant.over {
        AcrossRow { row: "all".into(), ..of(&common, over, across.confidence) }.write(out);
    }
    for of_soc in &variant.by_soc {
        AcrossRow {
            row: "soc".into(),
            soc: of_soc.soc.clone(),
            contradicts: contradicts(&of_soc.soc, Unit::Soc),
            ..of(&common, &of_soc.over, across.confidence)
        }
        .write(out);
    }
    for (device, on) in across.devices.iter().zip(&variant.on) {
        let Some(on) = on else { continue };
        let mut row = AcrossRow {
            row: "device".into(),
            soc: device.soc.clone().unwrap_or_default(),
            device: device.name.clone(),
            host: device.host.clone(),
            target: device.target.clone(),
            p50_ns: known(on.p50_ns),
            again: on.error.map_or(String::new(), |error| number(error.exp_m1())),
            counts: u8::from(on.counts).to_string(),
            contradicts: contradicts(&device.name, Unit::Device),
            ..common.clone()
        };
        if let Some(delta) = &on.delta {
            row.ratio = number(delta.ratio);
            [row.ratio_low, row.ratio_high] = ends(delta.interval);
            row.confidence = number(delta.confidence);
            row.verdict = word(delta.verdict).into();
        }
        row.write(out);
    }
}

fn of(common: &AcrossRow, over: &Over, confidence: f64) -> AcrossRow {
    let [ratio_low, ratio_high] = ends(over.interval);
    let [another_low, another_high] = ends(over.another);
    AcrossRow {
        devices: over.devices.to_string(),
        unit: over.unit.name().to_lowercase(),
        units: over.units.to_string(),
        ratio: number(over.ratio),
        ratio_low,
        ratio_high,
        confidence: number(confidence),
        another_low,
        another_high,
        between: number(over.between),
        within: over.within.map_or(String::new(), number),
        again: number(over.again),
        ..common.clone()
    }
}
