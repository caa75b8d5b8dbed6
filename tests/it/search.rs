//! `oplat search` as a user meets it, on a small network in little time: documents, files, errors. What the costs are is not asserted.

use std::fs;

use serde_json::Value;

use crate::support::{json, run};

const MODEL: &str = "tests/models/minidet_silu.onnx";

/// Two sites of the model, of which one is hard to tell from the other in so little time.
const FEW: [&str; 4] = ["--site", "/stem/*", "--site", "/c1/a/*"];

fn searched(more: &[&str]) -> (Option<i32>, String, String) {
    let fixed = ["search", MODEL, "--among", "relu,hard_swish", "--time", "1s"];
    run(&[&fixed[..], &FEW, more].concat())
}

#[test]
fn costs_designs_and_mixes_come_of_a_search_and_a_saved_one_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (save, mixes, plot) = (at("s.json"), at("front.yaml"), at("front.svg"));
    let files = ["--save", &save, "--mixes", &mixes, "--plot", &plot, "--budget", "-1%"];
    let (code, printed, said) = searched(&files);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        printed.contains("What a change costs") && printed.contains("is not known until it is retrained")
    );
    assert!(printed.lines().all(|line| line.chars().count() <= 100), "{printed}");

    let search: Value = serde_json::from_str(&fs::read_to_string(&save).unwrap()).unwrap();
    assert_eq!(search["schema"], "oplat.search/1");
    let sites = search["sites"].as_array().unwrap();
    assert_eq!(sites.len(), 4, "two activations at two sites");
    for site in sites {
        let [low, high] = [0, 1].map(|end| site["interval"][end].as_f64().unwrap());
        let cost = site["cost_ns"].as_f64().unwrap();
        assert!(low <= cost && cost <= high && site["from"] == "silu", "{site}");
    }
    let blocks = search["blocks"].as_array().unwrap();
    assert!(blocks.len() >= 4);
    assert_eq!(blocks[3]["designs"], blocks[2]["designs"], "what differs between these is noise");
    assert!(blocks.iter().all(|block| block["ns"].as_array().unwrap().iter().all(Value::is_number)));
    let at_once = search["additivity"]["at_once"].as_array().unwrap();
    assert!(at_once.len() == 2 && at_once.iter().all(|row| row["measured"]["ratio"].is_number()));

    let written = fs::read_to_string(&mixes).unwrap();
    for point in search["front"].as_array().unwrap() {
        assert!(point["measured"]["ratio"].is_number() && point["mix"].as_str().is_some());
        let (name, out) = (point["name"].as_str().unwrap(), at("mixed.onnx"));
        let (code, told, said) = run(&["swap", MODEL, "--mix", &format!("@{mixes}#{name}"), "-o", &out]);
        assert_eq!(code, Some(0), "{said}");
        let changed = point["changed"].as_u64().unwrap();
        let counted: u64 = told.split(&[' ', ';', ','][..]).filter_map(|word| word.parse::<u64>().ok()).sum();
        assert_eq!(counted, changed, "{told}");
    }
    assert!(written.starts_with("# The front of a search"));
    assert!(fs::read_to_string(&plot).unwrap().starts_with("<svg "));

    let again = ["--save", &save, "--resume", "--format", "csv"];
    let (code, csv, said) = searched(&again);
    assert_eq!((code, csv.lines().count()), (Some(0), 5), "{said}");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&save).unwrap()).unwrap();
    assert_eq!(kept["blocks"], search["blocks"]);
    let (code, _, said) = searched(&["--save", &save, "--resume", "--seed", "5"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("another seed"), "{said}");
}

