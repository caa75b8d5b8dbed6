//! Where an output goes: checked before anything is measured, and written whole or not at all.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::Kind;
use super::folder::{Folder, sweep_in};
use super::source::{is_standard, special};
use crate::cleanup::Guard;
use crate::error::{Error, Result};

/// How many links are followed to a file that isn't there.
const MOST_LINKS: usize = 40;

/// A file to be written later, which was checked to be writable and not to take the place of anything but an earlier one.
#[derive(Debug)]
pub struct Destination {
    /// As the user named it.
    named: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The file itself, where a link was named.
    File(PathBuf),
    /// A device or pipe can't be replaced: it is written to as it is. Opened once, since who reads from a pipe goes away when
    /// it is closed.
    Stream(File),
    StandardOutput,
    StandardError,
}

impl Destination {
    /// For a file that takes the place of nothing.
    pub fn check(path: &Path) -> Result<Self> {
        Self::replacing(path, &Kind { what: "empty", is: |_| false }, &[])
    }

    /// Checks that the file could be written, so that a measurement isn't lost for a mistyped folder, and that it may be (the
    /// module says when). `inputs` are the files that the same command reads.
    pub fn replacing(path: &Path, kind: &Kind, inputs: &[PathBuf]) -> Result<Self> {
        let check = || {
            let destination = Self { named: path.to_path_buf(), place: Place::of(path)? };
            if let Place::File(real) = &destination.place {
                spare_inputs(path, real, inputs)?;
                spare_others(real, kind)?;
                destination.part()?;
            }
            Ok(destination)
        };
        check().map_err(|e| Error::file("write", path, &plain(e)))
    }

    pub fn path(&self) -> &Path {
        &self.named
    }

    /// The file itself, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::File(real) => Some(real),
            _ => None,
        }
    }

    /// Whether it is what is printed to as well.
    pub fn is_standard_output(&self) -> bool {
        matches!(self.place, Place::StandardOutput)
    }

    /// Fails if two of these are one file.
    pub fn distinct<'d>(all: impl IntoIterator<Item = &'d Self>) -> Result<()> {
        let files: Vec<&Self> = all.into_iter().filter(|destination| destination.file().is_some()).collect();
        for (i, one) in files.iter().enumerate() {
            let same = |other: &&&Self| other.file() == one.file() || is_same_file(&other.named, &one.named);
            if let Some(other) = files.iter().skip(i + 1).find(same) {
                let (one, other) = (one.named.display(), other.named.display());
                return Err(Error::input(format!(
                    "cannot write {one} and {other}: they are the same file; give each its own"
                )));
            }
        }
        Ok(())
    }

    /// Writes the file whole: readers see the old one or the new one, never a part.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        self.fill(|out| out.write_all(bytes))
    }

    /// As [`write`](Self::write), with whatever `fill` puts out.
    pub fn fill(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let done = match &self.place {
            Place::StandardOutput => fill_stream(&mut io::stdout().lock(), fill),
            Place::StandardError => fill_stream(&mut io::stderr().lock(), fill),
            Place::Stream(file) => fill_stream(&mut &*file, fill),
            Place::File(real) => self.part().and_then(|part| {
                part.fill(fill)?;
                part.replace(real)
            }),
        };
        done.map_err(|e| Error::file("write", &self.named, &plain(e)))
    }

    /// Writes the file if there is none; the guard removes it again. `None` if there is one.
    pub fn fill_new(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<Option<Guard>> {
        let file = self.file().unwrap_or(&self.named).to_path_buf();
        let write = || {
            let part = self.part()?;
            part.fill(fill)?;
            let (is_new, removal) = Guard::over(|| -> io::Result<_> {
                let is_new = part.place(&file)?;
                Ok((is_new, move || {
                    if is_new {
                        let _ = fs::remove_file(file);
                    }
                }))
            })?;
            Ok(is_new.then_some(removal))
        };
        write().map_err(|e| Error::file("write", &self.named, &plain(e)))
    }

    /// A file to fill, beside the destination.
    fn part(&self) -> io::Result<Part> {
        let folder = match self.file().unwrap_or(&self.named).parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        sweep_in(folder);
        Ok(Part { folder: Folder::beside(folder)? })
    }
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        if is_standard(path, "stdout", 1) {
            return Ok(Self::StandardOutput);
        }
        if is_standard(path, "stderr", 2) {
            return Ok(Self::StandardError);
        }
        if path.file_name().is_none() {
            return Err(io::Error::other("it is a folder"));
        }
        let real = behind_links(path)?;
        let kind = match fs::metadata(&real) {
            Ok(existing) => existing.file_type(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::File(real)),
            Err(e) => return Err(e),
        };
        match special(kind) {
            None => Ok(Self::File(real)),
            Some(special) if special.streams => open_stream(&real).map(Self::Stream).map_err(|_| {
                io::Error::other(format!("it is {} from which nobody reads; give a file", special.what))
            }),
            Some(_) if takes_bytes(kind) => open_stream(&real).map(Self::Stream),
            Some(special) => Err(io::Error::other(format!("it is {}", special.what))),
        }
    }
}

