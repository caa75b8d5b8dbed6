//! What is measured of each model: the model as it is, with other activations, and with none.

use crate::activation::Activation;
use crate::engine::Backend;
use crate::engine::knobs::{self, Knobs};
use crate::engines;
use crate::error::{Error, Result};
use crate::limits;
use crate::measure::{Planned, PlannedEngine};
use crate::onnx::Model;
use crate::protocol::EngineChoice;
use crate::record::Role;
use crate::swap::mix::{self, Chosen};
use crate::swap::{self, Found, Lowering, Mix, Selection};

/// What to swap in, where.
#[derive(Clone, Debug)]
pub struct Swaps {
    /// A variant for each and each lowering: one activation everywhere, or different ones. If there are none, only the
    /// original is measured.
    pub mixes: Vec<Mix>,
    pub lowerings: Vec<Lowering>,
    pub selection: Selection,
    /// Whether the control is measured beside the swaps.
    pub control: bool,
    /// The engines that run all of it; never empty.
    pub engines: Vec<PlannedEngine>,
    /// Settings of the engine's knobs with which all variants are measured again.
    pub knobs: Vec<Knobs>,
}

impl Swaps {
    /// How many variants they come to for a model, at most.
    fn count(&self) -> u64 {
        let of_engine = count(self.mixes.len(), self.lowerings.len(), self.control, self.knobs.len());
        of_engine.saturating_mul(self.engines.len() as u64)
    }
}

/// How many variants a model has, at most: itself, its swaps and the control, without knobs and with each setting of them.
pub fn count(mixes: usize, lowerings: usize, control: bool, knobs: usize) -> u64 {
    let (mixes, lowerings) = (mixes as u64, lowerings as u64);
    (1 + mixes * lowerings + u64::from(control)) * (1 + knobs as u64)
}

/// The variants of all models, by model and each one's original first. Of several models, whose names must
/// differ, each variant's name tells its model. Mixes that come to the same are measured once, which is told to `note`.
pub fn variants(
    models: &[(&str, &Model)],
    swaps: &Swaps,
    note: &mut dyn FnMut(&str),
) -> Result<Vec<Planned>> {
    limits::check(models.len() as u64 * swaps.count(), limits::VARIANTS, "variants")
        .map_err(|e| e.context("the measurement"))?;
    check_knobs(swaps)?;
    mix::check_names(&swaps.mixes)?;
    let mut all = vec![];
    for (subject, (name, model)) in models.iter().enumerate() {
        let several = models.len() > 1;
        // Nodes inside functions would have no indices by which ops could be told apart.
        let (model, found) = swap::flat(model);
        let designs = designs(found, swaps).map_err(|e| e.context(name))?;
        designs.tell_twins(if several { Some(name) } else { None }, note);
        for engine in &swaps.engines {
            let backend = engines::named(&engine.choice.name)?;
            let of_it = of_model(&model, &designs, swaps, backend).map_err(|e| e.context(name))?;
            let of_engine =
                if swaps.engines.len() > 1 { format!(", {}", engine.label) } else { String::new() };
            let knobs = swaps.knobs.iter().filter(|knobs| concerns(backend, knobs));
            for knobs in std::iter::once(&Knobs::new()).chain(knobs) {
                all.extend(of_it.iter().map(|planned| {
                    let name = if several { name_of(name, planned) } else { planned.name.clone() };
                    let name = with_knobs(name + &of_engine, knobs, backend);
                    Planned { subject, name, engine: engine.clone(), knobs: knobs.clone(), ..planned.clone() }
                }));
            }
        }
    }
    Ok(all)
}

/// Fails for a knob that none of the engines has: it would not be measured.
fn check_knobs(swaps: &Swaps) -> Result<()> {
    let backends = swaps.engines.iter().map(|engine| engines::named(&engine.choice.name));
    let known = backends.map(|b| Ok(b?.knobs())).collect::<Result<Vec<_>>>()?.concat();
    let names = swaps.knobs.iter().flat_map(|knobs| knobs.keys());
    match names.into_iter().find(|name| !known.iter().any(|knob| knob.name == **name)) {
        Some(name) => {
            Err(Error::input(format!("knob {name}: no engine of this measurement has it: see --engine")))
        }
        None => Ok(()),
    }
}

