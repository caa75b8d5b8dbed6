//! A device behind a shell: what is pushed there, once and by its content, and what is removed again.
//!
//! Each session has a folder of its own, with all that it uses in it: files under the hash of what is in them, so that
//! nothing is sent twice, and again under their names, as links where the device can link. `oplat worker` runs from there.
//! What is kept for the next time is in a folder that all sessions share; a session takes what it needs from there, as
//! links or copies of its own, so that it is nothing to it if another one tidies up.
//!
//! No script has a line break in it (see [`quote`]).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::connection::Connection;
use super::library::{self, Place};
use super::shell::{self, Failed, Shell, Traffic, quote, run};
use super::{Interrupt, Options, Target, Worker, runner};
use crate::cleanup::Guard;
use crate::error::{Error, Result};
use crate::protocol::EngineChoice;

/// How long a short script may take, on a slow device behind a slow network.
const SHORT: Duration = Duration::from_secs(30);

/// Switches Android's mode of fixed performance, which some devices have for measuring.
const FIXED_PERFORMANCE: &str = "cmd power set-fixed-performance-mode-enabled";

/// Lists the processes that run from a session's folder, as far as they are ours: those of others can't be seen.
const FOLDERS_OF_PROCESSES: &str = "ls -l /proc/[0-9]*/cwd 2>/dev/null";

/// Pauses between tries to connect.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// A device.
pub(super) struct Remote<S: Shell> {
    shell: Arc<S>,
    options: Options,
    session: RefCell<Option<Session>>,
    /// The user's wish to stop, from when it was opened.
    interrupt: RefCell<Interrupt>,
}

/// What is on the device for this session.
struct Session {
    /// The folder of all sessions and of the files that they share.
    root: String,
    /// The folder of this session.
    folder: String,
    /// What the device calls its processor.
    machine: String,
    /// Path of the program; empty if there is none yet.
    runner: String,
    /// Whether the program can load libraries.
    loads: bool,
    libraries: Vec<Library>,
    /// Folders that were put so far.
    puts: usize,
    /// Leaves the device as it was found.
    _leave: Guard,
}

/// The library of an engine, as workers find it.
struct Library {
    /// The engine that was asked for.
    asked: EngineChoice,
    /// What the user calls it.
    given: String,
    /// Its path there.
    path: String,
}

impl<S: Shell> Remote<S> {
    pub fn new(shell: S, options: Options) -> Self {
        Self { shell: Arc::new(shell), options, session: RefCell::default(), interrupt: RefCell::default() }
    }

    fn explain<T>(&self, done: Result<T, Failed>, doing: &str) -> Result<T> {
        done.map_err(|failed| failed.explain(self.shell.as_ref(), doing))
    }

    fn short(&self, script: &str, interrupt: &Interrupt) -> Result<Vec<u8>, Failed> {
        run(self.shell.as_ref(), script, Traffic::Lines(SHORT), interrupt)
    }

    /// Connects, again and again while that may help.
    fn connect(&self, interrupt: &Interrupt) -> Result<()> {
        let mut pauses = PAUSES.iter();
        loop {
            match self.shell.connect(interrupt) {
                Err(failed) if failed.may_pass(self.shell.as_ref()) => match pauses.next() {
                    Some(&pause) => interrupt.wait(pause),
                    None => return self.explain(Err(failed), "connect"),
                },
                done => return self.explain(done, "connect"),
            }
        }
    }

    /// Makes the session's folder; gives the processor's name, the root and the folder.
    fn make_folder(&self, interrupt: &Interrupt) -> Result<[String; 3]> {
        let root = match &self.options.folder {
            Some(folder) => quote(folder),
            None => format!("\"{}\"", self.shell.folder()),
        };
        // Another session may remove the root, as long as nothing is in it. What sessions left that were cut off a day ago
        // or more, and from which nothing runs, is removed.
        let script = format!(
            "umask 077; root={root}; home=$PWD; for try in 1 2 3 4 5; do cd \"$home\" && mkdir -p \"$root\" && \
             cd \"$root\" && session=$(mktemp -d \"$PWD/session-XXXXXX\") && break; done; \
             [ -d \"$session\" ] || exit 1; busy=$({FOLDERS_OF_PROCESSES}); \
             find . -maxdepth 1 -name 'session-*' -mtime +1 2>/dev/null | while read -r old; do \
             case \"$busy\" in *\"${{old#.}}\"*) ;; *) rm -rf \"$old\";; esac; done; \
             uname -m; echo \"$PWD\"; echo \"$session\""
        );
        let answer = self.explain(self.short(&script, interrupt), "make a folder there")?;
        let lines: Vec<String> = String::from_utf8_lossy(&answer).lines().map(str::to_owned).collect();
        lines.try_into().map_err(|lines: Vec<String>| {
            let said: String = lines.join(" ").chars().take(80).collect();
            Error::lost(format!(
                "target {}: its shell says more than it was asked ({said:?}): keep its profile quiet",
                self.shell.name()
            ))
        })
    }

