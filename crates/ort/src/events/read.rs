//! A profile's file as anybody may have written it: by any version, ended or cut off where the app was killed, with numbers as
//! texts. What isn't known is skipped and counted.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use oplat_ground::error::{Error, Result};
use oplat_ground::{files, limits};

/// What the names of operators end with in it.
const KERNEL_TIME: &str = "_kernel_time";

/// What a profile holds that is of use here.
#[derive(Debug, Default)]
pub struct Profile {
    /// Whole runs.
    pub wholes: Vec<Event>,
    /// Operators, those of bodies among them.
    pub ops: Vec<Event>,
    /// Reading the model and making the session, µs.
    pub loading: Option<u64>,
    pub initialization: Option<u64>,
    /// Entries that are no events, or none with times.
    pub skipped: usize,
    /// Whether the file ends before its list of events does.
    pub is_cut: bool,
    /// All entries.
    pub entries: u64,
    texts: HashSet<Rc<str>>,
}

/// An operator, or a whole run.
#[derive(Debug)]
pub struct Event {
    pub name: Rc<str>,
    /// The operator's type, and who ran it: `CPUExecutionProvider`.
    pub op: Rc<str>,
    pub provider: Rc<str>,
    /// The operator's number in its graph.
    pub node_index: Option<usize>,
    pub thread: u64,
    /// Microseconds.
    pub ts: u64,
    pub dur: u64,
    /// `1x64x40x40xf32`, separated by spaces.
    pub inputs: Rc<str>,
    pub outputs: Rc<str>,
    /// Threads that could compute.
    pub threads: Option<usize>,
    /// What the arena held after the operator, how much more than before it, and the most that it ever held; bytes.
    pub arena: Option<[i64; 3]>,
}

impl Event {
    pub fn end(&self) -> u64 {
        self.ts + self.dur
    }
}

/// A time in microseconds that no profile reaches: a hundred days. Sums of a few don't overflow.
const MOST_US: u64 = 1 << 43;
/// More bytes than any memory has.
const MOST_BYTES: u64 = 1 << 56;

/// Reads a file. Fails with its name where it is no profile.
pub fn read(path: &Path) -> Result<Profile> {
    let bytes = files::read(path, limits::PROFILE_BYTES)?;
    parse(&bytes).map_err(|e| e.context(path.display()))
}

const WRITTEN_LATE: &str = "ONNX Runtime writes a profile when profiling ends: call endProfiling, or close the session, before \
                            the app ends";

/// Fails where it is no profile, with what it is and what to do.
pub fn parse(bytes: &[u8]) -> Result<Profile> {
    if bytes.trim_ascii().is_empty() {
        return Err(Error::input(format!("it is empty: {WRITTEN_LATE}")));
    }
    let mut profile = Profile::default();
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json.deserialize_any(List(&mut profile)).and_then(|()| json.end());
    match read {
        Ok(()) => {}
        Err(e) if e.is_eof() && profile.entries > 0 => profile.is_cut = true,
        Err(e) if e.is_eof() => {
            return Err(Error::input(format!("it ends before its first event: {WRITTEN_LATE}")));
        }
        Err(e) => return Err(Error::input(format!("not a profile of ONNX Runtime: {e}"))),
    }
    limits::check(profile.entries, limits::PROFILE_EVENTS, "events")?;
    Ok(profile)
}