/// Text is put out at once, so that a reader who goes away is noticed here; one who does has what he wanted.
fn fill_stream(out: &mut dyn Write, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match fill(out).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// A file that is not yet in its place; removed when dropped.
struct Part {
    folder: Folder,
}

impl Part {
    fn path(&self) -> PathBuf {
        self.folder.path().join("part")
    }

    fn fill(&self, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut out = BufWriter::new(File::create_new(self.path())?);
        fill(&mut out)?;
        out.into_inner().map_err(|e| e.into_error())?.sync_all()
    }

    /// Puts it into the place of a file, if there is one, with all of that file's permissions.
    fn replace(&self, file: &Path) -> io::Result<()> {
        let part = self.path();
        if let Ok(existing) = fs::metadata(file) {
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                // Fails for whoever may not give files away; permissions are changed after it, which may take some.
                let _ = std::os::unix::fs::chown(&part, Some(existing.uid()), Some(existing.gid()));
            }
            fs::set_permissions(&part, existing.permissions())?;
        }
        fs::rename(&part, file)
    }

    /// Puts it where no file is; false if there is one.
    fn place(&self, file: &Path) -> io::Result<bool> {
        match fs::hard_link(self.path(), file) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Ok(()) => Ok(true),
            // Not every file system has links.
            Err(_) if fs::symlink_metadata(file).is_ok() => Ok(false),
            Err(_) => fs::rename(self.path(), file).map(|()| true),
        }
    }
}

/// Fails for a file that is one of the inputs.
fn spare_inputs(named: &Path, file: &Path, inputs: &[PathBuf]) -> io::Result<()> {
    let Some(input) = inputs.iter().find(|input| is_same_file(input, file)) else { return Ok(()) };
    let of = if input == named { String::new() } else { format!(" as {}", input.display()) };
    Err(io::Error::other(format!("the same command reads it{of}; give another name")))
}

/// Fails for a file that is there and is none of the kind.
fn spare_others(file: &Path, kind: &Kind) -> io::Result<()> {
    let existing = match fs::metadata(file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        existing => existing?,
    };
    if existing.permissions().readonly() {
        return Err(io::Error::other("it is write-protected; make it writable, or give another name"));
    }
    // Nothing is written yet: opening says whether it could be.
    OpenOptions::new().write(true).open(file)?;
    let is_earlier = || File::open(file).is_ok_and(|file| (kind.is)(&file));
    if existing.len() == 0 || is_earlier() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "it is there already and is not {}, which alone would be replaced; move it away, or give another name",
        kind.what
    )))
}

/// The file that a path leads to, also through links to a file that isn't there yet.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::canonicalize(&path) {
            Ok(real) => return Ok(real),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        match fs::read_link(&path) {
            // As a link without a file is what a pipe without a name looks like.
            Ok(_) if fs::metadata(&path).is_ok() => return Ok(path),
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(_) => return Ok(in_real_folder(path)),
        }
    }
    Err(io::Error::other("too many links"))
}

/// The path with links in its folder followed, where that is there.
fn in_real_folder(path: PathBuf) -> PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::canonicalize(folder).map_or(path.clone(), |folder| folder.join(name))
}

/// Whether two paths lead to one file, be it by links or by hard links.
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let [a, b] = [a, b].map(|path| fs::metadata(path).map(|m| (m.dev(), m.ino())));
        matches!((a, b), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    {
        matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
    }
}

/// Whether it is a device that takes bytes as they come: a terminal, `/dev/null`.
fn takes_bytes(kind: FileType) -> bool {
    #[cfg(unix)]
    let is = std::os::unix::fs::FileTypeExt::is_char_device(&kind);
    #[cfg(not(unix))]
    let is = !kind.is_dir();
    is
}

/// Opens what isn't a file to write to it. Fails at once for a pipe that nobody reads.
#[cfg(unix)]
fn open_stream(path: &Path) -> io::Result<File> {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use std::os::unix::fs::OpenOptionsExt;
    let at_once = OFlags::NONBLOCK.bits() as i32;
    let stream = OpenOptions::new().append(true).custom_flags(at_once).open(path)?;
    // What is written may wait for its reader.
    fcntl_setfl(&stream, fcntl_getfl(&stream)? - OFlags::NONBLOCK)?;
    Ok(stream)
}

