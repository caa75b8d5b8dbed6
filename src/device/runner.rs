//! The program for the device: which file it is, and whether the device's processor can run it.

use std::path::{Path, PathBuf};

use super::own;
use crate::elf::Elf;
use crate::error::{Error, Result};

/// A kind of processor that oplat can be built for.
struct Architecture {
    name: &'static str,
    /// What `uname -m` calls it, or begins with.
    machines: &'static [&'static str],
    /// Its number in the header of an ELF file.
    elf: u16,
    /// The targets to build for, in the order in which they are looked for: a static program needs nothing of the
    /// device.
    triples: &'static [&'static str],
}

const ARCHITECTURES: [Architecture; 5] = [
    Architecture {
        name: "aarch64",
        machines: &["aarch64", "arm64", "armv8", "armv9"],
        elf: 183,
        triples: &["aarch64-unknown-linux-musl", "aarch64-unknown-linux-gnu", "aarch64-linux-android"],
    },
    Architecture {
        name: "armv7",
        machines: &["armv7", "armv8l"],
        elf: 40,
        triples: &[
            "armv7-unknown-linux-gnueabihf",
            "armv7-unknown-linux-musleabihf",
            "armv7-linux-androideabi",
        ],
    },
    Architecture {
        name: "x86-64",
        machines: &["x86_64", "amd64"],
        elf: 62,
        triples: &["x86_64-unknown-linux-musl", "x86_64-unknown-linux-gnu", "x86_64-linux-android"],
    },
    Architecture {
        name: "x86",
        machines: &["i386", "i486", "i586", "i686"],
        elf: 3,
        triples: &["i686-unknown-linux-musl", "i686-unknown-linux-gnu"],
    },
    Architecture {
        name: "riscv64",
        machines: &["riscv64"],
        elf: 243,
        triples: &["riscv64gc-unknown-linux-gnu"],
    },
];

/// An engine whose library the program is to load on the device.
pub(super) struct Loads<'a> {
    pub engine: &'a str,
    /// Whether the device has a file of this path, as the loader that a program needs.
    pub is_there: &'a dyn Fn(&str) -> Result<bool>,
}

impl Loads<'_> {
    /// Whether the program can load a library there, which a static one can't.
    fn can(&self, program: &Elf) -> Result<bool> {
        program.loader.as_deref().map_or(Ok(false), self.is_there)
    }
}

/// The program to push to a device whose `uname -m` says `machine`: the one that was named, or one that was built
/// for it and lies where cargo puts it, or beside this program as `oplat-ARCHITECTURE`, or this program itself. Of those that
/// were not named, one that can load a library where an engine has one.
///
/// Fails, before anything is pushed, if there is none or if the device can't run it.
pub(super) fn find(named: Option<&Path>, machine: &str, loads: Option<&Loads>) -> Result<PathBuf> {
    let Some(&Architecture { name, elf, triples, .. }) = architecture(machine) else {
        return Err(Error::input(format!(
            "the device's processor is {machine:?}, for which there is no oplat"
        )));
    };
    let dynamic = triples.iter().find(|triple| triple.contains("-gnu")).unwrap_or(&name);
    let build_dynamic = format!(
        "`cross build --release --target {dynamic}` makes one for boards (docs/engines.md has other ways, and Android's)"
    );
    if let Some(path) = named {
        let program = program(path)?;
        let wrong = |what: String| Err(Error::input(format!("--runner {}: {what}", path.display())));
        if program.machine != elf {
            let (is, triple) = (name_of(program.machine), triples.first().unwrap_or(&name));
            return wrong(format!("it is for {is}, and the device is {name}; build it for {triple}"));
        }
        return match (loads, &program.loader) {
            (Some(loads), None) => wrong(format!(
                "it is linked statically and can't load the library of engine {}: {build_dynamic}",
                loads.engine
            )),
            (Some(loads), Some(loader)) if !loads.can(&program)? => {
                wrong(format!("it needs {loader}, which isn't on the device: {build_dynamic}"))
            }
            _ => Ok(path.to_path_buf()),
        };
    }
    let own = own::path().ok();
    for path in candidates(own.as_deref(), name, triples).into_iter().chain(own::for_others().ok()) {
        let Ok(program) = program(&path) else { continue };
        if program.machine == elf && loads.map_or(Ok(true), |loads| loads.can(&program))? {
            return Ok(path);
        }
    }
    Err(Error::input(match loads {
        Some(loads) => format!(
            "there is no oplat for {name} here that can load the library of engine {} (a static one can't): \
             {build_dynamic}, or name one with --runner",
            loads.engine
        ),
        None => format!(
            "there is no oplat for {name} here: `cross build --release --target {}` makes one (docs/devices.md has other ways), or \
             name one with --runner",
            triples.first().unwrap_or(&name)
        ),
    }))
}

/// Where programs for this architecture may be, the best first, if it isn't what runs here.
fn candidates(own: Option<&Path>, arch: &str, triples: &[&str]) -> Vec<PathBuf> {
    let beside = own.and_then(Path::parent);
    // This program may be in `target/release`, or in `target/TRIPLE/release`.
    let above = beside.into_iter().flat_map(|folder| folder.ancestors().skip(1).take(2));
    let folders: Vec<PathBuf> = above.map(Path::to_path_buf).chain([PathBuf::from("target")]).collect();
    let built = folders.iter().flat_map(|folder| {
        triples.iter().map(move |triple| folder.join(triple).join("release").join("oplat"))
    });
    let shipped = beside.map(|folder| folder.join(format!("oplat-{arch}")));
    shipped.into_iter().chain(built).collect()
}

