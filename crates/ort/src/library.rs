//! Where ONNX Runtime's library is, and what it is.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use oplat_engine::at;
use oplat_ground::elf::Elf;
use oplat_ground::error::{Error, Result};
use oplat_ground::protocol::Failure;
use oplat_ground::record::Engine;

/// The oldest version that this program can use, as `Cargo.toml` asks for it.
const OLDEST: &str = "1.22";

/// Keeps the library from reporting to its maker, with threads and files of its own: it looks for this when it is loaded, and
/// what its API can switch off is less.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// Step of the clock of its profiles, ns.
const CLOCK_NS: u64 = 1000;

/// The library: the one that is given, or the first that is found. Its name ends in nothing else but a version.
///
/// Looked for in this order: the environment's `ORT_DYLIB_PATH`, beside this program, in the active Python environment, where
/// the system keeps libraries. Fails with how to get one.
pub fn find(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return of_path(path).ok_or_else(|| {
            Error::input(format!(
                "{}: no library of ONNX Runtime: give its file, or the folder that it is in",
                path.display()
            ))
        });
    }
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from)
    {
        return of_path(&path).ok_or_else(|| {
            Error::input(format!(
                "ORT_DYLIB_PATH: {} is no library of ONNX Runtime: unset it, or give the library's file or its folder",
                path.display()
            ))
        });
    }
    let folders = [beside(), python(), system()].into_iter().flatten();
    folders.into_iter().find_map(|folder| in_folder(&folder)).ok_or_else(|| {
        Error::input(
            "no library of ONNX Runtime is found: `pip install onnxruntime` in the active Python environment, or give one \
             with --engine ort=LIBRARY or ORT_DYLIB_PATH",
        )
    })
}

fn of_path(path: &Path) -> Option<PathBuf> {
    if path.is_dir() { in_folder(path) } else { path.is_file().then(|| path.to_owned()) }
}

/// The library in a folder; of several that of the highest version.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|file| file.file_name().is_some_and(is_library) && file.is_file())
        .max_by_key(|f| version_in(f))
}

