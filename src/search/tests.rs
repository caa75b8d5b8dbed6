//! Searches by scripted workers: what an interrupt leaves, and what little memory makes of blocks.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use super::document::Against;
use super::*;
use crate::activation::Activation;
use crate::device::Lost;
use crate::error::Result;
use crate::measure::scripted::{Fake, Moment, World, measurement};
use crate::measure::{Interrupt, Measurement, Silent};
use crate::onnx::Model;
use crate::protocol::Request;
use crate::record::Lowering;
use crate::swap::Selection;

const MS: u64 = 1_000_000;

/// Two sites, each with one alternative or two, in so much time.
fn plan(among: &[&str], time: Duration) -> Plan {
    let model = Model::read(Path::new("tests/models/minidet_silu.onnx")).expect("a model");
    let selection = Selection { sites: vec!["/stem/*".into(), "/d1/*".into()], ..Selection::default() };
    let among: Vec<Activation> =
        among.iter().map(|name| Activation::parse(name).expect("an activation")).collect();
    let sites = Sites::of(&model, &selection, &among).expect("sites");
    Plan {
        measurement: Measurement { variants: vec![].into(), forks: 24, time, ..measurement() },
        engine: Default::default(),
        lowering: Lowering::Exported,
        among,
        budget: None,
        against: Against::Sites,
        prices: vec![],
        sites,
    }
}

fn searched(plan: &Plan, earlier: Option<Search>, world: Rc<World>, interrupt: &Interrupt) -> Result<Search> {
    run(plan, earlier, &Fake(world), &mut Silent, interrupt, &mut |_| Ok(()))
}

/// Goes on with a search until the user interrupts it in a process of the second variant, the `start`th.
fn interrupted(plan: &Plan, earlier: Option<Search>, start: usize) -> Search {
    let interrupt = Interrupt::default();
    let raised = interrupt.clone();
    let now = move |m: Moment, request: &Request| {
        ((m.variant, m.start) == (1, start) && matches!(request, Request::Turn { .. })).then(|| {
            raised.raise();
            Err(Lost::Interrupted)
        })
    };
    let search = searched(plan, earlier, World::new(&[10 * MS; 8], now), &interrupt).expect("some blocks");
    assert!(interrupt.is_raised() && search.settings.interrupted);
    search
}

#[test]
fn an_interrupt_loses_no_block_and_no_fork_of_the_front() {
    let blocks = interrupted(&plan(&["relu"], Duration::from_secs(1000)), None, 5);
    assert_eq!((blocks.blocks.len(), blocks.cut_off.as_ref()), (4, None));

    // Time for blocks is up.
    let mut before = blocks.clone();
    before.settings.blocks_ns = 4000 * MS;
    let plan = plan(&["relu"], Duration::from_secs(5));
    let forks = |search: &Search| search.cut_off.as_ref().map_or(vec![], |r| r.variants[1].forks.clone());
    let first = interrupted(&plan, Some(before), 2);
    assert_eq!((first.blocks == blocks.blocks, forks(&first).len()), (true, 1));
    assert_eq!(first.settings.lost, None, "nobody but the user ended it");
    let second = interrupted(&plan, Some(first.clone()), 2);
    assert_eq!((second.blocks == blocks.blocks, forks(&second).len()), (true, 2));
    assert_eq!(forks(&second)[..1], forks(&first)[..]);

    let end = |earlier: Search| {
        let world = World::new(&[10 * MS; 8], |_, _| None);
        searched(&plan, Some(earlier), world, &Interrupt::default()).expect("searched")
    };
    let whole = end(second.clone());
    assert!(!whole.settings.interrupted && whole.cut_off.is_none() && whole.blocks == blocks.blocks);
    assert!(whole.additivity.iter().flat_map(|a| &a.at_once).all(|row| row.measured.is_some()));

    let mut newer = second.clone();
    newer.engine.version = "0.0.1".into();
    let world = World::new(&[10 * MS; 8], |_, _| None);
    let error = searched(&plan, Some(newer), world, &Interrupt::default()).expect_err("another version");
    assert!(error.message.contains("it was measured with") && error.message.contains("0.0.1"), "{error}");

    // What is of another front is not gone on with.
    let mut other = second;
    other.cut_off.iter_mut().for_each(|record| record.variants.truncate(1));
    assert!(end(other).cut_off.is_none());
}

#[test]
fn where_memory_is_small_blocks_are() {
    let searched_in = |megabytes: u64, among: &[&str], against: Against| {
        let world = World::new(&[10 * MS; 10], |_, _| None);
        world.available_bytes.set(Some(megabytes << 20));
        let plan = Plan { against, ..plan(among, Duration::from_nanos(1)) };
        searched(&plan, None, world, &Interrupt::default())
    };
    let sizes = |search: &Search| search.blocks.iter().map(|b| b.designs.len()).collect::<Vec<_>>();
    let large = searched_in(10_000, &["relu"], Against::Sites).expect("searched");
    assert_eq!(sizes(&large), [6; 4]);
    // Room for three at once: blocks of two, and as many designs.
    let small = searched_in(300, &["relu"], Against::Outputs).expect("searched");
    assert_eq!((sizes(&small), small.prices.len()), (vec![2; 12], 2));
    assert_eq!(small.blocks[3].designs, small.blocks[2].designs);
    assert_eq!(small.check(), Ok(()));
    let three = searched_in(300, &["relu", "mish"], Against::Outputs).expect("searched");
    assert_eq!((sizes(&three), three.prices.len()), (vec![3; 8], 4));

    // It gets smaller when a block should be repeated: that one is measured again, smaller, and then repeated.
    let world = World::new(&[10 * MS; 10], |_, _| None);
    let plan_of = |time| plan(&["relu"], Duration::from_nanos(time));
    let mut begun = searched(&plan_of(1), None, world, &Interrupt::default()).expect("searched");
    begun.blocks.truncate(3);
    begun.additivity = None;
    let world = World::new(&[10 * MS; 10], |_, _| None);
    world.available_bytes.set(Some(300 << 20));
    let dip = searched(&plan_of(1), Some(begun), world, &Interrupt::default()).expect("searched");
    assert_eq!(sizes(&dip)[..4], [6, 6, 2, 2]);
    assert_eq!((&dip.blocks[3].designs, dip.check()), (&dip.blocks[2].designs, Ok(())));

    let refused = searched_in(300, &["relu", "mish", "elu"], Against::Sites).expect_err("four levels");
    assert!(refused.message.contains("memory is too small for 8 variants at once"), "{}", refused.message);
}