fn architecture(machine: &str) -> Option<&'static Architecture> {
    let exact = ARCHITECTURES.iter().find(|known| known.machines.contains(&machine));
    let begins = |known: &&Architecture| known.machines.iter().any(|start| machine.starts_with(start));
    exact.or_else(|| ARCHITECTURES.iter().find(begins))
}

/// Whether a device whose `uname -m` says `machine` runs what is for this processor.
pub(super) fn runs(machine: &str, elf: u16) -> bool {
    architecture(machine).is_some_and(|known| known.elf == elf)
}

/// What the architecture of a device is called whose `uname -m` says `machine`.
pub(super) fn called(machine: &str) -> &str {
    architecture(machine).map_or(machine, |known| known.name)
}

pub(super) fn name_of(elf: u16) -> String {
    let known = ARCHITECTURES.iter().find(|known| known.elf == elf);
    known.map_or_else(|| format!("processor {elf}"), |known| known.name.to_owned())
}

/// What the header of a Linux program says.
fn program(path: &Path) -> Result<Elf> {
    Elf::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::input(format!("{}: it is no Linux program; name one with --runner", path.display()))
        }
        _ => Error::file("read", path, &e),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A file with the header of a program, which needs the loader if there is one.
    pub fn elf(folder: &Path, name: &str, machine: u16, loader: Option<&str>) -> PathBuf {
        let mut head = vec![0; 120];
        let mut put = |at: usize, bytes: &[u8]| head[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &[0x7f, b'E', b'L', b'F', 2, 1, 1]);
        put(18, &machine.to_le_bytes());
        if let Some(loader) = loader {
            // Where the table begins, how long an entry is, and that there is one: type, place and length.
            for (at, value) in [(32, 64), (54, 56), (56, 1), (64, 3), (72, 120)] {
                put(at, &[value]);
            }
            put(96, &[loader.len() as u8]);
            head.extend(loader.as_bytes());
        }
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, head).expect("written");
        path
    }

    #[test]
    fn a_program_for_another_processor_is_refused_with_what_to_build() {
        let folder = tempfile::tempdir().expect("temp");
        let x86 = elf(folder.path(), "oplat", 62, None);
        assert_eq!(find(Some(&x86), "x86_64", None).expect("the same"), x86);
        let error = find(Some(&x86), "aarch64", None).expect_err("another");
        assert!(
            error.message.contains("x86-64") && error.message.contains("aarch64-unknown-linux-musl"),
            "{error}"
        );
        let arm = elf(folder.path(), "arm", 183, None);
        for machine in ["aarch64", "arm64", "armv8", "aarch64_be"] {
            assert!(find(Some(&arm), machine, None).is_ok(), "{machine}");
        }
        assert!(find(Some(&arm), "armv7l", None).is_err() && find(Some(&arm), "armv8l", None).is_err());
    }

    #[test]
    fn what_is_no_program_or_no_processor_is_refused() {
        let folder = tempfile::tempdir().expect("temp");
        let text = folder.path().join("oplat");
        std::fs::write(&text, "#!/bin/sh").expect("written");
        assert!(
            find(Some(&text), "aarch64", None).expect_err("a script").message.contains("no Linux program")
        );
        assert!(find(Some(&folder.path().join("none")), "aarch64", None).is_err());
        assert!(find(None, "vax", None).expect_err("a vax").message.contains("vax"));
    }

    #[test]
    fn a_library_is_loaded_by_a_program_whose_loader_is_there() {
        let folder = tempfile::tempdir().expect("temp");
        let still = elf(folder.path(), "static", 183, None);
        let [board, android] = ["/lib/ld-linux-aarch64.so.1", "/system/bin/linker64"]
            .map(|l| elf(folder.path(), &l[1..], 183, Some(l)));
        let is_there = |path: &str| Ok(path.starts_with("/lib/"));
        let loads = Loads { engine: "ort", is_there: &is_there };
        let with = |path: &Path| find(Some(path), "aarch64", Some(&loads));
        assert_eq!(with(&board).expect("it can"), board);
        let told = |path| with(path).expect_err("it can't").message;
        assert!(told(&still).contains("linked statically and can't load the library of engine ort"));
        assert!(told(&still).contains("--target aarch64-unknown-linux-gnu"));
        assert!(told(&android).contains("/system/bin/linker64, which isn't on the device"));
        assert!(find(Some(&still), "aarch64", None).is_ok(), "nothing is to be loaded");
        let none = find(None, "riscv64", Some(&loads)).expect_err("none is here").message;
        assert!(none.contains("that can load the library of engine ort"), "{none}");
    }

    #[test]
    fn what_was_built_for_the_device_is_found_beside_what_runs_here() {
        let all =
            candidates(Some(Path::new("/home/target/release/oplat")), "aarch64", &["aarch64-linux-android"]);
        for path in [
            "/home/target/release/oplat-aarch64",
            "/home/target/aarch64-linux-android/release/oplat",
            "target/aarch64-linux-android/release/oplat",
        ] {
            assert!(all.contains(&PathBuf::from(path)), "{path} in {all:?}");
        }
    }
}
