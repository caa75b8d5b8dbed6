//! A record: parse, report it in every format, and compare it with itself.

#![no_main]

mod buffer;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use oplat::compare::{self, NamedRecord, Options};
use oplat::record;
use oplat::report::{self, Breakdowns, By, Format};

const FORMATS: [Format; 4] = [Format::Table, Format::Json, Format::Csv, Format::Markdown];

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bench) = record::read::bench(bytes) {
        for format in FORMATS {
            let _ = report::bench(&bench, format);
        }
    }
    let Ok(record) = record::read::record(bytes) else { return };
    let named = NamedRecord { name: "a.json", record: &record };
    let all = Breakdowns {
        by: vec![By::Type, By::Op, By::Site, By::Shape, By::Activation],
        ..Breakdowns::default()
    };
    for format in FORMATS {
        let _ = report::render(&record, format, &all);
        let _ = report::records(&[named, named], format, &all);
    }
    let _ = report::verdict(&record);
    let limit = "5%".parse().ok();
    for (base, newer) in [(vec![named], vec![named]), (vec![named; 2], vec![named; 2])] {
        if let Ok(comparison) = compare::compare(&base, &[&newer], Options { limit, margin: None }) {
            for format in FORMATS {
                let _ = report::comparison(&comparison, format, 15);
            }
            report::junit(&comparison);
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    buffer::changed(data, size, max, seed, buffer::text).unwrap_or_else(|| fuzzer_mutate(data, size, max))
});
