//! Every variant as an ONNX file that workers can reach, for as long as the measurement lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Planned;
use crate::device::Target;
use crate::error::{Error, Result};
use crate::files::Folder;
use crate::onnx::{Model, external};

/// All variants where workers read them, and a place for what workers write; removed when dropped.
pub struct Files {
    written: Arc<Written>,
    /// The folder on the workers' side.
    there: String,
    /// The folder for what they write, on their side.
    outputs: String,
    /// That folder, where workers run here: others read the variants there, too.
    _own: Option<Folder>,
}

/// A temporary folder with all variants.
struct Written {
    folder: Folder,
    /// Each variant's folder of external data in it, if it has any.
    data: Vec<Option<String>>,
}

/// Variants that are written for somebody who measures them, and whether for workers that run here.
type Known = (Weak<Vec<Planned>>, bool, Weak<Written>);

/// Targets that measure the same variants at once, be they a hundred, share one folder: who comes while another writes it waits.
static KNOWN: Mutex<Vec<Known>> = Mutex::new(vec![]);

impl Files {
    /// Writes the variants, unless they are written already for another target, and makes them reachable.
    pub fn shared(variants: &Arc<Vec<Planned>>, target: &dyn Target) -> Result<Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(.., written)| written.strong_count() > 0);
        let here = target.is_here();
        let is_it = |of: &Known| of.0.as_ptr() == Arc::as_ptr(variants) && of.1 == here;
        let written = known.iter().find(|of| is_it(of)).and_then(|(.., written)| written.upgrade());
        let written = match written {
            Some(written) => written,
            None => {
                let written = Arc::new(Written::new(variants, here)?);
                known.push((Arc::downgrade(variants), here, Arc::downgrade(&written)));
                written
            }
        };
        drop(known);
        Self::reached(written, target)
    }

    /// As [`shared`](Self::shared), for variants that nobody else measures.
    pub fn write(variants: &[Planned], target: &dyn Target) -> Result<Self> {
        Self::reached(Arc::new(Written::new(variants, target.is_here())?), target)
    }

    fn reached(written: Arc<Written>, target: &dyn Target) -> Result<Self> {
        let there = target.put(&written.put())?;
        let own = target.is_here().then(Folder::temporary).transpose()?;
        let outputs = own.as_ref().map_or_else(|| Ok(there.clone()), |own| target.put(own.path()))?;
        Ok(Self { written, there, outputs, _own: own })
    }

    /// Path of a variant's model on the workers' side.
    pub fn model(&self, variant: usize) -> String {
        format!("{}/{}", self.there, model_name(variant))
    }

    /// Path of the folder of its external data, if it has any.
    pub fn data(&self, variant: usize) -> Option<String> {
        self.written.data[variant].as_ref().map(|data| format!("{}/{data}", self.there))
    }

    /// Path for a variant's outputs on the workers' side.
    pub fn outputs(&self, variant: usize) -> String {
        format!("{}/outputs-{variant}.f64", self.outputs)
    }
}

impl Written {
    /// Writes the variants and makes their external data reachable; `here` says whether workers run here.
    fn new(variants: &[Planned], here: bool) -> Result<Self> {
        let mut written = Self { folder: Folder::temporary()?, data: vec![] };
        let put = written.put();
        make(&put)?;
        for (number, planned) in variants.iter().enumerate() {
            let path = put.join(model_name(number));
            fs::write(&path, planned.variant.model.encode()).map_err(|e| Error::file("write", &path, &e))?;
        }
        // Two models may keep different weights in files of one name.
        let name = |subject: usize| format!("data-{subject}");
        let subjects: BTreeSet<usize> = variants.iter().map(|planned| planned.subject).collect();
        let mut with_data = BTreeSet::new();
        for subject in subjects {
            let of_it = variants.iter().filter(|planned| planned.subject == subject);
            let of_it: Vec<&Model> = of_it.map(|planned| &planned.variant.model).collect();
            if reach(&of_it, &put.join(name(subject)), here)? {
                with_data.insert(subject);
            }
        }
        let data = |planned: &Planned| with_data.contains(&planned.subject).then(|| name(planned.subject));
        written.data = variants.iter().map(data).collect();
        Ok(written)
    }

    /// The folder in it that targets are given.
    fn put(&self) -> PathBuf {
        self.folder.path().join("put")
    }
}

fn model_name(variant: usize) -> String {
    format!("variant-{variant}.onnx")
}

