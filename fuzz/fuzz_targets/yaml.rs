//! A YAML file: as an experiment, a bench, a lab and a network.

#![no_main]

mod buffer;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use oplat::{bench, device, experiment, zoo};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = experiment::Config::parse(text, "experiment.yaml") {
        let _ = config.cases();
    }
    let _ = bench::Config::parse(text, "bench.yaml");
    let _ = device::Lab::parse(text, "lab.yaml");
    if let Ok(network) = zoo::spec::Spec::parse(text, "network.yaml") {
        let _ = zoo::assemble(&network, None, false);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    buffer::changed(data, size, max, seed, buffer::text).unwrap_or_else(|| fuzzer_mutate(data, size, max))
});
