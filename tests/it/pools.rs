//! Devices that are named several times, by pools, labels or addresses: each is measured once.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::lab::{Bench, Running, ended, wait_for};

/// Two devices that are alike, and one that can't be acquired.
const POOL: &str = "  b1: { target: 'cmd:nice -n 1', pool: pair, labels: [bench] }\n  b2: { target: 'cmd:nice -n 2', pool: pair, \
                    labels: [bench] }\n";
const BROKEN: &str = "  b1: { target: 'cmd:nice -n 1', pool: pair }\n  b2: { target: 'cmd:nice -n 2', pool: pair, acquire: 'echo \
                      broken >&2; exit 1', release: 'true' }\n";

fn target(bench: &Bench, record: &str) -> String {
    bench.record(record).environment.target
}

#[test]
fn a_pool_beside_one_of_its_devices_is_another_one() {
    for targets in [["pair", "b1"], ["b1", "pair"], ["pair", "cmd:nice -n 1"]] {
        let bench = Bench::new(POOL);
        let (code, _, said) = bench.profile("r.json", &["--target", targets[0], "--target", targets[1]]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(target(&bench, "r.pair.json"), "cmd:nice -n 2", "{said}");
        assert!(!said.contains("is measured as"), "that is as it was asked for: {said}");
    }
    let bench = Bench::new(POOL);
    let (code, _, said) = bench.profile("r.json", &["--target", "pair", "--target", "label=bench"]);
    assert!(
        code == Some(2) && said.contains("the pool has 0 devices that no other --target names"),
        "{said}"
    );
    let (code, _, said) = bench.run(&["targets", "--target", "b1", "--target", "cmd:nice -n 1"]);
    assert!(code == Some(2) && said.contains("b1 and cmd:nice -n 1 are one device"), "{said}");
}

#[test]
fn a_device_that_fails_is_not_made_up_for_by_measuring_another_twice() {
    let bench = Bench::new(BROKEN);
    let (code, _, said) = bench.profile("r.json", &["--target", "pair", "--target", "pair"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("target b2: `acquire` failed: broken"), "{said}");
    assert!(
        said.contains("none of its 2 devices will do: ") && said.contains("b1 is measured as pair-"),
        "{said}"
    );
    let records = ["r.pair-1.json", "r.pair-2.json"].map(|name| bench.path(name).exists());
    assert!(records[0] != records[1], "{records:?}: {said}");
}

#[test]
fn a_device_whose_address_only_acquire_tells_is_not_measured_twice() {
    let b = "  a: { target: 'cmd:nice -n 1' }\n  b: { acquire: 'echo cmd:nice -n 1', release: 'true', pool: p }\n";
    let c = |n| format!("  c: {{ acquire: 'echo cmd:nice -n {n}', release: 'true', pool: p }}\n");
    let bench = Bench::new(&format!("{b}{}", c(2)));
    let (code, _, said) = bench.profile("r.json", &["--target", "a", "--target", "p"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!([target(&bench, "r.a.json"), target(&bench, "r.p.json")], ["cmd:nice -n 1", "cmd:nice -n 2"]);
    let bench = Bench::new(b);
    let (code, _, said) = bench.profile("r.json", &["--target", "p", "--target", "a"]);
    assert!(code == Some(3) && said.contains("will do: b is measured as a"), "{said}");
    assert!(!bench.path("r.p.json").exists());
    // Two of a pool may turn out to be one.
    let bench = Bench::new(&format!("{b}{}", c(1)));
    let (code, _, said) = bench.profile("r.json", &["--target", "p", "--target", "p"]);
    assert!(code == Some(3) && said.contains(" is measured as p-"), "{said}");
    let records = ["r.p-1.json", "r.p-2.json"].map(|name| bench.path(name).exists());
    assert!(records[0] != records[1], "{records:?}: {said}");
}

#[test]
fn nobody_takes_the_device_that_another_name_of_the_pool_goes_on_with() {
    let bench = Bench::new(POOL);
    let (code, _, said) = bench.profile("r.json", &["--target", "b1"]);
    assert_eq!(code, Some(0), "{said}");
    fs::copy(bench.path("r.json"), bench.path("r.pair-2.json")).expect("copied");
    let (code, _, said) = bench.profile("r.json", &["--resume", "--target", "pair", "--target", "pair"]);
    assert_eq!(code, Some(0), "{said}");
    let targets = ["r.pair-1.json", "r.pair-2.json"].map(|name| target(&bench, name));
    assert_eq!(targets, ["cmd:nice -n 2", "cmd:nice -n 1"], "{said}");
}

#[test]
fn a_command_does_not_take_itself_for_somebody_else() {
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let entry = |name: &str| format!("  {name}: {{ target: 'cmd:nice -n 3', pool: p{name} }}\n");
    let bench = Bench::new(&names.map(entry).concat());
    let (code, printed, said) = bench.run(&["targets"]);
    assert!(code == Some(0) && !printed.contains("used by"), "{printed}{said}");
    assert_eq!(printed.matches("would use cpu").count(), 1 + names.len(), "{printed}{said}");
    let bench = Bench::new(
        "  b1: { acquire: 'echo >@/begun; until [ -e @/go ]; do :; done; echo cmd:nice', release: 'true', pool: p }\n  \
         b2: { acquire: 'exit 75', release: 'true', pool: p, acquire_limit: 1m }\n",
    );
    let begun = bench.fifo("begun");
    let mut running = Running::start(bench.command(&["targets", "--target", "p", "--target", "p"]));
    wait_for(&begun);
    let said = running.says("b1 is used by another target of this command");
    fs::write(bench.path("go"), "").expect("written");
    running.signal(Signal::INT);
    running.end();
    assert!(!said.contains("used by pid"), "{said}");
}

#[test]
fn who_interrupts_a_look_is_told_so_once() {
    let entry =
        |name: &str| format!("  {name}: {{ target: 'cmd:sh -c ''echo >@/{name}; exec sleep 600'' x' }}\n");
    let names = ["a", "b", "c"];
    let bench = Bench::new(&names.map(entry).concat());
    let fifos = names.map(|name| bench.fifo(name));
    let mut command = bench.command(&["targets"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("oplat runs");
    fifos.iter().for_each(|fifo| wait_for(fifo));
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let (code, printed, said) = ended(child.wait_with_output().expect("it ends"));
    let end = "oplat: interrupted: not all targets were looked at\n";
    assert_eq!((code, said.as_str()), (Some(3), end), "{printed}");
    assert!(!printed.contains("interrupted"), "{printed}");
}

#[test]
fn one_device_under_several_names_is_looked_at_by_each_and_measured_by_one() {
    let bench = Bench::new(
        "  big: { target: cmd:nice, labels: [all] }\n  here: { target: local }\n  had: { target: cmd:true, pool: p }\n  \
         little: { target: cmd:nice, labels: [all] }\n",
    );
    let (code, printed, said) = bench.run(&["targets"]);
    let names: Vec<&str> = printed.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(
        names,
        ["local", "big", "had", "here", "little", "label=all: big, little", "pool p: had"],
        "{said}"
    );
    assert_eq!(code, Some(0));
    for (targets, told) in [
        (&["--target", "label=all"][..], "--target label=all: big and little are one device"),
        (&["--target", "big", "--target", "little"], "--target little: big and little are one device"),
        (&["--target", "big", "--target", "big"], "--target big: it is given twice"),
    ] {
        let (code, _, said) = bench.run(&[&["targets"], targets].concat());
        assert!(code == Some(2) && said.contains(told), "{said}");
    }
    assert_eq!(
        bench.run(&["targets", "--target", "big", "--target", "label=all", "--target", "little"]).0,
        Some(2)
    );
}
