//! What the header of a Linux program or library says of it.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::Path;

/// The longest path of a loader that is read.
const LONGEST_PATH: u64 = 4096;

/// A part of the file that names the loader.
const INTERPRETER: u64 = 3;

/// A program or a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The number of its processor: 62 is x86-64, 183 is aarch64.
    pub machine: u16,
    /// The loader that a program needs, by its path; a static program has none, nor has a library. Only with a loader can a
    /// program load libraries.
    pub loader: Option<String>,
}

impl Elf {
    /// Fails for a file that can't be read, and with [`ErrorKind::InvalidData`] for one that is of another kind or cut off.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_from(&mut File::open(path)?)
    }

    fn read_from(file: &mut (impl Read + Seek)) -> Result<Self> {
        let ident = part(file, 0, 6)?;
        let [0x7f, b'E', b'L', b'F', class @ 1..=2, order @ 1..=2] = ident[..] else {
            return Err(ErrorKind::InvalidData.into());
        };
        // Numbers at their places in files of 32 and of 64 bits.
        let wide = class == 2;
        let address = if wide { 8 } else { 4 };
        let pick = |narrow: u64, wide_one: u64| if wide { wide_one } else { narrow };
        let mut number = |at: u64, bytes: usize| -> Result<u64> {
            let digits = part(file, at, bytes)?;
            let join = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
            Ok(if order == 2 { digits.iter().fold(0, join) } else { digits.iter().rev().fold(0, join) })
        };
        let machine = number(18, 2)? as u16;
        let table = number(pick(28, 32), address)?;
        let (size, count) = (number(pick(42, 54), 2)?, number(pick(44, 56), 2)?);
        let mut place = None;
        for entry in (0..count).map(|index| table.saturating_add(index * size)) {
            if number(entry, 4)? == INTERPRETER {
                let at = number(entry.saturating_add(pick(4, 8)), address)?;
                place = Some((at, number(entry.saturating_add(pick(16, 32)), address)?.min(LONGEST_PATH)));
                break;
            }
        }
        let loader = place.map(|(at, bytes)| part(file, at, bytes as usize)).transpose()?;
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).trim_end_matches('\0').to_owned();
        Ok(Self { machine, loader: loader.map(text) })
    }

    /// Whether the program that is running was linked statically; false where that can't be told.
    pub fn is_running_static() -> bool {
        Self::read(Path::new("/proc/self/exe")).is_ok_and(|elf| elf.loader.is_none())
    }
}

fn part(file: &mut (impl Read + Seek), at: u64, bytes: usize) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut part = vec![0; bytes];
    file.read_exact(&mut part).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => Error::from(ErrorKind::InvalidData),
        _ => e,
    })?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(bytes: &[u8]) -> Result<Elf> {
        Elf::read_from(&mut Cursor::new(bytes))
    }

    /// The header of a program with one part in its table.
    fn program(class: u8, big: bool, kind: u64) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1 + u8::from(big)]);
        let mut put = |at: usize, width: usize, value: u64| {
            let digits = value.to_be_bytes();
            bytes[at..at + width].copy_from_slice(&digits[8 - width..]);
            if !big {
                bytes[at..at + width].reverse();
            }
        };
        put(18, 2, 183);
        let table = if class == 2 { [(32, 8), (54, 2), (56, 2)] } else { [(28, 4), (42, 2), (44, 2)] };
        for ((at, width), value) in table.into_iter().zip([64, 56, 1]) {
            put(at, width, value);
        }
        let place = if class == 2 { [(64, 4), (72, 8), (96, 8)] } else { [(64, 4), (68, 4), (80, 4)] };
        for ((at, width), value) in place.into_iter().zip([kind, 150, 9]) {
            put(at, width, value);
        }
        bytes[150..159].copy_from_slice(b"/lib/ld.1");
        bytes
    }

    #[test]
    fn processor_and_loader_are_read_in_every_width_and_order() {
        for (class, big) in [(1, false), (1, true), (2, false), (2, true)] {
            let dynamic = read(&program(class, big, 3)).expect("a program");
            assert_eq!(dynamic, Elf { machine: 183, loader: Some("/lib/ld.1".into()) }, "{class} {big}");
            assert_eq!(read(&program(class, big, 1)).expect("a program").loader, None);
        }
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_refused() {
        let whole = program(2, false, 3);
        for bytes in [&b""[..], b"#!/bin/sh\n", b"PK\x03\x04 an archive", &whole[..19], &whole[..155]] {
            assert_eq!(read(bytes).expect_err("refused").kind(), ErrorKind::InvalidData);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_has_a_loader_unless_it_is_static() {
        let own = Elf::read(&std::env::current_exe().expect("a path")).expect("a program");
        assert_eq!(own.loader.is_none(), Elf::is_running_static());
        assert_eq!(cfg!(target_feature = "crt-static"), Elf::is_running_static());
    }
}
