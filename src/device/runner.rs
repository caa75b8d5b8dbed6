//! The program for the device: which file it is, and whether the device's processor can run it.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::own;
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

/// The program to push to a device whose `uname -m` says `machine`: the one that was named, or one that was built
/// for it and lies where cargo puts it, or beside this program as `oplat-ARCHITECTURE`, or this program itself.
///
/// Fails, before anything is pushed, if there is none or if the device can't run it.
pub(super) fn find(named: Option<&Path>, machine: &str) -> Result<PathBuf> {
    let Some(&Architecture { name, elf, triples, .. }) = architecture(machine) else {
        return Err(Error::input(format!(
            "the device's processor is {machine:?}, for which there is no oplat"
        )));
    };
    if let Some(path) = named {
        let built_for = elf_machine(path)?;
        if built_for != elf {
            return Err(Error::input(format!(
                "--runner {}: it is for {}, and the device is {name}; build it for {}",
                path.display(),
                name_of(built_for),
                triples.first().unwrap_or(&name)
            )));
        }
        return Ok(path.to_path_buf());
    }
    let own = own::path().ok();
    let found = candidates(own.as_deref(), name, triples)
        .into_iter()
        .chain(own::for_others().ok())
        .find(|path| path.is_file() && elf_machine(path).is_ok_and(|built_for| built_for == elf));
    found.ok_or_else(|| {
        let triple = triples.first().unwrap_or(&name);
        Error::input(format!(
            "there is no oplat for {name} here: `cross build --release --target {triple}` makes one (README has \
             other ways), or name one with --runner"
        ))
    })
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

fn name_of(elf: u16) -> String {
    let known = ARCHITECTURES.iter().find(|known| known.elf == elf);
    known.map_or_else(|| format!("processor {elf}"), |known| known.name.to_owned())
}

/// For which processor a Linux program was built, by its ELF header.
fn elf_machine(path: &Path) -> Result<u16> {
    let mut head = [0; 20];
    let mut file = std::fs::File::open(path).map_err(|e| Error::file("read", path, &e))?;
    let read = file.read_exact(&mut head);
    match (read, head) {
        (Ok(()), [0x7f, b'E', b'L', b'F', _, order, .., low, high]) => {
            Ok(if order == 2 { u16::from_be_bytes([low, high]) } else { u16::from_le_bytes([low, high]) })
        }
        _ => Err(Error::input(format!("{}: it is no Linux program; name one with --runner", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(folder: &Path, name: &str, machine: u16) -> PathBuf {
        let mut head = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head.resize(64, 0);
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, head).expect("written");
        path
    }

    #[test]
    fn a_program_for_another_processor_is_refused_with_what_to_build() {
        let folder = tempfile::tempdir().expect("temp");
        let x86 = elf(folder.path(), "oplat", 62);
        assert_eq!(find(Some(&x86), "x86_64").expect("the same"), x86);
        let error = find(Some(&x86), "aarch64").expect_err("another");
        assert!(
            error.message.contains("x86-64") && error.message.contains("aarch64-unknown-linux-musl"),
            "{error}"
        );
        let arm = elf(folder.path(), "arm", 183);
        for machine in ["aarch64", "arm64", "armv8", "aarch64_be"] {
            assert!(find(Some(&arm), machine).is_ok(), "{machine}");
        }
        assert!(find(Some(&arm), "armv7l").is_err() && find(Some(&arm), "armv8l").is_err());
    }

    #[test]
    fn what_is_no_program_or_no_processor_is_refused() {
        let folder = tempfile::tempdir().expect("temp");
        let text = folder.path().join("oplat");
        std::fs::write(&text, "#!/bin/sh").expect("written");
        assert!(find(Some(&text), "aarch64").expect_err("a script").message.contains("no Linux program"));
        assert!(find(Some(&folder.path().join("none")), "aarch64").is_err());
        assert!(find(None, "vax").expect_err("a vax").message.contains("vax"));
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