    /// Sends what isn't there yet, and gives each file its name in a folder of the session.
    fn push(
        &self,
        session: &mut Session,
        folder: &str,
        files: &[(String, PathBuf)],
        interrupt: &Interrupt,
    ) -> Result<()> {
        let hashed: Vec<(&str, &Path, String)> = files
            .iter()
            .map(|(name, path)| Ok((name.as_str(), path.as_path(), hash(path)?)))
            .collect::<Result<_>>()?;
        let own = format!("{}/files", session.folder);
        let missing = self.take(session, &own, hashed.iter().map(|(.., hash)| hash.as_str()), interrupt)?;
        let mut missing: BTreeSet<&str> = missing.lines().map(str::trim).collect();
        for (_, path, hash) in &hashed {
            if missing.remove(hash.as_str()) {
                self.send(&session.root, &own, path, hash, interrupt)?;
            }
        }
        let mut script =
            format!("umask 077; mkdir -p {folder} && cd {folder} || exit; ", folder = quote(folder));
        let parents: BTreeSet<&str> = files.iter().filter_map(|(n, _)| Some(n.rsplit_once('/')?.0)).collect();
        for parent in parents {
            script += &format!("mkdir -p {} || exit; ", quote(parent));
        }
        for (name, _, hash) in &hashed {
            let (from, to) = (quote(&format!("{own}/{hash}")), quote(name));
            script += &format!("ln {from} {to} 2>/dev/null || cp {from} {to} || exit; ");
        }
        self.explain(self.short(&(script + "true"), interrupt), "name the files there").map(|_| ())
    }

    /// Makes files of the session's own of those that are kept there. Gives the hashes of the others, a line each.
    fn take<'h>(
        &self,
        session: &Session,
        own: &str,
        hashes: impl Iterator<Item = &'h str>,
        interrupt: &Interrupt,
    ) -> Result<String> {
        let hashes: BTreeSet<&str> = hashes.collect();
        let script = format!(
            "umask 077; own={}; mkdir -p \"$own\" && cd {} || exit; for h in {}; do [ -e \"$own/$h\" ] || \
             ln \"files/$h\" \"$own/$h\" 2>/dev/null || \
             {{ cp \"files/$h\" \"$own/part\" && mv \"$own/part\" \"$own/$h\"; }} 2>/dev/null || echo \"$h\"; done",
            quote(own),
            quote(&session.root),
            hashes.into_iter().collect::<Vec<_>>().join(" ")
        );
        let missing = self.explain(self.short(&script, interrupt), "look there")?;
        Ok(String::from_utf8_lossy(&missing).into_owned())
    }

    /// Sends a file, which has its name only when all of it is there; keeps it for other sessions if it is to stay.
    fn send(&self, root: &str, own: &str, path: &Path, hash: &str, interrupt: &Interrupt) -> Result<()> {
        let bytes = std::fs::metadata(path).map_err(|e| Error::file("read", path, &e))?.len();
        let mut script = format!(
            "umask 077; cd {} || exit; part={hash}.$$; trap 'rm -f \"$part\"' EXIT; \
             cat >\"$part\" && [ $(($(wc -c <\"$part\"))) -eq {bytes} ] && chmod 700 \"$part\" && mv \"$part\" {hash}",
            quote(own)
        );
        if self.options.keep {
            // Another session may have been quicker, or tidy up meanwhile: then it is sent again the next time.
            script += &format!(
                " || exit; kept={}/files; {{ mkdir -p \"$kept\" && {{ ln {hash} \"$kept/{hash}\" || \
                 {{ cp {hash} \"$kept/$part\" && mv \"$kept/$part\" \"$kept/{hash}\"; }}; }}; }} 2>/dev/null; true",
                quote(root)
            );
        }
        let doing = format!("push {} ({} kB)", path.display(), bytes / 1000);
        let push = || run(self.shell.as_ref(), &script, Traffic::Push(path), interrupt);
        let mut sent = push();
        if sent.as_ref().is_err_and(|failed| failed.may_pass(self.shell.as_ref())) {
            self.connect(interrupt)?;
            sent = push();
        }
        self.explain(sent, &doing).map(|_| ())
    }

    /// Removes this session in the end, and the files that no other session uses, unless they are to be kept for the
    /// next.
    fn removal(&self, root: &str, folder: &str) -> Guard {
        let mut script = format!("cd {root} 2>/dev/null && rm -rf {}; ", quote(folder), root = quote(root));
        if self.options.fixed_performance {
            // Not under another session that measures.
            script += &format!(
                "{FOLDERS_OF_PROCESSES} | grep -q '/session-[^/ ]*$' || {FIXED_PERFORMANCE} false >/dev/null; "
            );
        }
        if !self.options.keep {
            // Files that no session has a link to. Where a device can't link, sessions have copies.
            script += &format!(
                "cd {root} || exit; if [ -d files ]; then find files -type f -links 1 -exec rm -f {{}} +; \
                 rmdir files; fi; rmdir \"$PWD\"; ",
                root = quote(root)
            );
        }
        script += "true";
        let shell = self.shell.clone();
        Guard::new(move || {
            // Fails if the device is gone. The next session there tidies up.
            let _ = run(shell.as_ref(), &script, Traffic::Lines(SHORT / 3), &Interrupt::default());
        })
    }
}

