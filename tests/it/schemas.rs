//! Documents are as the published schemas say: those that were kept, and new ones.

use std::path::Path;

use serde_json::Value;

use crate::support::{json, path};

/// The document's own schema.
fn schema_of(document: &Value) -> Value {
    let name = document["schema"].as_str().expect("a document names its schema").replace('/', "-");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{name}.json"));
    serde_json::from_slice(&std::fs::read(&file).expect("published")).expect("JSON")
}

/// What is wrong with a value: what the schema doesn't allow, and fields that it doesn't know.
fn wrong(value: &Value, schema: &Value, root: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(schema) = schema else { return };
    for (keyword, what) in schema {
        match keyword.as_str() {
            "$ref" => {
                let name = what.as_str().expect("a reference").strip_prefix('#').expect("in this file");
                wrong(value, root.pointer(name).expect("defined"), root, at, found);
            }
            "anyOf" | "oneOf" => {
                let tried = what.as_array().expect("choices").iter().map(|choice| {
                    let mut found = vec![];
                    wrong(value, choice, root, at, &mut found);
                    found
                });
                let best = tried.min_by_key(Vec::len).expect("a choice");
                found.extend(best);
            }
            "type" => {
                let is = |kind: &Value| match kind.as_str().expect("a type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    other => panic!("type {other}"),
                };
                let fits = what.as_array().map_or_else(|| is(what), |kinds| kinds.iter().any(is));
                complain(fits, found, || format!("{at} is no {what}: {value}"));
            }
            "enum" => complain(what.as_array().is_some_and(|all| all.contains(value)), found, || {
                format!("{at}: {value} is none of {what}")
            }),
            "const" => complain(what == value, found, || format!("{at}: {value} is not {what}")),
            "minimum" => complain(value.as_f64() >= what.as_f64() || !value.is_number(), found, || {
                format!("{at}: {value} is less than {what}")
            }),
            "minItems" | "maxItems" => {
                let fits = value.as_array().is_none_or(|all| match keyword.as_str() {
                    "minItems" => all.len() as u64 >= what.as_u64().expect("a number"),
                    _ => all.len() as u64 <= what.as_u64().expect("a number"),
                });
                complain(fits, found, || format!("{at}: {keyword} {what}"));
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    wrong(item, what, root, &format!("{at}[{i}]"), found);
                }
            }
            "required" => {
                for name in what.as_array().expect("names").iter().filter_map(Value::as_str) {
                    let there = value.as_object().is_none_or(|fields| fields.contains_key(name));
                    complain(there, found, || format!("{at} has no {name}"));
                }
            }
            "properties" | "additionalProperties" => {}
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
            other => panic!("{at}: keyword {other}"),
        }
    }
    let more = schema.get("additionalProperties");
    if schema.contains_key("properties") || more.is_some() {
        for (name, field) in value.as_object().into_iter().flatten() {
            let known = schema.get("properties").and_then(|all| all.get(name)).or(more);
            let at = format!("{at}.{name}");
            match known {
                Some(schema) => wrong(field, schema, root, &at, found),
                None => found.push(format!("{at} is in no schema")),
            }
        }
    }
}

fn complain(fits: bool, found: &mut Vec<String>, what: impl FnOnce() -> String) {
    if !fits {
        found.push(what());
    }
}

fn check(document: &Value) -> Vec<String> {
    let (schema, mut found) = (schema_of(document), vec![]);
    wrong(document, &schema, &schema, "$", &mut found);
    found
}

/// What two records of different devices show together.
fn across(folder: &Path) -> Value {
    let record = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/records/1-fanout-silu.json"),
    );
    let record = record.expect("a fixture");
    let files = ["one", "two"].map(|host| {
        let file = folder.join(format!("{host}.json"));
        let text = record.replacen("\"host\":\"\"", &format!("\"host\":\"{host}\""), 1);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    });
    json(&["report", &files[0], &files[1], "--across", "--format", "json"])
}

#[test]
fn kept_and_new_documents_are_as_the_schemas_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let saved = folder.path().join("r.json");
    let saved = saved.to_str().expect("UTF-8");
    let model = path("fanout_silu").display().to_string();
    let profile = ["profile", &model, "--act", "mish", "--time", "2s", "--forks", "2", "--format", "json"];
    let mut documents = vec![
        ("a new record", json(&[&profile[..], &["--save", saved]].concat())),
        ("a comparison", json(&["compare", saved, saved, "--format", "json"])),
        ("devices", across(folder.path())),
        ("a model", json(&["inspect", &model, "--format", "json"])),
        ("activations", json(&["acts", "--format", "json"])),
    ];
    for name in ["1-fanout-silu", "1-minidet-silu", "bench/1-mish-silu"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/records/{name}.json"));
        let text = std::fs::read(file).expect("a fixture");
        documents.push((name, serde_json::from_slice(&text).expect("JSON")));
    }
    for (what, document) in &documents {
        assert_eq!(check(document), Vec::<String>::new(), "{what}");
    }
    // And they are not all that could be.
    let record = &mut documents[0].1;
    record["variants"][0]["role"] = "extra".into();
    record["settings"]["seed"] = "seven".into();
    record["more"] = 1.into();
    assert_eq!(check(record).len(), 3, "{:?}", check(record));
}