/// Whether all of the settings are this engine's.
fn concerns(backend: &dyn Backend, knobs: &Knobs) -> bool {
    let known = backend.knobs();
    knobs.keys().all(|name| known.iter().any(|knob| knob.name == *name))
}

/// What the mixes come to in a model, those that come to the same once.
struct Designs {
    chosen: Chosen,
    /// Each that is measured, by number, and the names of those that come to the same.
    measured: Vec<(usize, Vec<String>)>,
    names: Vec<String>,
}

impl Designs {
    fn tell_twins(&self, model: Option<&str>, note: &mut dyn FnMut(&str)) {
        for (number, twins) in self.measured.iter().filter(|(_, twins)| !twins.is_empty()) {
            let of = model.map_or(String::new(), |model| format!("{model}: "));
            note(&format!(
                "{of}{} and {} come to the same at every site: measured once",
                self.names[*number],
                twins.join(" and ")
            ));
        }
    }
}

fn designs(found: Found, swaps: &Swaps) -> Result<Designs> {
    let chosen = match swaps.mixes.is_empty() {
        true => Chosen { found, concerned: vec![], assignments: vec![] },
        false => mix::choose(found, &swaps.selection, &swaps.mixes)?,
    };
    let names: Vec<String> = swaps.mixes.iter().map(Mix::short).collect();
    let mut measured: Vec<(usize, Vec<String>)> = vec![];
    for (number, assignment) in chosen.assignments.iter().enumerate() {
        let twin = |(earlier, _): &&mut (usize, Vec<String>)| chosen.assignments[*earlier] == *assignment;
        match measured.iter_mut().find(twin) {
            // What is given twice in the same words needs no telling.
            Some((earlier, _)) if names[*earlier] == names[number] => {}
            Some((_, twins)) => twins.push(names[number].clone()),
            None => measured.push((number, vec![])),
        }
    }
    Ok(Designs { chosen, measured, names })
}

fn of_model(model: &Model, designs: &Designs, swaps: &Swaps, backend: &dyn Backend) -> Result<Vec<Planned>> {
    let (_, abilities) = backend.about();
    let Chosen { found, concerned, assignments } = &designs.chosen;
    let planned = |name: &str, role, rule: &str, lowering: Lowering, variant| Planned {
        subject: 0,
        name: name.into(),
        role,
        engine: PlannedEngine::default(),
        rule: rule.into(),
        lowering,
        knobs: Knobs::new(),
        variant,
    };
    let original = swap::original(model, found, concerned);
    let mut variants = vec![planned("original", Role::Original, "", Lowering::Exported, original)];
    for (number, _) in &designs.measured {
        let (mix, assignment) = (&swaps.mixes[*number], &assignments[*number]);
        let mut made = vec![];
        for lowering in swap::of_mix(&swaps.lowerings, assignment, &abilities) {
            let at = |to: &Activation| swap::effective(lowering, to, &abilities);
            let variant = swap::assign(model, found, assignment, &at).map_err(|e| in_mix(mix, e))?;
            // Its sites may be of a type without kernels: then it is as exported, and measured once.
            let lowering = if variant.kernels() > 0 { Lowering::Kernel } else { Lowering::Exported };
            if !made.contains(&lowering) {
                made.push(lowering);
                let name = format!("{}, {}", designs.names[*number], lowering.name());
                variants.push(planned(&name, Role::Swap, &mix.to_string(), lowering, variant));
            }
        }
    }
    if swaps.control && !swaps.mixes.is_empty() {
        let identity = Activation::parse("identity")?;
        let variant = swap::rewrite(model, found, concerned, &identity, Lowering::Exported)?;
        variants.push(planned("control", Role::Control, "identity", Lowering::Exported, variant));
    }
    Ok(variants)
}

/// An error with the mix it is about, where that is more than an activation, which it names itself.
fn in_mix(mix: &Mix, error: Error) -> Error {
    if mix.rules.is_empty() && mix.name.is_none() { error } else { error.context(mix.short()) }
}

