//! Mixes are read as they are written, and decide what they say.

use proptest::prelude::*;

use super::*;
use crate::swap;

fn mix(text: &str) -> Mix {
    Mix::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A convolution and a ReLU of each of these names, one behind the other.
fn chain(names: &[&str]) -> crate::onnx::Model {
    let mut model = swap::behind_convolution(&Activation::parse("relu").unwrap(), 4).unwrap();
    let graph = model.graph_mut();
    let [convolution, relu] = [0, 1].map(|i| graph.node[i].clone());
    graph.node.clear();
    let mut input = "x".to_owned();
    for (i, name) in names.iter().enumerate() {
        let [between, output] = ["c", "v"].map(|value| format!("{value}{i}"));
        let mut nodes = [convolution.clone(), relu.clone()];
        nodes[0].name = Some(format!("conv{i}"));
        nodes[0].input[0] = input;
        nodes[0].output = vec![between.clone()];
        nodes[1].name = Some((*name).to_owned());
        nodes[1].input = vec![between];
        nodes[1].output = vec![output.clone()];
        input = output;
        graph.node.extend(nodes);
    }
    graph.output[0].name = Some(input);
    model
}

fn decided(names: &[&str], text: &str) -> Result<Vec<(String, String)>> {
    let found = swap::find(&chain(names));
    let chosen = choose(found, &Selection::default(), &[Mix::parse(text)?])?;
    let sites = &chosen.found.sites;
    Ok(chosen.assignments[0].iter().map(|(&i, to)| (sites[i].name.clone(), to.to_string())).collect())
}

#[test]
fn a_name_has_a_space_behind_its_colon_and_parameters_have_none() {
    let read = |text| {
        let mix = mix(text);
        let rules: Vec<String> = mix
            .rules
            .iter()
            .map(|r| format!("{}|{:?}", r.pattern, r.to.as_ref().map(ToString::to_string)))
            .collect();
        (mix.name, mix.base.map(|a| a.to_string()), rules)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read("fast: leaky_relu:0.1"), (some("fast"), some("leaky_relu:0.1"), vec![]));
    assert_eq!(
        read("leaky_relu:0.1 , /a:0 = relu"),
        (None, some("leaky_relu:0.1"), vec![r#"/a:0|Some("relu")"#.into()])
    );
    assert_eq!(read("act:0=relu").2, [r#"act:0|Some("relu")"#], "a node's name with a colon");
    assert_eq!(read("a=b=keep").2, ["a=b|None"], "the last `=` counts");
    assert_eq!(read(r#""a, ""b"": c=*"=relu,"#).2, [r#"a, "b": c=*|Some("relu")"#]);
    assert_eq!(read("50%: keep, /a=relu"), (some("50%"), None, vec![r#"/a|Some("relu")"#.into()]));
}

#[test]
fn what_cannot_be_read_is_refused_with_the_remedy() {
    for (text, told) in [
        ("", "nothing is said of what they become"),
        ("/a=", "/a: nothing is said of what they become"),
        ("fast : silu", "`fast: silu`"),
        ("keep", "give an activation"),
        ("fast: ", "nothing stands behind the name fast"),
        ("fast:silu", "`fast: silu`"),
        ("leaky_relu: 0.1", "a mix can't be called leaky_relu"),
        ("Swish: relu", "a mix can't be called Swish"),
        ("original: relu", "a mix can't be called original"),
        ("relu, silu", "`silu` is for no site"),
        ("/a=relu, silu", "`silu` is for no site"),
        ("relu,, /a=silu", "nothing between two commas"),
        ("=relu", "no site is named before the `=`"),
        ("\"\"=relu", "no site is named before the `=`"),
        ("/a=rleu", "/a: unknown activation `rleu`: did you mean relu"),
        ("\"/a=relu", "a quote is open"),
        ("\"/a\"relu", "behind the quotes"),
        ("\"/a\"b=relu", "behind the quotes"),
    ] {
        let error = Mix::parse(text).expect_err(text);
        assert!(error.message.contains(told), "{text}: {error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn later_rules_win_and_one_that_decides_nothing_is_refused() {
    let names = ["/a/1", "/a/2", "/b"];
    let of = |text| decided(&names, text);
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(n, a)| (n.to_string(), a.to_string())).collect::<Vec<_>>()
    };
    let all = of("silu, /a*=mish, /a/2=keep").unwrap();
    assert_eq!(all, pairs(&[("/a/1", "mish"), ("/b", "silu")]));
    assert_eq!(of("/a*=mish, *1=gelu").unwrap(), pairs(&[("/a/1", "gelu"), ("/a/2", "mish")]));
    for (text, told) in [
        ("silu, /a/2=keep, /a*=mish", "`/a/2=keep` decides nothing: later rules"),
        ("silu, *=mish", "`silu` decides nothing: there is a rule for every selected site"),
        ("/a*=keep", "it keeps every site as it is"),
        ("silu, /a/11=mish", "no site is named `/a/11`; did you mean /a/1"),
        ("silu, nothing-like-it*=mish", "they are named as in /a/1: see `oplat inspect`"),
    ] {
        let error = of(text).expect_err(text);
        assert!(error.message.contains(told), "{text}: {error}");
    }
}

#[test]
fn the_selection_bounds_the_base_and_rules_go_beyond_it() {
    let found = swap::find(&chain(&["/a/1", "/a/2", "/b", "/c"]));
    let selection = Selection { sites: vec!["/a*".into()], ..Selection::default() };
    let chosen = choose(found, &selection, &[mix("silu, /b=mish"), mix("gelu")]).unwrap();
    let sites: Vec<Vec<usize>> = chosen.assignments.iter().map(|a| a.keys().copied().collect()).collect();
    assert_eq!(sites, [vec![0, 1, 2], vec![0, 1]]);
    assert_eq!(chosen.concerned, [0, 1, 2], "the control is without all that any mix changes");
}

#[test]
fn names_tell_mixes_apart() {
    let long = |last: &str| format!("/a{}=relu, /b=silu, {last}", "x".repeat(60));
    assert_eq!(mix("fast: silu, /a=relu").short(), "fast");
    assert_eq!(mix("silu, /a=relu").short(), "silu /a=relu");
    let cut = mix(&long("/c=gelu")).short();
    assert_eq!((cut.chars().count(), cut.ends_with("/b=silu /c=gelu")), (SHORT, true), "{cut}");
    let shortened = ["fast: silu, /a=relu", &long("/c=gelu"), "fast: silu", "silu, /a=relu"]
        .map(|text| mix(text).is_shortened());
    assert_eq!(shortened, [true, true, false, false]);
    let check = |texts: &[&str]| check_names(&texts.iter().map(|t| mix(t)).collect::<Vec<_>>());
    assert!(check(&["a: silu", "b: silu", "silu", "silu"]).is_ok(), "the same twice is measured once");
    assert!(check(&["a: silu", "a: relu"]).unwrap_err().message.contains("two mixes are called a"));
    let [one, two] = [format!("/a{}=relu", "x".repeat(60)), format!("/a{}=relu", "x".repeat(61))];
    assert!(check(&[&one, &two]).unwrap_err().message.contains("name them"));
}

fn pattern() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("/model.24".to_owned()),
            Just("*".to_owned()),
            Just("?".to_owned()),
            Just(",".to_owned()),
            Just(" ".to_owned()),
            Just("=".to_owned()),
            Just(":".to_owned()),
            Just("\"".to_owned()),
            Just("fast: ".to_owned()),
            Just("keep".to_owned()),
            any::<char>().prop_map(String::from),
        ],
        1..5,
    )
    .prop_map(|parts| parts.concat())
}

fn some_activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just("silu"),
        Just("relu"),
        Just("leaky_relu:0.1"),
        Just("swish:1.5"),
        Just("hard_sigmoid:0.25:0.75")
    ]
    .prop_map(|text| Activation::parse(text).unwrap())
}

fn any_mix() -> impl Strategy<Value = Mix> {
    let rule =
        (pattern(), proptest::option::of(some_activation())).prop_map(|(pattern, to)| Rule { pattern, to });
    let name = proptest::option::of("[a-z][0-9_+.%-]{1,8}");
    (name, proptest::option::of(some_activation()), proptest::collection::vec(rule, 0..5))
        .prop_filter("it says something", |(_, base, rules)| base.is_some() || !rules.is_empty())
        .prop_map(|(name, base, rules)| Mix { name, base, rules })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_as_the_same(mix in any_mix()) {
        let text = mix.to_string();
        prop_assert_eq!(Mix::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(mix));
    }

    #[test]
    fn nothing_typed_makes_it_panic(text in ".{0,60}") {
        if let Ok(mix) = Mix::parse(&text) {
            prop_assert_eq!(Mix::parse(&mix.to_string()).unwrap(), mix);
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides(rules in proptest::collection::vec((0usize..4, some_activation()), 1..6)) {
        let patterns = ["*", "/a*", "/a/1", "*2"];
        let names = ["/a/1", "/a/2", "/b"];
        let fits = [[true, true, true], [true, true, false], [true, false, false], [false, true, false]];
        let text: Vec<String> = rules.iter().map(|(p, to)| format!("{}={to}", patterns[*p])).collect();
        let last = |site: usize| rules.iter().rposition(|(p, _)| fits[*p][site]);
        let every_rule_decides = (0..rules.len()).all(|rule| (0..3).any(|site| last(site) == Some(rule)));
        let decided = decided(&names, &text.join(", "));
        prop_assert_eq!(decided.is_ok(), every_rule_decides);
        for (name, to) in decided.unwrap_or_default() {
            let site = names.iter().position(|n| *n == name).unwrap();
            prop_assert_eq!(to, rules[last(site).unwrap()].1.to_string());
        }
    }
}