#[cfg(not(unix))]
fn open_stream(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// The error without the temporary file's name, of which the user knows nothing.
fn plain(error: io::Error) -> io::Error {
    match (error.raw_os_error(), error.kind()) {
        (_, kind @ io::ErrorKind::NotFound) => io::Error::new(kind, "there is no such folder"),
        (Some(code), _) => io::Error::from_raw_os_error(code),
        (None, kind @ (io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)) => kind.into(),
        (None, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Texts that begin with "ours".
    const OURS: Kind = Kind {
        what: "ours",
        is: |mut file| {
            let mut text = String::new();
            file.read_to_string(&mut text).is_ok_and(|_| text.starts_with("ours"))
        },
    };

    fn check(path: &Path) -> Result<Destination> {
        Destination::replacing(path, &OURS, &[])
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.json");
        for text in ["ours, the first", "ours, the second"] {
            check(&path).unwrap().write(text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_an_earlier_output_or_an_empty_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for (text, may) in [("ours", true), ("", true), ("theirs", false)] {
            fs::write(&path, text).unwrap();
            match check(&path) {
                Ok(_) => assert!(may, "{text}"),
                Err(error) => {
                    assert!(!may && error.message.contains("is not ours, which alone would"), "{error}");
                    assert_eq!((error.exit_code(), error.message.lines().count()), (2, 1));
                }
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_file_that_is_read_is_spared_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let [input, hard, other] = ["input", "hard", "other"].map(|name| folder.path().join(name));
        fs::write(&input, "ours").unwrap();
        fs::write(&other, "ours").unwrap();
        fs::hard_link(&input, &hard).unwrap();
        let mut names = vec![input.clone(), hard, folder.path().join("./input")];
        #[cfg(unix)]
        {
            names.push(folder.path().join("link"));
            std::os::unix::fs::symlink("input", folder.path().join("link")).unwrap();
        }
        let inputs = [other, input];
        for name in names {
            let error = Destination::replacing(&name, &OURS, &inputs).unwrap_err();
            assert!(error.message.contains("the same command reads it"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn two_names_of_one_file_are_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let at = |name: &str| check(&folder.path().join(name)).unwrap();
        assert!(
            Destination::distinct([&at("x"), &at("a/../x")]).unwrap_err().message.contains("the same file")
        );
        assert!(Destination::distinct([&at("x"), &at("a/x")]).is_ok());
    }

    #[test]
    fn a_failed_write_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let destination = check(&folder.path().join("a")).unwrap();
        destination.write(b"first").unwrap();
        let error = destination.fill(|out| {
            out.write_all(b"sec")?;
            Err(io::Error::other("disk full"))
        });
        assert!(error.unwrap_err().message.contains("disk full"));
        assert_eq!(fs::read(destination.path()).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
    }

    #[test]
    fn a_new_file_takes_nobodys_place() {
        let folder = tempfile::tempdir().unwrap();
        let destination = check(&folder.path().join("a")).unwrap();
        let first = destination.fill_new(|out| out.write_all(b"first")).unwrap().unwrap();
        assert!(destination.fill_new(|out| out.write_all(b"second")).unwrap().is_none());
        assert_eq!(fs::read(destination.path()).unwrap(), b"first");
        drop(first);
        assert!(!destination.path().exists(), "its guard removes it");
        destination.fill_new(|out| out.write_all(b"third")).unwrap().unwrap().disarm();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn checking_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("record.json")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_folder_or_a_folder_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/record.json"), folder.path().to_path_buf()] {
            let error = check(&path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.message.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
            assert!(!error.message.contains(".oplat-"), "{error}");
        }
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::os::unix::fs::{PermissionsExt, symlink};

        #[test]
        fn a_device_is_written_to_and_not_replaced() {
            check(Path::new("/dev/null")).unwrap().write(b"text").unwrap();
            assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        }

        #[test]
        fn a_link_stays_a_link_also_to_what_is_not_there_yet() {
            let folder = tempfile::tempdir().unwrap();
            let [real, link, chain] = ["real", "link", "chain"].map(|name| folder.path().join(name));
            symlink("real", &link).unwrap();
            symlink("link", &chain).unwrap();
            for text in ["ours", "ours, again"] {
                check(&chain).unwrap().write(text.as_bytes()).unwrap();
                assert!(link.is_symlink() && chain.is_symlink() && !real.is_symlink());
                assert_eq!(fs::read_to_string(&real).unwrap(), text);
            }
            fs::remove_file(&link).unwrap();
            symlink("chain", &link).unwrap();
            assert_eq!(check(&chain).unwrap_err().exit_code(), 2, "links in a circle");
        }

        #[test]
        fn permissions_are_kept_in_full_and_protection_is_heeded() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            for mode in [0o666, 0o640, 0o2775] {
                fs::write(&path, "ours").unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                check(&path).unwrap().write(b"ours, again").unwrap();
                assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, mode, "{mode:o}");
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
            let error = check(&path).unwrap_err();
            assert!(error.message.contains("write-protected"), "{error}");
        }

        #[test]
        fn a_pipe_that_nobody_reads_is_refused_at_once() {
            let folder = tempfile::tempdir().unwrap();
            let pipe = folder.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            let error = check(&pipe).unwrap_err();
            assert!(error.message.contains("from which nobody reads"), "{error}");
            let reader = {
                let pipe = pipe.clone();
                std::thread::spawn(move || fs::read(pipe).unwrap())
            };
            let destination = loop {
                match check(&pipe) {
                    Ok(destination) => break destination,
                    Err(_) => std::thread::yield_now(),
                }
            };
            destination.write(b"once").unwrap();
            drop(destination);
            assert_eq!(reader.join().unwrap(), b"once");
            let error = crate::files::read(&pipe, 1000).unwrap_err();
            assert!(error.message.contains("it is a pipe"), "{error}");
        }
    }
}
