//! What the registry promises of every row, and how names are read.

use std::collections::HashMap;

use super::*;
use crate::onnx::formula::evaluate;

/// The default parameters, and others.
fn samples(kind: &Kind) -> [Vec<f64>; 2] {
    let defaults = kind.defaults();
    let others = defaults.iter().map(|p| p * 1.25 + 0.03).collect();
    [defaults, others]
}

#[test]
fn every_formula_computes_the_function() {
    for kind in kinds().filter(|k| k.not_elementwise_because.is_none()) {
        let texts = kind.exported.iter().map(|f| f.formula);
        for (text, parameters) in texts.flat_map(|text| samples(kind).map(|p| (text, p))) {
            let expr = Expr::parse(text).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
            let named =
                |name: &str| kind.parameters.iter().position(|p| p.name == name).map(|i| parameters[i]);
            // A formula without parameters is one for the defaults.
            let kept = kind.parameters.iter().any(|p| !expr.mentions(p.name));
            if kept && parameters != kind.defaults() {
                continue;
            }
            for i in -160..=160 {
                let x = f64::from(i) / 16.0 + 1e-3;
                let (is, should) = (evaluate(&expr, x, &named), (kind.value)(x, &parameters));
                let is = is.unwrap_or_else(|| panic!("{text} can't be evaluated"));
                assert!(
                    (is - should).abs() <= 2e-6 * should.abs().max(1.0),
                    "{text} at {x}: {is}, not {should}"
                );
            }
        }
    }
}

#[test]
fn every_form_is_read() {
    for form in kinds().flat_map(|k| k.exported) {
        Expr::parse(form.formula).unwrap();
    }
}

#[test]
fn whatever_is_looked_for_can_be_fitted() {
    for kind in kinds().filter(|kind| kind.detectable) {
        assert_eq!(kind.fit.is_some(), !kind.parameters.is_empty(), "{}", kind.name);
    }
}