impl<S: Shell> Target for Remote<S> {
    fn name(&self) -> String {
        self.shell.name()
    }

    fn emulated(&self) -> bool {
        false
    }

    fn is_here(&self) -> bool {
        false
    }

    fn open(
        &self,
        engines: &[EngineChoice],
        _say: &mut dyn FnMut(&str),
        interrupt: &Interrupt,
    ) -> Result<()> {
        *self.interrupt.borrow_mut() = interrupt.clone();
        if self.session.borrow().is_none() {
            self.connect(interrupt)?;
            let [machine, root, folder] = self.make_folder(interrupt)?;
            let _leave = self.removal(&root, &folder);
            let (runner, libraries) = (String::new(), vec![]);
            let session = Session { machine, root, folder, runner, loads: false, libraries, puts: 0, _leave };
            // What is sent is removed with the target, whether all goes well or not.
            *self.session.borrow_mut() = Some(session);
        }
        let mut borrowed = self.session.borrow_mut();
        let session = borrowed.as_mut().ok_or_else(|| self.not_open())?;
        let places = self.find_libraries(session, engines, interrupt)?;
        if session.runner.is_empty() || !(engines.is_empty() || session.loads) {
            self.install(session, engines, interrupt)?;
        }
        places.into_iter().try_for_each(|(asked, given, place)| {
            let path = match place {
                Place::Here(file) => self.bring(session, &file, interrupt)?,
                Place::There(path) => path,
            };
            session.libraries.push(Library { asked, given, path });
            Ok(())
        })
    }

    fn engine(&self, asked: &EngineChoice) -> EngineChoice {
        let borrowed = self.session.borrow();
        let known = borrowed.iter().flat_map(|session| &session.libraries).find(|l| l.asked == *asked);
        EngineChoice {
            library: known.map(|known| known.path.clone()).or(asked.library.clone()),
            name: asked.name.clone(),
        }
    }

    fn library(&self, there: String) -> String {
        let borrowed = self.session.borrow();
        let Some(session) = borrowed.as_ref() else { return there };
        // Workers may see the folder of all sessions under another path than its shell.
        let is_it =
            |path: &str| path == there || there.ends_with(path.trim_start_matches(session.root.as_str()));
        let known = session.libraries.iter().find(|known| is_it(&known.path));
        known.map_or(there, |known| known.given.clone())
    }

    fn check(&self, interrupt: &Interrupt) -> Result<()> {
        if self.short("true", interrupt).is_ok() {
            return Ok(());
        }
        self.connect(interrupt)?;
        self.explain(self.short("true", interrupt), "use it").map(|_| ())
    }

    fn put(&self, folder: &Path) -> Result<String> {
        let interrupt = self.interrupt.borrow().clone();
        let mut files = vec![];
        collect(folder, "", &mut files)?;
        let mut borrowed = self.session.borrow_mut();
        let session = borrowed.as_mut().ok_or_else(|| self.not_open())?;
        // There is one measurement at a time, so what was put before is done with.
        let name = |number: usize| format!("{}/put-{number}", session.folder);
        let (before, path) = (name(session.puts), name(session.puts + 1));
        if session.puts > 0 {
            self.explain(self.short(&format!("rm -rf {}", quote(&before)), &interrupt), "tidy up")?;
        }
        session.puts += 1;
        self.push(session, &path, &files, &interrupt)?;
        Ok(path)
    }

    fn get(&self, path: &str, bytes: u64) -> Result<Vec<u8>> {
        let script = format!("cat {}", quote(path));
        let read = run(self.shell.as_ref(), &script, Traffic::Fetch(bytes), &self.interrupt.borrow());
        self.explain(read, "fetch a worker's outputs")
    }

