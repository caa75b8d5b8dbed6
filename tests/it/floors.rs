//! No import runs upwards: the map in `src/lib.rs` is held by what the sources name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The crates below the program, and the module that the map has for one that is a single room.
const CRATES: [(&str, Option<&str>); 6] = [
    ("oplat_ground", None),
    ("oplat_kernels", Some("kernel")),
    ("oplat_graph", None),
    ("oplat_engine", Some("engine")),
    ("oplat_tract", Some("tract")),
    ("oplat_ort", Some("ort")),
];

#[test]
fn no_import_runs_upwards() {
    let rank = map();
    let mut wrong = vec![];
    for (module, file) in sources() {
        let own = *rank.get(&module).unwrap_or_else(|| panic!("{module} is not on the map of src/lib.rs"));
        let text = std::fs::read_to_string(&file).expect("a source file");
        for other in named(without_tests(&text)).filter(|other| *other != module) {
            // Names of crates' own types (`crate::Model`) are no modules.
            let Some(&other_rank) = rank.get(&other) else { continue };
            if other_rank > own {
                wrong.push(format!("{}: {module} imports {other}, which stands above it", file.display()));
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_engine_has_one_importer() {
    for (module, file) in sources() {
        let text = std::fs::read_to_string(&file).expect("a source file");
        let tract = text.contains("tract_onnx::") || text.contains("tract_linalg::");
        assert!(!tract || module == "tract", "{} imports tract", file.display());
        let ort = text.contains("use ort::") || text.contains(" ort::");
        assert!(!ort || module == "ort", "{} imports ONNX Runtime", file.display());
    }
}

/// The place of every module on the map, from the ground up.
fn map() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("the map");
    let floors = text.lines().map_while(|line| line.strip_prefix("//!"));
    let links = floors.flat_map(|line| line.split("[`").skip(1)).filter_map(|rest| rest.split_once("`]"));
    let modules = links.map(|(name, _)| name.trim_start_matches("mod@").to_owned());
    let mut map: BTreeMap<String, usize> = modules.enumerate().map(|(at, name)| (name, at)).collect();
    // The rooms behind the seam may name all that the seam may, and nobody on the map but `engines` may name them.
    let behind = map["engines"];
    map.values_mut().filter(|at| **at >= behind).for_each(|at| *at += 1);
    map.extend(["tract", "ort"].map(|engine| (engine.into(), behind)));
    map
}

/// Every source file with the module that it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    let mut all = vec![];
    let mut add = |folder: PathBuf, single: Option<&str>| {
        for file in files(&folder) {
            let inside = file.strip_prefix(&folder).expect("inside").with_extension("");
            let module = inside.iter().next().expect("a name").to_string_lossy().into_owned();
            let is_test = inside.iter().any(|part| part == "tests");
            if !is_test && (single.is_some() || !["lib", "main"].contains(&module.as_str())) {
                all.push((single.map_or(module, str::to_owned), file));
            }
        }
    };
    add(root().join("src"), None);
    for (name, single) in CRATES {
        add(root().join("crates").join(name.trim_start_matches("oplat_")).join("src"), single);
    }
    assert!(all.len() > 100, "the sources are where they are looked for");
    all
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Unit tests stand at the end of a file, and may use what they like.
fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

/// The modules that a source names: `crate::a`, `crate::{a, b::c}`, `oplat_ground::a`, `oplat_kernels::…`.
fn named(text: &str) -> impl Iterator<Item = String> + '_ {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut names = vec![];
    let prefixes = std::iter::once(("crate", None)).chain(CRATES);
    for (prefix, single) in prefixes {
        for (at, _) in code.match_indices(&format!("{prefix}::")) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            match single {
                Some(module) => names.push(module.to_owned()),
                None => names.extend(heads(&code[at + prefix.len() + 2..])),
            }
        }
    }
    names.into_iter()
}

/// The first names of a path or of each path in braces.
fn heads(rest: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(list) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut heads, mut start) = (0, vec![], 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.push(name(&list[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(name(&list[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

#[test]
fn paths_in_braces_are_read() {
    let text = "use crate::{a, b::{c, d}, e::F};\nuse oplat_ground::error::Error;\nlet x = not_crate::z;\n\
                // crate::comment\nuse oplat_kernels::Isa;\n";
    let names: Vec<String> = named(text).collect();
    assert_eq!(names, ["a", "b", "e", "error", "kernel"]);
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}