/// Makes a folder with the external data of a model's variants; false if they have none.
///
/// Workers that run here get a link to the model's own folder: nothing is copied, and the user's files stay as they are (a hard
/// link makes ONNX's checker refuse them as long as it is there). For others it is a folder of links, which are followed
/// when it is sent. Files that the model's folder has as links to elsewhere are copied: engines don't follow those.
pub fn reach(variants: &[&Model], folder: &Path, here: bool) -> Result<bool> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for model in variants {
        for location in external::locations(model) {
            let real = external::resolve(model.dir.as_ref(), &location)?;
            files.insert(location, real);
        }
    }
    let Some(own) = variants.first().and_then(|model| model.dir.as_ref()).filter(|_| !files.is_empty())
    else {
        return Ok(false);
    };
    let own = own.path().canonicalize().map_err(|e| Error::file("read", own.path(), &e))?;
    if here && files.values().all(|real| real.starts_with(&own)) && link(&own, folder).is_ok() {
        return Ok(true);
    }
    make(folder)?;
    for (location, real) in files {
        let to = folder.join(&location);
        let parents: Vec<&Path> = Path::new(&location).ancestors().skip(1).collect();
        parents.iter().rev().try_for_each(|parent| make(&folder.join(parent)))?;
        if here || link(&real, &to).is_err() {
            fs::copy(&real, &to).map_err(|e| Error::file("write", &to, &e))?;
        }
    }
    Ok(true)
}

#[cfg(unix)]
fn link(to: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes a folder unless it is there, and none above it: that may just be removed, when the process is told to end.
fn make(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(Error::file("make", folder, &e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{EXTERNAL, GraphProto, ModelProto, StringStringEntryProto, TensorProto};
    use tempfile::TempDir;

    fn model(location: &str, dir: &Path) -> Model {
        let tensor = TensorProto {
            data_location: Some(EXTERNAL),
            external_data: vec![StringStringEntryProto {
                key: Some("location".into()),
                value: Some(location.into()),
            }],
            ..Default::default()
        };
        let graph = GraphProto { initializer: vec![tensor], ..Default::default() };
        let proto = ModelProto { graph: Some(graph), ..Default::default() };
        Model { proto, dir: Some(dir.into()) }
    }

    #[test]
    fn targets_that_measure_the_same_share_what_they_read_and_not_what_they_write() {
        use crate::device::Local;
        use crate::measure::tests::world::planned;
        let variants = Arc::new(vec![planned("original", crate::record::Role::Original)]);
        let files = || Files::shared(&variants, &Local).expect("written");
        let (one, other) = (files(), files());
        assert_eq!(one.model(0), other.model(0));
        assert_ne!(one.outputs(0), other.outputs(0));
        let again = Files::shared(&Arc::new(variants.to_vec()), &Local).expect("written");
        assert_ne!(one.model(0), again.model(0), "of another measurement");
        let path = PathBuf::from(one.model(0));
        drop(one);
        assert!(path.exists(), "the other reads it");
        drop(other);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn external_data_is_reachable_and_the_users_files_stay_as_they_are() {
        use std::os::unix::fs::MetadataExt;
        let (home, temporary) = (TempDir::new().expect("temp"), TempDir::new().expect("temp"));
        fs::create_dir(home.path().join("w")).expect("made");
        let weights = home.path().join("w/weights.bin");
        fs::write(&weights, b"123").expect("written");
        let model = model("w/weights.bin", home.path());
        for here in [true, false] {
            let folder = temporary.path().join(here.to_string());
            assert!(reach(&[&model, &model], &folder, here).expect("reached"));
            assert_eq!(fs::read(folder.join("w/weights.bin")).expect("there"), b"123");
            assert_eq!(weights.metadata().expect("there").nlink(), 1, "no hard link");
            // An engine that runs here reads it by the same rules as the user's own.
            let seen = external::resolve(Some(&folder.as_path().into()), "w/weights.bin");
            assert_eq!(seen.is_ok(), here);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_store_that_links_model_and_data_to_one_folder_is_read() {
        let (home, temporary) = (TempDir::new().expect("temp"), TempDir::new().expect("temp"));
        let at = |name: &str| home.path().join(name);
        ["blobs", "model"].iter().for_each(|name| fs::create_dir(at(name)).expect("made"));
        fs::write(at("blobs/1"), b"onnx").expect("written");
        fs::write(at("blobs/2"), b"123").expect("written");
        link(Path::new("../blobs/1"), &at("model/m.onnx")).expect("linked");
        link(Path::new("../blobs/2"), &at("model/w.bin")).expect("linked");
        let mut model = model("w.bin", &at("model"));
        assert!(
            reach(&[&model], &temporary.path().join("refused"), true).is_err(),
            "the model's file is unknown"
        );
        model.dir = Some(external::DataFolder::of(&at("model/m.onnx")));
        let folder = temporary.path().join("copied");
        assert!(reach(&[&model], &folder, true).expect("reached"));
        assert_eq!(
            fs::read(external::resolve(Some(&folder.as_path().into()), "w.bin").expect("there"))
                .expect("read"),
            b"123"
        );
    }

    #[test]
    fn external_data_that_is_missing_or_outside_is_refused() {
        let (home, folder) = (TempDir::new().expect("temp"), TempDir::new().expect("temp"));
        for location in ["none.bin", "../secret", "/etc/hostname"] {
            let model = model(location, home.path());
            let error = reach(&[&model], &folder.path().join("data"), true).expect_err(location);
            assert!(error.message.contains(location), "{error}");
        }
    }
}
