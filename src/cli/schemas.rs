//! The JSON Schemas in `schemas/` are those of the types. After a change, `UPDATE_SCHEMAS=1 cargo test --lib schemas` writes
//! them.

use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use super::{acts, inspect};
use crate::compare::across::{self, Across};
use crate::compare::{self, Comparison};
use crate::record::bench::{self, Bench};
use crate::record::{self, Record};
use crate::search::document::{self, Search};

/// What is read must be valid in older files too, where newer fields are missing.
fn read<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<T>()
}

/// What is only written has all of its fields.
pub fn written<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// The schemas by the names that documents have in their field `schema`.
fn all() -> [(&'static str, Schema); 7] {
    [
        (record::SCHEMA, read::<Record>()),
        (bench::SCHEMA, read::<Bench>()),
        (compare::SCHEMA, written::<Comparison>()),
        (across::SCHEMA, written::<Across>()),
        (inspect::SCHEMA, read::<inspect::Inspection>()),
        (acts::SCHEMA, acts::schema()),
        (document::SCHEMA, read::<Search>()),
    ]
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas").join(format!("{}.json", name.replace('/', "-")))
}

#[test]
fn the_published_schemas_are_those_of_the_types() {
    for (name, schema) in all() {
        let mut schema: Value = schema.into();
        schema["title"] = json!(name);
        schema["properties"]["schema"] = json!({ "const": name });
        let text = format!("{schema:#}\n");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(file(name), &text).unwrap();
        }
        let published = std::fs::read_to_string(file(name)).unwrap_or_default();
        assert!(
            published == text,
            "{}: UPDATE_SCHEMAS=1 cargo test --lib schemas writes it",
            file(name).display()
        );
    }
}