/// The numbers in a library's name, in order; none in `libonnxruntime.so`.
fn version_in(file: &Path) -> Vec<u32> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.32.0`, `libonnxruntime.1.32.0.dylib`, `onnxruntime.dll`.
fn is_library(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let version = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let stem = name.strip_prefix("lib").unwrap_or(&name).strip_prefix("onnxruntime");
    stem.is_some_and(|rest| {
        rest.strip_prefix(".so").is_some_and(version)
            || rest.strip_suffix(".dylib").is_some_and(version)
            || rest == ".dll"
    })
}

fn beside() -> Vec<PathBuf> {
    std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned())).into_iter().collect()
}

/// The package's folders in the active Python environment: that which is activated, or else that of the first Python on the
/// path.
fn python() -> Vec<PathBuf> {
    let activated =
        ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = std::env::split_paths(&path).find(|folder| folder.join("python3").exists());
    let of_user = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local"));
    let prefixes = activated.chain(first.and_then(|bin| Some(bin.parent()?.to_owned()))).chain(of_user);
    prefixes.flat_map(|prefix| packages(&prefix)).map(|folder| folder.join("onnxruntime/capi")).collect()
}

fn packages(prefix: &Path) -> Vec<PathBuf> {
    let mut folders = vec![prefix.join("Lib/site-packages")];
    for lib in ["lib", "lib64", "local/lib"] {
        let versions =
            std::fs::read_dir(prefix.join(lib)).into_iter().flatten().filter_map(|e| Some(e.ok()?.path()));
        let versions =
            versions.filter(|v| v.file_name().is_some_and(|n| n.to_string_lossy().starts_with("python3")));
        folders.extend(versions.flat_map(|v| [v.join("site-packages"), v.join("dist-packages")]));
    }
    folders
}

fn system() -> Vec<PathBuf> {
    let listed = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let triple = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let usual = ["/usr/local/lib", &triple, "/usr/lib64", "/usr/lib", "/opt/homebrew/lib"];
    std::env::split_paths(&listed).chain(usual.map(PathBuf::from)).collect()
}

/// What is loaded in this process.
static LOADED: OnceLock<std::result::Result<Engine, String>> = OnceLock::new();

/// Loads the library, which a process does once, and says what it is. Fails with what is wrong with it.
pub fn load(given: Option<&Path>) -> std::result::Result<Engine, Failure> {
    let loaded = LOADED.get_or_init(|| {
        let path = find(given).map_err(|e| e.message)?;
        load_from(&path)
    });
    loaded.clone().map_err(Failure::new)
}

fn load_from(path: &Path) -> std::result::Result<Engine, String> {
    if Elf::is_running_static() {
        return Err("this program is linked statically and can't load a library: use one that isn't (docs/engines.md says how \
                    to build it)"
            .into());
    }
    let named = |what: &str| format!("{}: {what}", path.display());
    let path = path.canonicalize().map_err(|e| named(&e.to_string()))?;
    // SAFETY: other threads of this process, if there are any yet, only wait for requests and don't look at its environment.
    unsafe { std::env::set_var(NO_TELEMETRY, "1") };
    let unfit = |what: &dyn std::fmt::Display| {
        // A library for Linux is none for Android.
        let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let why = format!("{what}; ONNX Runtime {OLDEST} or newer for {system} on {processor} is needed");
        named(&at::one_line(&why))
    };
    let version = version(&path).map_err(|e| unfit(&e))?;
    let builder = ort::init_from(&path).map_err(|e| unfit(&e))?;
    builder.with_name("oplat").with_telemetry(false).commit();
    let sha256 = hash(&path).map_err(|e| named(&e.to_string()))?;
    Ok(Engine {
        name: "ONNX Runtime".into(),
        version,
        libc: oplat_ground::process::cpu::libc(),
        allocator: "its own arena".into(),
        library: Some(path.display().to_string()),
        sha256: Some(sha256),
        op_clock_ns: Some(CLOCK_NS),
        providers: crate::providers::available(),
        ..Engine::default()
    })
}

/// The version that the library tells. Fails for one that isn't ONNX Runtime's.
fn version(path: &Path) -> std::result::Result<String, String> {
    // SAFETY: a library runs its own initialisation, as it would when it is loaded for good. Its entry point gives a table of
    // functions, of which this one gives a text that ends in a zero. Both live as long as the library.
    unsafe {
        let library = libloading::Library::new(path).map_err(|e| e.to_string())?;
        let base: libloading::Symbol<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
            library.get(b"OrtGetApiBase").map_err(|_| "no library of ONNX Runtime")?;
        let base = base().as_ref().ok_or("no library of ONNX Runtime")?;
        let text = std::ffi::CStr::from_ptr((base.GetVersionString)());
        let version = text.to_string_lossy().into_owned();
        // It may have begun threads, which must not lose the code that they run.
        std::mem::forget(library);
        Ok(version)
    }
}

fn hash(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => break,
            n => hasher.update(&part[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_known_by_its_name_on_every_system() {
        for name in [
            "libonnxruntime.so",
            "libonnxruntime.so.1.32.0",
            "libonnxruntime.1.32.0.dylib",
            "onnxruntime.dll",
        ] {
            assert!(is_library(OsStr::new(name)), "{name}");
        }
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.txt",
            "onnxruntime.py",
            "libonnxruntime4j.so",
        ] {
            assert!(!is_library(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_is_given_is_taken_or_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = find(Some(folder.path())).unwrap_err();
        assert!(error.message.contains("no library of ONNX Runtime"), "{error}");
        let file = folder.path().join("libonnxruntime.so.1.2.3");
        std::fs::write(&file, b"").unwrap();
        assert_eq!(find(Some(folder.path())).unwrap(), file);
        let newer = folder.path().join("libonnxruntime.so.1.10.0");
        std::fs::write(&newer, b"").unwrap();
        assert_eq!(find(Some(folder.path())).unwrap(), newer, "by number, not by letters");
    }
}
