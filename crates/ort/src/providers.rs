//! Execution providers: what runs operators in place of ONNX Runtime's own code for the CPU.

use std::ffi::CStr;
use std::num::NonZeroUsize;

use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;

use oplat_engine::Knobs;
use oplat_ground::error::{Error, Result};

/// The knob that chooses one.
pub const KNOB: &str = "ORT_PROVIDER";

/// Those that can be chosen; the first is always there.
pub const NAMES: [&str; 5] = [CPU, "xnnpack", "nnapi", "qnn", "coreml"];

const CPU: &str = "cpu";

/// What the library's names of providers end with.
const SUFFIX: &str = "ExecutionProvider";

/// Those that the loaded library has, by our names.
pub fn available() -> Vec<String> {
    let (mut list, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: the library gives so many texts that end in a zero, and takes them back.
    unsafe {
        let api = ort::api();
        if ort::Error::result_from_status((api.GetAvailableProviders)(&mut list, &mut count)).is_err() {
            return vec![];
        }
        let name = |at: i32| short(&CStr::from_ptr(*list.add(at as usize)).to_string_lossy());
        let names = (0..count).map(name).collect();
        let _ = ort::Error::result_from_status((api.ReleaseAvailableProviders)(list, count));
        names
    }
}

/// `XnnpackExecutionProvider` as `xnnpack`.
pub fn short(name: &str) -> String {
    name.strip_suffix(SUFFIX).unwrap_or(name).to_lowercase()
}

/// The one that ran an operator, unless it is the CPU's.
pub fn other_than_cpu(name: &str) -> Option<String> {
    Some(short(name)).filter(|name| !name.is_empty() && name != CPU)
}

/// Fails for settings that choose one that a library with these has not.
pub fn check(available: &[String], knobs: &Knobs) -> Result<()> {
    match knobs.get(KNOB).filter(|chosen| !available.contains(chosen)) {
        Some(chosen) => Err(Error::input(format!(
            "{KNOB}={chosen}: this library of ONNX Runtime has no such provider: it has {}",
            available.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Whether parts of a model become programs of the provider's own, of which ONNX Runtime can tell nothing.
pub fn compiles(knobs: &Knobs) -> bool {
    knobs.get(KNOB).is_some_and(|chosen| ["nnapi", "qnn", "coreml"].contains(&chosen.as_str()))
}

/// The builder with a provider in front of the CPU's. Fails if the library hasn't got it.
pub fn set(builder: SessionBuilder, name: &str, threads: usize) -> ort::Result<SessionBuilder> {
    let provider: ExecutionProviderDispatch = match name {
        "xnnpack" => {
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            ep::XNNPACK::default().with_intra_op_num_threads(threads).build()
        }
        "nnapi" => ep::NNAPI::default().build(),
        "qnn" => ep::QNN::default().build(),
        "coreml" => ep::CoreML::default().build(),
        _ => return Ok(builder),
    };
    Ok(builder.with_execution_providers([provider.error_on_failure()])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_the_library_lacks_is_refused_with_those_that_it_has() {
        let has = ["xnnpack", "cpu"].map(str::to_owned);
        let set = |value: &str| Knobs::from([(KNOB.to_owned(), value.to_owned())]);
        assert!(check(&has, &set("xnnpack")).is_ok() && check(&has, &Knobs::new()).is_ok());
        let error = check(&has, &set("qnn")).unwrap_err().message;
        assert!(error.contains("ORT_PROVIDER=qnn") && error.contains("it has xnnpack, cpu"), "{error}");
    }

    #[test]
    fn providers_are_called_as_people_call_them() {
        assert_eq!(short("XnnpackExecutionProvider"), "xnnpack");
        assert_eq!(other_than_cpu("CPUExecutionProvider"), None);
        assert_eq!(other_than_cpu("QNNExecutionProvider").as_deref(), Some("qnn"));
    }
}