/// The list of events, by itself or as Chrome has it in an object.
struct List<'p>(&'p mut Profile);

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> std::result::Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Value>()? {
            self.0.entries += 1;
            if self.0.entries <= limits::PROFILE_EVENTS {
                self.0.add(&entry);
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> std::result::Result<(), A::Error> {
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "traceEvents" => fields.next_value_seed(List(&mut *self.0))?,
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> std::result::Result<(), D::Error> {
        list.deserialize_any(self)
    }
}

impl Profile {
    fn add(&mut self, entry: &Value) {
        if self.take(entry).is_none() {
            self.skipped += 1;
        }
    }

    /// `None` for an entry that is of no use; one of a sort that is known and not needed is of use.
    fn take(&mut self, entry: &Value) -> Option<()> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        let (category, name) = (text("cat")?, text("name")?);
        let time = |field: &str| number(entry.get(field)?).filter(|&us| us < MOST_US);
        match (category, name.strip_suffix(KERNEL_TIME)) {
            ("Session", _) if name.starts_with("model_loading") => {
                self.loading = Some(self.loading.unwrap_or(0) + time("dur")?);
            }
            ("Session", _) if name == "session_initialization" => self.initialization = Some(time("dur")?),
            ("Session", _) if name == "model_run" => {
                let event = self.event(name, entry, time("ts")?, time("dur")?);
                self.wholes.push(event);
            }
            ("Node", Some(name)) => {
                let event = self.event(name, entry, time("ts")?, time("dur")?);
                self.ops.push(event);
            }
            // What an executor does as a whole, and fences of older versions.
            ("Session", _) if name.ends_with("Executor::Execute") => {}
            ("Node", None) if name.ends_with("_fence_before") || name.ends_with("_fence_after") => {}
            _ => return None,
        }
        Some(())
    }

    fn event(&mut self, name: &str, entry: &Value, ts: u64, dur: u64) -> Event {
        let argument = |field: &str| entry.get("args").and_then(|args| args.get(field));
        let text = |field: &str| argument(field).and_then(Value::as_str).unwrap_or("");
        let index = argument("node_index").or_else(|| argument("graph_index"));
        let facts = |field: &str| argument(field).map(facts).unwrap_or_default();
        Event {
            name: self.kept(name),
            op: self.kept(text("op_name")),
            provider: self.kept(text("provider")),
            node_index: index.and_then(number).and_then(|n| usize::try_from(n).ok()),
            thread: entry.get("tid").and_then(number).unwrap_or(0),
            ts,
            dur,
            inputs: self.kept(&facts("input_type_shape")),
            outputs: self.kept(&facts("output_type_shape")),
            threads: argument("thread_scheduling_stats").and_then(threads),
            arena: arena(&argument),
        }
    }

    /// The text, held once: those of a profile come again in every run.
    fn kept(&mut self, text: &str) -> Rc<str> {
        match self.texts.get(text) {
            Some(known) => known.clone(),
            None => {
                let text: Rc<str> = text.into();
                self.texts.insert(text.clone());
                text
            }
        }
    }
}

fn arena<'v>(argument: &dyn Fn(&str) -> Option<&'v Value>) -> Option<[i64; 3]> {
    let bytes = |field: &str| -> Option<i64> {
        let value = argument(field)?;
        let bytes: i64 = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
        (bytes.unsigned_abs() < MOST_BYTES).then_some(bytes)
    };
    Some([bytes("mem_bytes_in_use")?, bytes("mem_in_use_delta")?, bytes("mem_in_use_peak")?])
}

