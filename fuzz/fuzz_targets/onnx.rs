//! An ONNX file: parse, find sites, swap, write, parse again, and make the engine's private copy.

#![no_main]

mod buffer;

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use oplat::activation::Activation;
use oplat::onnx::{Model, inline};
use oplat::swap::{self, Lowering, Selection};

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::decode(bytes.to_vec(), None) else { return };
    let _ = inline::size(&model.proto);
    let again =
        Model::decode(model.encode(), None).expect("what was read is written so that it is read again");
    assert_eq!(again.encode(), model.encode());
    let Ok((found, chosen)) = Selection::default().choose(swap::find(&model)) else { return };
    for (to, lowering) in
        [("mish", Lowering::Exported), ("prelu", Lowering::Kernel), ("identity", Lowering::Exported)]
    {
        let to = Activation::parse(to).expect("known");
        if let Ok(variant) = swap::rewrite(&model, &found, &chosen, &to, lowering) {
            let written = Model::decode(variant.model.encode(), None).expect("a swapped model is read again");
            swap::find(&written);
        }
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max: usize, seed: u32| {
    buffer::changed(data, size, max, seed, |damage, model| damage.model(model))
        .unwrap_or_else(|| fuzzer_mutate(data, size, max))
});