#[test]
fn every_derivative_is_that_of_the_function() {
    let mut wrong = vec![];
    for kind in kinds() {
        for parameters in samples(kind) {
            let kinks = (kind.kinks)(&parameters);
            let off_by = |x: f64| {
                let h = 1e-6;
                let by = |h: f64| (kind.value)(x + h, &parameters);
                let (is, should) = ((kind.slope)(x, &parameters), (by(h) - by(-h)) / (2.0 * h));
                let off = (is - should).abs() / should.abs().max(1.0);
                let close = off <= 1e-6;
                (!close).then(|| format!("{} {parameters:?} at {x}: {is}, not {should}", kind.name))
            };
            let xs = (-400..=400).map(|i| f64::from(i) / 50.0 + 1e-3);
            wrong.extend(xs.filter(|x| kinks.iter().all(|k| (x - k).abs() > 1e-5)).find_map(off_by));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_derivative_jumps_at_kinks_and_nowhere_else() {
    let mut wrong = vec![];
    for kind in kinds() {
        for parameters in samples(kind) {
            let slope = |x: f64| (kind.slope)(x, &parameters);
            let value = |x: f64| (kind.value)(x, &parameters);
            let near = 1e-9;
            // The step is the one function that jumps itself.
            let jumps = |x: f64| {
                (slope(x + near) - slope(x - near)).abs() > 1e-5 || value(x + near) - value(x - near) > 0.5
            };
            for kink in (kind.kinks)(&parameters) {
                if !jumps(kink) {
                    wrong.push(format!("{} {parameters:?} has no kink at {kink}", kind.name));
                }
            }
        }
        let Some(kink) = [-3.0, -1.0, 0.0, 1.0, 3.0, 6.0].iter().find(|&&x| {
            let p = kind.defaults();
            let off = (kind.slope)(x + 1e-9, &p) - (kind.slope)(x - 1e-9, &p);
            off.abs() > 1e-4 && !(kind.kinks)(&p).iter().any(|k| (k - x).abs() < 1e-6)
        }) else {
            continue;
        };
        wrong.push(format!("{} has a kink at {kink}", kind.name));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ranges_and_monotony_are_those_of_a_sweep() {
    let mut wrong = vec![];
    for kind in kinds() {
        let values: Vec<f64> =
            (-64_000..=64_000).map(|i| (kind.value)(f64::from(i) / 1000.0, &kind.defaults())).collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Only a function that goes on falling or rising is far out at 64.
        let fits = |bound: f64, is: f64| {
            if bound.is_infinite() { is * bound.signum() > 0.6 } else { (is - bound).abs() < 0.02 }
        };
        let inside = kind.range[0] - 1e-9 <= low && high <= kind.range[1] + 1e-9;
        if !inside || !fits(kind.range[0], low) || !fits(kind.range[1], high) {
            wrong.push(format!("{}: from {low} to {high}, not {:?}", kind.name, kind.range));
        }
        let monotonic = values.windows(2).all(|pair| pair[0] <= pair[1] + 1e-15);
        if monotonic != kind.monotonic {
            wrong.push(format!("{}: monotonic is {monotonic}", kind.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn values_and_derivatives_are_those_of_sixty_digits() {
    let text = include_str!("../../../../tests/fixtures/activations.csv");
    let (mut wrong, mut checked) = (vec![], 0);
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let &[name, x, value, slope] = cells.as_slice() else { panic!("{line}") };
        let spelling = match name {
            "leaky_relu_0.1" => "leaky_relu:0.1",
            "sine_1" => "sine:1",
            "swish" => "swish:1.5",
            name => name,
        };
        let activation = Activation::parse(spelling).unwrap();
        let x: f64 = x.parse().unwrap();
        for (what, should, is) in [("f", value, activation.value(x)), ("f'", slope, activation.slope(x))] {
            let Ok(should) = should.parse::<f64>() else { continue };
            checked += 1;
            // Near a zero of a sum of large terms, its digits are those of the terms; the reference's derivatives
            // have 60 of them, so that nothing below 1e-47 is known.
            let scale =
                if x.abs() < 30.0 && should.abs() > 1e-4 { should.abs().max(0.1) } else { should.abs() };
            let close = (is - should).abs() <= 1e-12 * scale + 1e-47;
            if !close {
                wrong.push(format!("{what} of {name} at {x}: {is}, not {should}"));
            }
        }
    }
    assert!(checked > 4000, "{checked} values");
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

#[test]
fn not_a_number_stays_one() {
    for kind in kinds().filter(|k| k.name != "step") {
        assert!((kind.value)(f64::NAN, &kind.defaults()).is_nan(), "{}", kind.name);
    }
}

#[test]
fn every_row_is_complete() {
    for kind in kinds() {
        let texts = [kind.name, kind.formula, kind.derivative, kind.source];
        assert!(texts.iter().all(|t| !t.is_empty()), "{}", kind.name);
        assert!(!kind.exported.is_empty(), "{} has no ONNX form", kind.name);
        assert!(kind.range[0] < kind.range[1], "{}", kind.name);
        let unused = |p: &&Parameter| !kind.exported.iter().any(|f| f.formula.contains(p.name));
        assert!(kind.parameters.iter().find(unused).is_none(), "{}", kind.name);
    }
}

#[test]
fn transcendentals_are_those_of_the_most_elementary_form() {
    for (name, count) in [
        ("relu", 0),
        ("silu", 1),
        ("mish", 3),
        ("gelu", 1),
        ("eis1", 3),
        ("hp1", 0),
        ("softmax", 1),
        ("meta_acon", 2),
    ] {
        assert_eq!(Activation::parse(name).unwrap().kind.transcendentals(), count, "{name}");
    }
}

#[test]
fn names_take_peoples_spellings() {
    let rows = [
        ("LeakyReLU", "leaky_relu"),
        ("Hardswish", "hard_swish"),
        ("hard-swish", "hard_swish"),
        ("SiLU", "silu"),
        ("swish", "silu"),
        ("nn.SiLU", "silu"),
        ("swish:1.5", "swish:1.5"),
        ("leaky_relu:0.1", "leaky_relu:0.1"),
        ("LeakyReLU:0.01", "leaky_relu"),
        ("ELU:1.0", "elu"),
        ("relu_6", "relu6"),
        ("hardtanh", "hard_tanh"),
        ("RReLU", "rrelu"),
        ("EIS-1", "eis1"),
        ("HP-2", "hp2"),
        ("AconC", "acon_c"),
        ("MetaAconC", "meta_acon"),
        ("maxout:4", "maxout:4"),
    ];
    for (text, expected) in rows {
        assert_eq!(Activation::parse(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn every_spelling_means_one_kind_of_so_many_parameters() {
    let mut seen = HashMap::new();
    for kind in kinds() {
        for name in std::iter::once(&kind.name).chain(kind.aliases) {
            if let Some(other) = seen.insert((plain(name), kind.parameters.len()), kind.name) {
                assert_eq!(other, kind.name, "{name} means two kinds");
            }
        }
    }
}

#[test]
fn a_wrong_name_or_parameter_says_what_there_is() {
    let rows = [
        ("missh", "did you mean mish?"),
        ("foo", "there are"),
        ("relu:1", "has none"),
        ("leaky_relu:a", "`a` is not a number for alpha"),
        ("elu:nan", "not a number"),
        ("", "unknown activation"),
    ];
    for (text, expected) in rows {
        let message = Activation::parse(text).unwrap_err().message;
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn the_form_depends_on_opset_and_exporter() {
    let form = |name, opset, exporter| {
        Activation::parse(name).unwrap().exported(opset, exporter, data_type::FLOAT).unwrap()
    };
    assert_eq!(form("mish", 22, Exporter::TorchScript), "x * Tanh(Softplus(x))");
    assert_eq!(form("mish", 18, Exporter::Dynamo), "Mish(x)");
    assert_eq!(form("mish", 17, Exporter::Dynamo), "x * Tanh(Softplus(x))");
    assert_eq!(form("hard_swish", 14, Exporter::TorchScript), "HardSwish(x)");
    assert_eq!(form("hard_swish", 13, Exporter::TorchScript), "x * HardSigmoid(x, alpha=1/6, beta=0.5)");
    assert!(form("gelu", 20, Exporter::TorchScript).starts_with("Gelu("));
    assert!(form("gelu", 19, Exporter::TorchScript).contains("Erf"));
    let celu = Activation::parse("celu").unwrap();
    let half = celu.exported(17, Exporter::TorchScript, data_type::FLOAT16).unwrap();
    assert!(half.contains("Elu"), "Celu is defined for single floats only: {half}");
    let error =
        Activation::parse("gelu").unwrap().exported(8, Exporter::TorchScript, data_type::FLOAT).unwrap_err();
    assert!(error.message.contains("needs opset 9"), "{error}");
}
