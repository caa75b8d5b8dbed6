//! Variants that don't fit into memory together.

use std::cell::RefCell;

use super::world::Moment;
use super::*;

pub fn six() -> Measurement {
    let roles = [
        ("original", Role::Original),
        ("mish", Role::Swap),
        ("gelu", Role::Swap),
        ("silu", Role::Swap),
        ("elu", Role::Swap),
        ("control", Role::Control),
    ];
    Measurement { variants: roles.map(|(name, role)| planned(name, role)).to_vec().into(), ..measurement() }
}

/// Memory for four of their workers, of 64 MiB each.
pub fn four_fit() -> Option<u64> {
    Some((4.2 * f64::from(64 << 20) / 0.7) as u64)
}

/// Measured where only four fit; the script is for the second group. Once it has broken off, the target can't be reached.
fn in_two_groups(
    measurement: &Measurement,
    second: impl Fn(Moment, &Request) -> Option<Result<Reply, Lost>> + 'static,
    interrupt: &Interrupt,
) -> Record {
    let folders = RefCell::new(vec![]);
    let world = World::new(&[10 * MS, 12 * MS, 9 * MS, 10 * MS], move |m, request| {
        let mut folders = folders.borrow_mut();
        if let Request::Load(load) = request {
            let folder = load.model.split("/variant-").next().unwrap_or_default().to_owned();
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        (folders.len() > 1).then(|| second(m, request)).flatten()
    });
    world.available_bytes.set(four_fit());
    world.reachable.set(false);
    let fake = Fake(Rc::clone(&world));
    measure_by(&world, measurement, None, &fake, &mut Silent, interrupt).expect("the first group at least")
}

#[test]
fn variants_that_do_not_fit_are_measured_in_groups_with_an_original_and_a_control_each() {
    let six = six();
    let names = |available| -> Vec<Vec<String>> {
        let groups = groups::split(&six, available);
        groups.iter().map(|g| g.variants.iter().map(|v| v.name.clone()).collect()).collect()
    };
    assert_eq!(names(None).len(), 1);
    assert_eq!(names(Some(1 << 40)).len(), 1);
    assert_eq!(
        names(four_fit()),
        [
            vec!["original", "mish", "control", "gelu"],
            vec!["original, group 2", "silu", "control, group 2", "elu"]
        ]
    );
    assert_eq!(names(Some(1)).len(), 4, "one each, if not even two fit");

    let record = in_two_groups(&six, |_, _| None, &Interrupt::default());
    assert!(!record.settings.interrupted && record.settings.lost.is_none());
    let told: Vec<_> = record.variants.iter().map(|v| v.delta.as_ref().map(|d| d.against.as_str())).collect();
    let (one, two) = (Some("original"), Some("original, group 2"));
    assert_eq!(told, [None, one, one, one, None, two, two, two]);
    assert!(record.variants.iter().all(|v| (v.role == Role::Control) != v.activation_cost.is_some()));
    assert!(record.order.iter().flatten().flatten().any(|&v| v == 7));
    assert!(record.environment.warnings.iter().any(|w| w.contains("measured in 2 groups")));
    assert_eq!(record.settings.groups, Some(2));
}

#[test]
fn a_target_that_is_lost_in_the_last_group_is_lost() {
    let second = |m: Moment, request: &Request| {
        let now = m.turns > 3 && matches!(request, Request::Turn { .. });
        now.then(|| died(End::Disconnected, None)).flatten()
    };
    let record = in_two_groups(&six(), second, &Interrupt::default());
    assert!(record.settings.lost.is_some() && !record.settings.interrupted);
    assert_eq!(record.variants.len(), 8, "what was measured of the second group is kept");
    let error = complete(&record, true).expect_err("not complete");
    assert!(error.exit == Exit::Lost && !error.message.contains("--resume"), "{error}");
}

#[test]
fn an_interrupt_before_the_second_group_has_a_round_is_an_interrupt() {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let second = move |_: Moment, request: &Request| {
        matches!(request, Request::Load(_)).then(|| {
            raised.raise();
            Err(Lost::Interrupted)
        })
    };
    let record = in_two_groups(&six(), second, &interrupt);
    assert_eq!((record.settings.interrupted, record.settings.lost.as_deref()), (true, None));
    assert_eq!((record.variants.len(), record.settings.groups), (4, Some(2)));
}

#[test]
fn a_control_that_only_a_later_group_has_keeps_its_name() {
    let mut two = measurement();
    two.subjects.push(subject("other"));
    let of_other = |name, role| Planned { subject: 1, ..planned(name, role) };
    let variants = [
        planned("original", Role::Original),
        planned("mish", Role::Swap),
        planned("control", Role::Control),
        of_other("other", Role::Original),
        of_other("other: mish", Role::Swap),
        of_other("other: control", Role::Control),
    ];
    two.variants = variants.to_vec().into();
    let groups = groups::split(&two, four_fit());
    let names: Vec<&str> = groups.iter().flat_map(|g| g.variants.iter()).map(|v| v.name.as_str()).collect();
    assert!(groups.len() > 1 && two.variants.iter().all(|v| names.contains(&v.name.as_str())), "{names:?}");
    let once: std::collections::HashSet<&&str> = names.iter().collect();
    assert_eq!(once.len(), names.len());
}

#[test]
fn a_model_that_only_the_second_group_loads_has_its_inputs() {
    let mut two = six();
    two.subjects.push(subject("other"));
    Arc::make_mut(&mut two.variants)[3].subject = 1;
    let record = in_two_groups(&two, |_, _| None, &Interrupt::default());
    assert!(record.settings.groups.is_some());
    assert!(
        record.models.len() == 2 && record.models.iter().all(|m| m.inputs.len() == 1),
        "{:?}",
        record.models
    );
}