/// A number, or a text of one.
fn number(value: &Value) -> Option<u64> {
    let whole = |n: f64| (n >= 0.0 && n < MOST_US as f64).then_some(n as u64);
    match value {
        Value::Number(n) => n.as_u64().or_else(|| whole(n.as_f64()?)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// `[{"float": [1, 3, 96, 96]}]` as `1x3x96x96xf32`.
fn facts(types: &Value) -> String {
    let fact = |(kind, dims): (&String, &Value)| {
        let dims: Vec<u64> = dims.as_array()?.iter().map(number).collect::<Option<_>>()?;
        let elements = dims.iter().fold(1, |n: u64, &d| n.saturating_mul(d));
        (elements <= limits::ELEMENTS && dims.len() as u64 <= limits::DIMENSIONS && !kind.contains(' '))
            .then(|| dims.iter().map(|d| format!("{d}x")).collect::<String>() + short(kind))
    };
    let all = types.as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    all.filter_map(fact).collect::<Vec<_>>().join(" ")
}

/// ONNX Runtime's name of an element type in ours.
fn short(kind: &str) -> &str {
    const NAMES: [(&str, &str); 12] = [
        ("float", "f32"),
        ("double", "f64"),
        ("float16", "f16"),
        ("bfloat16", "bf16"),
        ("int8", "i8"),
        ("int16", "i16"),
        ("int32", "i32"),
        ("int64", "i64"),
        ("uint8", "u8"),
        ("uint16", "u16"),
        ("uint32", "u32"),
        ("uint64", "u64"),
    ];
    NAMES.iter().find(|(name, _)| *name == kind).map_or(kind, |(_, short)| short)
}

/// How many threads there were to share an operator's work. Without a pool of threads nothing is told.
fn threads(stats: &Value) -> Option<usize> {
    let others = stats.get("sub_threads")?.as_object()?.len();
    stats.get("main_thread").map(|_| 1 + others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_version_is_read_and_what_is_unknown_is_counted() {
        let text = r#"[
            {"cat":"Session","pid":1,"tid":"7","dur":"30","ts":3,"ph":"X","name":"model_loading_array","args":{}},
            {"cat":"Session","dur":90.7,"ts":40,"name":"session_initialization"},
            {"cat":"Node","dur":1,"ts":101,"name":"a_fence_before","args":{"op_name":"Conv"}},
            {"cat":"Node","tid":7,"dur":"12","ts":"102","name":"a_kernel_time","args":{"op_name":"Conv","graph_index":"4",
             "input_type_shape":[{"float":[1,3]},{"int64":[]}],"output_type_shape":"none"}},
            {"cat":"Node","dur":-1,"ts":102,"name":"b_kernel_time"},
            {"cat":"Node","dur":18446744073709551615,"ts":102,"name":"b_kernel_time"},
            {"cat":"Kernel","dur":1,"ts":102,"name":"gpu"}, 7, null, [],
            {"cat":"Session","dur":50,"ts":100,"name":"SequentialExecutor::Execute"},
            {"cat":"Session","dur":60,"ts":100,"name":"model_run"}]"#;
        for text in
            [text.to_owned(), format!(r#"{{"displayTimeUnit":"ms","traceEvents":{text},"more":[[1]]}}"#)]
        {
            let profile = parse(text.as_bytes()).expect("a profile");
            assert_eq!((profile.loading, profile.initialization), (Some(30), Some(90)));
            assert_eq!((profile.wholes.len(), profile.ops.len(), profile.skipped), (1, 1, 6));
            let conv = &profile.ops[0];
            assert_eq!((conv.name.as_ref(), conv.op.as_ref(), conv.node_index), ("a", "Conv", Some(4)));
            assert_eq!((conv.ts, conv.dur, conv.thread), (102, 12, 7));
            assert_eq!((conv.inputs.as_ref(), conv.outputs.as_ref()), ("1x3xf32 i64", ""));
            assert!(!profile.is_cut);
        }
    }

    #[test]
    fn a_file_that_is_cut_off_holds_what_was_written() {
        let text =
            "[\n{\"cat\":\"Session\",\"dur\":60,\"ts\":100,\"name\":\"model_run\"},\n{\"cat\":\"Node\",\"du";
        for end in [text.len(), text.len() - 16, text.len() - 17] {
            let profile = parse(&text.as_bytes()[..end]).expect("a profile");
            assert!(profile.is_cut && profile.wholes.len() == 1, "{end}");
        }
        for (text, told) in [
            ("", "it is empty: ONNX Runtime writes"),
            (" \n", "it is empty"),
            ("[\n", "it ends before its first event"),
            ("[{\"cat\"", "it ends before its first event"),
            ("{}", ""),
            ("7", "not a profile of ONNX Runtime: invalid type: integer"),
            ("\"text\"", "not a profile"),
            ("<html>", "not a profile of ONNX Runtime: expected value at line 1"),
            ("[1, 2] trailing", "not a profile of ONNX Runtime: trailing characters"),
            (&"[".repeat(100_000), "recursion limit"),
            (&format!("{{\"a\":{}", "[".repeat(100_000)), "it ends before"),
        ] {
            match parse(text.as_bytes()) {
                Ok(profile) => assert!(told.is_empty() && profile.entries == 0, "{text}"),
                Err(e) => assert!(!told.is_empty() && e.message.contains(told), "{text:.20}: {e}"),
            }
        }
    }
}