/// `mish, exported, DISABLE_DIRECT_SPATIAL=1`
fn with_knobs(name: String, knobs: &Knobs, backend: &dyn Backend) -> String {
    match knobs.is_empty() {
        true => name,
        false => format!("{name}, {}", knobs::short(&backend.knobs(), knobs)),
    }
}

/// The engines of these names, `tract`, `ort` or `ort=LIBRARY`, under labels that differ. Fails for an unknown one, one that has
/// no library, and where there is none.
pub fn planned_engines(names: &[String]) -> Result<Vec<PlannedEngine>> {
    let choice = |name: &String| {
        let (name, library) = match name.split_once('=') {
            Some((name, library)) => (name, Some(library.to_owned())),
            None => (name.as_str(), None),
        };
        let backend = engines::named(name)?;
        if library.as_deref() == Some("") {
            return Err(Error::input(format!("{name}=: give the library's file behind it, or {name} alone")));
        }
        if library.is_some() && !backend.has_library() {
            return Err(Error::input(format!("{name} is linked in: it takes no library")));
        }
        Ok(EngineChoice { name: name.to_owned(), library })
    };
    let choices = names.iter().map(choice).collect::<Result<Vec<_>>>()?;
    if choices.is_empty() {
        return Err(Error::input("there is no engine: give tract, ort or both"));
    }
    let labels = tell_apart(&choices.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    Ok(labels.into_iter().zip(choices).map(|(label, choice)| PlannedEngine { label, choice }).collect())
}

/// Every combination of values, where a knob may also be left unset: first those of the first knob alone. Without the
/// one in which all are unset. Fails where there are too many.
pub fn combinations(axes: &[(String, Vec<String>)]) -> Result<Vec<Knobs>> {
    let all = axes.iter().fold(1u64, |n, (_, values)| n.saturating_mul(1 + values.len() as u64));
    limits::check(all, limits::VARIANTS, "combinations").map_err(|e| e.context("knobs"))?;
    let mut all = vec![Knobs::new()];
    for (name, values) in axes {
        let with = |value: &String| {
            let add = |knobs: &Knobs| {
                let mut knobs = knobs.clone();
                knobs.insert(name.clone(), value.clone());
                knobs
            };
            all.iter().map(add).collect::<Vec<_>>()
        };
        let more: Vec<Knobs> = values.iter().flat_map(with).collect();
        all.extend(more);
    }
    Ok(all.split_off(1))
}

/// A variant's name beside those of other models: `v5 (silu)`, `v5: mish, exported`, `v5: control`.
fn name_of(model: &str, planned: &Planned) -> String {
    if planned.role != Role::Original {
        return format!("{model}: {}", planned.name);
    }
    let sites = &planned.variant.sites;
    match sites.first() {
        Some(first) if sites.iter().all(|site| site.from == first.from) => {
            format!("{model} ({})", first.from)
        }
        _ => model.into(),
    }
}

/// The names, with a number where one occurs again: `m`, `m #2`.
pub fn tell_apart(names: &[String]) -> Vec<String> {
    let mut apart: Vec<String> = vec![];
    for name in names {
        let mut again = (2..).map(|n| format!("{name} #{n}"));
        let mut own = name.clone();
        while apart.contains(&own) {
            own = again.next().unwrap_or_default();
        }
        apart.push(own);
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{TypeValue, data_type};
    use crate::zoo;

    fn variants(models: &[(&str, &Model)], swaps: &Swaps) -> Result<Vec<Planned>> {
        super::variants(models, swaps, &mut |_| {})
    }

    fn swaps(activations: &[&str]) -> Swaps {
        Swaps {
            mixes: activations.iter().map(|a| Mix::parse(a).unwrap()).collect(),
            lowerings: vec![Lowering::Exported],
            selection: Selection::default(),
            control: true,
            engines: vec![PlannedEngine::default()],
            knobs: vec![],
        }
    }

    #[test]
    fn every_model_has_its_own_original_swaps_and_control() {
        let (a, b) = (zoo::build("siren", None).unwrap(), zoo::build("mobilenet_v2", None).unwrap());
        let planned = variants(&[("a", &a), ("b", &b)], &swaps(&["mish", "mish"])).unwrap();
        let names: Vec<(usize, &str)> = planned.iter().map(|p| (p.subject, p.name.as_str())).collect();
        assert_eq!(
            names,
            [
                (0, "a (sine)"),
                (0, "a: mish, exported"),
                (0, "a: control"),
                (1, "b (relu6)"),
                (1, "b: mish, exported"),
                (1, "b: control"),
            ]
        );
        let alone = variants(&[("a", &a)], &swaps(&["mish"])).unwrap();
        let names: Vec<&str> = alone.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["original", "mish, exported", "control"]);
        assert_eq!(variants(&[("a", &a), ("b", &b)], &swaps(&[])).unwrap().len(), 2);
    }

    #[test]
    fn mixes_that_come_to_the_same_are_measured_once_and_the_control_is_without_all_they_change() {
        let model = zoo::build("siren", None).unwrap();
        let sites: Vec<String> = swap::find(&model).sites.into_iter().map(|site| site.name).collect();
        let (first, last) = (&sites[0], &sites[sites.len() - 1]);
        let texts = [
            "relu".to_owned(),
            format!("most: relu, {first}=mish"),
            format!("again: keep, *=relu, {first}=mish"),
            format!("last: {last}=silu"),
        ];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let selection = Selection { skip: vec![last.clone()], ..Selection::default() };
        let swaps = Swaps { selection, ..swaps(&texts[..2]) };
        let mut notes = vec![];
        let mut planned = |swaps: &Swaps| {
            super::variants(&[("m", &model)], swaps, &mut |line| notes.push(line.to_owned())).unwrap()
        };
        let of =
            |planned: &Planned| planned.variant.sites.iter().map(|site| site.to.clone()).collect::<Vec<_>>();
        let names = |planned: &[Planned]| {
            planned.iter().map(|p| (p.name.clone(), p.rule.clone())).collect::<Vec<_>>()
        };
        let two = planned(&swaps);
        assert_eq!(names(&two)[2], ("most, exported".to_owned(), texts[1].to_owned()));
        assert_eq!((of(&two[2])[0].as_str(), of(&two[2])[1].as_str()), ("mish", "relu"));
        assert_eq!(of(&two[3]).last().unwrap(), "sine", "what nothing changes stays in the control");
        let everywhere = Selection::default();
        let mixes = texts.iter().map(|text| Mix::parse(text).unwrap()).collect();
        let all = planned(&Swaps { mixes, selection: everywhere, ..swaps.clone() });
        assert_eq!(all.len(), 5, "{:?}", names(&all));
        assert_eq!(of(&all[3])[..sites.len() - 1], vec!["sine"; sites.len() - 1][..]);
        assert_eq!(of(&all[4]), vec!["identity"; sites.len()]);
        assert_eq!(notes, ["most and again come to the same at every site: measured once"]);
    }

    #[test]
    fn a_kernel_stands_only_where_the_engine_wants_one() {
        let model = zoo::build("siren", None).unwrap();
        let first = swap::find(&model).sites[0].name.clone();
        let text = format!("mish, {first}=relu");
        let lowerings = vec![Lowering::Exported, Lowering::Kernel];
        let planned = variants(&[("m", &model)], &Swaps { lowerings, ..swaps(&[&text]) }).unwrap();
        let kernel = planned.iter().find(|p| p.lowering == Lowering::Kernel).unwrap();
        assert_eq!(kernel.name, format!("mish {first}=relu, kernel"));
        let lowerings: Vec<_> = kernel.variant.sites.iter().map(|site| site.lowering.unwrap()).collect();
        assert_eq!(lowerings[..2], [Lowering::Exported, Lowering::Kernel]);
        assert_eq!(kernel.variant.kernels(), lowerings.len() - 1);
    }

    #[test]
    fn no_kernel_is_spoken_of_where_none_runs() {
        let names =
            |model: &Model, activations: &[&str], lowerings: &[Lowering]| -> Vec<(String, Lowering)> {
                let swaps = Swaps { lowerings: lowerings.to_vec(), control: false, ..swaps(activations) };
                let planned = variants(&[("m", model)], &swaps).unwrap();
                planned.into_iter().skip(1).map(|p| (p.name, p.lowering)).collect()
            };
        let single = swap::behind_convolution(&Activation::parse("silu").unwrap(), 4).unwrap();
        let exported = |name: &str| (format!("{name}, exported"), Lowering::Exported);
        let kernel = |name: &str| (format!("{name}, kernel"), Lowering::Kernel);
        let both = [Lowering::Exported, Lowering::Kernel];
        assert_eq!(names(&single, &["relu", "mish"], &both[1..]), [exported("relu"), kernel("mish")]);
        assert_eq!(
            names(&single, &["relu", "mish"], &both),
            [exported("relu"), exported("mish"), kernel("mish")]
        );
        let mut double = single.clone();
        let graph = double.graph_mut();
        let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
        for kind in values.filter_map(|v| v.r#type.as_mut()?.value.as_mut()) {
            if let TypeValue::Tensor(tensor) = kind {
                tensor.elem_type = Some(data_type::DOUBLE);
            }
        }
        graph.initializer.iter_mut().for_each(|t| t.data_type = Some(data_type::DOUBLE));
        for lowerings in [&both[..], &both[1..]] {
            assert_eq!(names(&double, &["mish"], lowerings), [exported("mish")], "once");
        }
    }

    #[test]
    fn knobs_are_an_axis_that_starts_without_them() {
        let model = zoo::build("siren", None).unwrap();
        let axes = [
            ("TRACT_LAZY_IM2COL_MIN_KERNEL".to_owned(), vec!["1".to_owned(), "2".into()]),
            ("TRACT_DISABLE_DIRECT_SPATIAL".into(), vec!["1".into()]),
        ];
        let swaps = Swaps { knobs: combinations(&axes).unwrap(), control: false, ..swaps(&["mish"]) };
        let planned = variants(&[("m", &model)], &swaps).unwrap();
        let names: Vec<&str> = planned.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "original",
                "mish, exported",
                "original, LAZY_IM2COL_MIN_KERNEL=1",
                "mish, exported, LAZY_IM2COL_MIN_KERNEL=1",
                "original, LAZY_IM2COL_MIN_KERNEL=2",
                "mish, exported, LAZY_IM2COL_MIN_KERNEL=2",
                "original, DISABLE_DIRECT_SPATIAL=1",
                "mish, exported, DISABLE_DIRECT_SPATIAL=1",
                "original, DISABLE_DIRECT_SPATIAL=1 LAZY_IM2COL_MIN_KERNEL=1",
                "mish, exported, DISABLE_DIRECT_SPATIAL=1 LAZY_IM2COL_MIN_KERNEL=1",
                "original, DISABLE_DIRECT_SPATIAL=1 LAZY_IM2COL_MIN_KERNEL=2",
                "mish, exported, DISABLE_DIRECT_SPATIAL=1 LAZY_IM2COL_MIN_KERNEL=2",
            ]
        );
    }

    #[test]
    fn a_knob_that_no_engine_has_is_refused_and_not_left_out() {
        let model = zoo::build("siren", None).unwrap();
        let axes = [("ORT_ARENA".to_owned(), vec!["0".to_owned()])];
        let swaps = Swaps { knobs: combinations(&axes).unwrap(), ..swaps(&["mish"]) };
        let error = variants(&[("m", &model)], &swaps).unwrap_err();
        assert!(error.message.contains("knob ORT_ARENA: no engine"), "{error}");
        let both = planned_engines(&["tract".to_owned(), "ort".to_owned()]).unwrap();
        let planned = variants(&[("m", &model)], &Swaps { engines: both, control: false, ..swaps }).unwrap();
        let with: Vec<_> = planned.iter().filter(|p| !p.knobs.is_empty()).collect();
        assert!(!with.is_empty() && with.iter().all(|p| p.engine.choice.name == "ort"));
    }

    #[test]
    fn a_model_given_twice_has_two_names() {
        let names = ["m", "n", "m", "m", "m #2"].map(String::from);
        assert_eq!(tell_apart(&names), ["m", "n", "m #2", "m #3", "m #2 #2"]);
    }
}