    fn start(&self, interrupt: &Interrupt) -> Result<Box<dyn Worker>> {
        let borrowed = self.session.borrow();
        let session = borrowed.as_ref().ok_or_else(|| self.not_open())?;
        // That its folder is used shows in the folder's time. What a worker leaves behind goes with that folder.
        let script = format!(
            "cd {} && touch . && TMPDIR=\"$PWD\" RUST_LIB_BACKTRACE=0 {} worker --leash",
            quote(&session.folder),
            quote(&session.runner)
        );
        let mut command = self.shell.command(&shell::line(&script));
        let connection = Connection::remote(&mut command, interrupt).map_err(|e| {
            let program = command.get_program().display();
            Error::lost(format!("target {}: cannot start {program}: {e}; install it", self.name()))
        })?;
        Ok(Box::new(connection))
    }
}

impl<S: Shell> Remote<S> {
    /// Where the libraries are that were given for engines, but for those that workers find already.
    fn find_libraries(
        &self,
        session: &Session,
        engines: &[EngineChoice],
        interrupt: &Interrupt,
    ) -> Result<Vec<(EngineChoice, String, Place)>> {
        let mut places = vec![];
        for asked in engines.iter().filter(|asked| !session.libraries.iter().any(|l| l.asked == **asked)) {
            let Some(given) = asked.library.as_ref().or(self.options.libraries.get(&asked.name)) else {
                continue;
            };
            let is_there = |path: &str| self.is_there(path, interrupt);
            let place = library::find(&asked.name, given, &session.machine, is_there);
            let place = place.map_err(|e| e.context(format!("target {}", self.name())))?;
            places.push((asked.clone(), given.clone(), place));
        }
        Ok(places)
    }

    fn is_there(&self, path: &str, interrupt: &Interrupt) -> Result<bool> {
        let script = format!("if [ -e {} ]; then echo yes; fi", quote(path));
        Ok(!self.explain(self.short(&script, interrupt), "look there")?.is_empty())
    }

    /// Sends a library; gives its path there, which ends in the file's own name.
    fn bring(&self, session: &mut Session, file: &Path, interrupt: &Interrupt) -> Result<String> {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = format!("{}/library-{}", session.folder, session.libraries.len() + 1);
        self.push(session, &folder, &[(name.clone(), file.to_owned())], interrupt)?;
        Ok(format!("{folder}/{name}"))
    }

    /// Sends the program and checks that it runs.
    fn install(&self, session: &mut Session, engines: &[EngineChoice], interrupt: &Interrupt) -> Result<()> {
        let named = |e: Error| e.context(format!("target {}", self.name()));
        let is_there = |path: &str| self.is_there(path, interrupt);
        let loads = engines.first().map(|engine| runner::Loads { engine: &engine.name, is_there: &is_there });
        let runner = runner::find(self.options.runner.as_deref(), &session.machine, loads.as_ref());
        let runner = runner.map_err(named)?;
        session.loads = loads.is_some();
        // By the name of its folder the program, and so the record, knows how it was built.
        let profile = runner.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let profile = profile.filter(|name| ["debug", "release"].contains(name)).unwrap_or("unknown");
        // Another program may be there, from when no library was needed.
        let folder = match session.loads {
            true => format!("{}/loads/{profile}", session.folder),
            false => format!("{}/{profile}", session.folder),
        };
        self.push(session, &folder, &[("oplat".into(), runner.clone())], interrupt)?;
        session.runner = format!("{folder}/oplat");
        let said = self.short(&format!("{} --version", quote(&session.runner)), interrupt);
        match said {
            Ok(_) if self.options.fixed_performance => {
                let doing =
                    "switch on fixed performance (leave out `fixed_performance` where it isn't allowed)";
                self.explain(self.short(&format!("{FIXED_PERFORMANCE} true"), interrupt), doing).map(|_| ())
            }
            Ok(_) => Ok(()),
            Err(Failed::Script(_, why)) => Err(Error::input(format!(
                "target {}: {} doesn't run there: {why}; use {} build, or a `folder` where programs may run",
                self.name(),
                runner.display(),
                if session.loads { "another" } else { "a static" }
            ))),
            Err(failed) => self.explain(Err(failed), "try the program"),
        }
    }

    fn not_open(&self) -> Error {
        Error::lost(format!("target {}: it was not reached yet", self.name()))
    }
}

/// All files under a folder, with their names in it.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::file("read", folder, &e))?;
    let mut sorted = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::file("read", folder, &e))?;
        sorted.insert(format!("{prefix}{}", entry.file_name().to_string_lossy()), entry.path());
    }
    for (name, path) in sorted {
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            files.push((name, path));
        }
    }
    Ok(())
}

fn hash(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).map_err(|e| Error::file("read", path, &e))?;
    let (mut digest, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut part).map_err(|e| Error::file("read", path, &e))? {
            0 => break,
            n => digest.update(part.get(..n).unwrap_or_default()),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