#[test]
fn a_search_that_was_cut_off_goes_on_with_its_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let save = folder.path().join("s.json");
    let name = save.display().to_string();
    let (code, _, said) = searched(&["--save", &name]);
    assert_eq!(code, Some(0), "{said}");
    // As if it had been interrupted after three blocks.
    let mut search: Value = serde_json::from_str(&fs::read_to_string(&save).unwrap()).unwrap();
    let blocks = search["blocks"].as_array().unwrap()[..3].to_vec();
    search["blocks"] = blocks.clone().into();
    (search["additivity"], search["sites"], search["front"]) =
        (Value::Null, Value::Array(vec![]), Value::Array(vec![]));
    search["settings"]["interrupted"] = true.into();
    fs::write(&save, search.to_string()).unwrap();
    let (code, _, said) = searched(&["--save", &name, "--resume"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3 blocks there already"), "{said}");
    let whole: Value = serde_json::from_str(&fs::read_to_string(&save).unwrap()).unwrap();
    let all = whole["blocks"].as_array().unwrap();
    assert!(all.len() >= 4 && all[..3] == blocks[..] && all[3]["number"] == 3);
    assert_eq!(whole["settings"]["interrupted"], false);
}

#[test]
fn latency_is_weighed_against_what_is_given_or_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("drops.csv");
    let inspected = json(&["inspect", MODEL, "--format", "json"]);
    let named = |part: &str| -> String {
        let sites = inspected["sites"].as_array().unwrap().iter();
        let mut names = sites.filter_map(|site| site["node"].as_str());
        names.find(|name| name.starts_with(part)).unwrap().to_owned()
    };
    let (stem, a) = (named("/stem/"), named("/c1/a/"));
    fs::write(
        &file,
        format!(
            "node,activation,drop\n{stem},relu,0.5\n{stem},hard_swish,0.1\n{a},relu,2\n{a},hard_swish,0\n"
        ),
    )
    .unwrap();
    let drops = file.display().to_string();
    let (code, printed, said) = searched(&["--sensitivity", &drops, "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let search: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (&search["settings"]["against"], search["prices"].as_array().unwrap().len()),
        (&"file".into(), 4)
    );

    let (code, printed, said) = searched(&["--sensitivity", "outputs", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let search: Value = serde_json::from_str(&printed).unwrap();
    let prices = search["prices"].as_array().unwrap();
    assert!(
        prices.len() == 4 && prices.iter().all(|price| price["price"].as_f64() > Some(0.0)),
        "{prices:?}"
    );

    fs::write(&file, format!("node,drop\n{stem},much\n")).unwrap();
    let (code, _, said) = searched(&["--sensitivity", &drops]);
    assert!(code == Some(2) && said.contains("line 2: drop \"much\" is no number"), "{said}");
}

#[test]
fn what_can_not_be_searched_is_refused_at_once() {
    for (more, told) in [
        (&["--among", "silu", "--from", "silu"][..], "every selected site has that activation already"),
        (&["--among", "misch"], "did you mean mish"),
        (&["--among", "relu", "--site", "/nothing/*"], "/nothing/*"),
        (&["--among", "relu", "--budget", "20%"], "-10%, or a latency"),
        (&["--among", "relu", "--resume"], "--save"),
        (&["--among", "relu", "--target", "local", "--target", "cmd:nice"], "one target"),
        (&["--among", "relu", "--engine", "onnx"], "there is no engine onnx"),
        (&["--among", "relu", "-o", MODEL], "not"),
    ] {
        let (code, printed, said) = run(&[&["search", MODEL][..], more].concat());
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{more:?}: {said}");
        assert!(said.contains(told), "{more:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_save_that_was_edited_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let save = folder.path().join("s.json");
    let name = save.display().to_string();
    let (code, _, said) = searched(&["--save", &name]);
    assert_eq!(code, Some(0), "{said}");
    let kept: Value = serde_json::from_str(&fs::read_to_string(&save).unwrap()).unwrap();
    let edits: [fn(&mut Value); 5] = [
        |search| search["blocks"][0]["designs"][0][0] = 99.into(),
        |search| search["blocks"][1]["designs"][2] = Value::Array(vec![]),
        |search| search["blocks"][1]["number"] = u64::MAX.into(),
        |search| search["blocks"][0]["ns"][0] = 1e300.into(),
        |search| search["schema"] = "oplat.search/9".into(),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let mut search = kept.clone();
        edit(&mut search);
        fs::write(&save, search.to_string()).unwrap();
        let (code, _, said) = searched(&["--save", &name, "--resume", "--budget", "-5%"]);
        assert_eq!((code, said.lines().count()), (Some(2), 1), "edit {number}: {said}");
        assert!(said.contains(&name), "{said}");
    }
}

#[test]
fn a_name_that_fits_other_sites_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = oplat::onnx::Model::read(std::path::Path::new(MODEL)).unwrap();
    for node in &mut model.graph_mut().node {
        if node.name() == "/stem/act/Mul" {
            node.name = Some("/c*/act/Mul".to_owned());
        }
    }
    let file = folder.path().join("wild.onnx");
    model.write(&file).unwrap();
    let (code, printed, said) = run(&["search", &file.display().to_string(), "--among", "relu"]);
    assert_eq!((code, printed.as_str(), said.lines().count()), (Some(2), "", 1), "{said}");
    assert!(said.contains("/c*/act/Mul") && said.contains("--skip"), "{said}");
}
