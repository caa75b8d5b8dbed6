//! External data: tensors whose bytes are in other files beside the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Component, Path, PathBuf};

use super::Model;
use super::messages::{EXTERNAL, GraphProto, NodeProto, TensorProto};
use oplat_ground::cleanup::Guard;
use oplat_ground::error::{Error, Result};
use oplat_ground::files::Destination;

/// The files that the model's tensors are in, as the model names them.
pub fn locations(model: &Model) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Only read, in a copy since a visitor may change the tensors; their bytes are shared.
    let mut copy = model.clone();
    for_each_tensor(&mut copy, &mut |tensor| found.extend(location(tensor).cloned()));
    found
}

/// The folder of a model's file, to which its external data is relative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFolder {
    /// As the model was named.
    named: PathBuf,
    /// Where the file itself is, if that is a link to elsewhere.
    linked: Option<PathBuf>,
}

impl DataFolder {
    /// That of a model's file.
    pub fn of(file: &Path) -> Self {
        let real = file.is_symlink().then(|| file.canonicalize().ok()).flatten();
        let linked = real.and_then(|real| Some(real.parent()?.to_path_buf()));
        Self { linked, ..Self::from(file.parent().unwrap_or(Path::new(""))) }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        if self.named.as_os_str().is_empty() { Path::new(".") } else { &self.named }
    }

    /// Whether a file, all links followed, lies in the folder, or in that in which the model's file lies itself: stores of
    /// models link both files to one folder of theirs. ONNX Runtime holds to the same rule.
    fn holds(&self, real: &Path) -> bool {
        let folder = self.path().canonicalize().ok();
        folder.iter().chain(&self.linked).any(|folder| real.starts_with(folder))
    }
}

impl From<PathBuf> for DataFolder {
    fn from(named: PathBuf) -> Self {
        Self { named, linked: None }
    }
}

impl From<&Path> for DataFolder {
    fn from(named: &Path) -> Self {
        named.to_path_buf().into()
    }
}

/// Fails for external data that isn't there, may not be read or is cut short, naming its file.
pub fn check(model: &Model) -> Result<()> {
    let mut sizes = BTreeMap::new();
    for location in locations(model) {
        let file = resolve(model.dir.as_ref(), &location)?;
        let size = std::fs::metadata(&file).map_err(|e| Error::file("read external data", &file, &e))?.len();
        sizes.insert(location, size);
    }
    let mut short = None;
    for_each_tensor(&mut model.clone(), &mut |tensor| {
        let number = |key: &str| {
            let entry = tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key))?;
            entry.value.as_ref()?.parse::<u64>().ok()
        };
        let end = number("offset").unwrap_or(0).saturating_add(number("length").unwrap_or(0));
        if let Some((file, &size)) =
            location(tensor).and_then(|l| sizes.get_key_value(l)).filter(|(_, size)| end > **size)
        {
            short.get_or_insert_with(|| (tensor.name().to_owned(), file.clone(), end, size));
        }
    });
    short.map_or(Ok(()), |(name, file, end, size)| {
        Err(Error::input(format!(
            "the weights {name:?} end at byte {end} of {file}, which has {size}: copy it again, whole"
        )))
    })
}

/// The file that a location means, all links followed.
///
/// Fails for what isn't there or is no file, and for one outside the model's folder, be it by its name or by a link: only a
/// hostile model has that.
pub fn resolve(dir: Option<&DataFolder>, location: &str) -> Result<PathBuf> {
    let Some(dir) = dir else {
        return Err(Error::input(format!("external data `{location}`: the model has no folder")));
    };
    let inside = |c| matches!(c, Component::Normal(_) | Component::CurDir);
    if !Path::new(location).components().all(inside) {
        return Err(Error::input(format!(
            "external data `{location}` is outside the model's folder: put it beside the model"
        )));
    }
    let named = dir.named.join(location);
    let real = named.canonicalize().map_err(|_| {
        Error::input(format!(
            "the weights in {} are not there: put the file beside the model",
            named.display()
        ))
    })?;
    if !dir.holds(&real) {
        return Err(Error::input(format!(
            "external data `{location}` is a link to outside the model's folder, to {}: put the file itself beside the model",
            real.display()
        )));
    }
    if !real.is_file() {
        return Err(Error::input(format!(
            "external data `{location}` is no file (a folder, a pipe or a device): put the file beside the model"
        )));
    }
    Ok(real)
}

/// External data that was put beside a model that is about to be written; removed unless it is kept.
#[must_use = "what was put there is removed with it"]
#[derive(Debug, Default)]
pub struct Followed(Vec<Guard>);

impl Followed {
    /// For a model that has been written.
    pub fn keep(self) {
        self.0.into_iter().for_each(Guard::disarm);
    }
}

/// Makes the external data that the model names available in `dir`, where its file is about to be written as
/// `file`. A file that is already there stays as it is: if it holds something else, the data gets another name, and the model is
/// pointed to it.
pub fn follow(model: &mut Model, dir: &Path, file: &str) -> Result<Followed> {
    let (mut moved, mut followed) = (BTreeMap::new(), Followed::default());
    for location in locations(model) {
        let from = resolve(model.dir.as_ref(), &location)?;
        let name = Path::new(&location).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let others = (1..).map(|n| match n {
            1 => format!("{file}.{name}"),
            n => format!("{file}.{n}.{name}"),
        });
        let free = |name: &String| dir.join(name) != dir.join(file);
        for name in std::iter::once(location.clone()).chain(others).filter(free) {
            if put(&from, dir, &name, &mut followed)? {
                if name != location {
                    moved.insert(location, name);
                }
                break;
            }
        }
    }
    point(model, &moved);
    model.dir = Some(dir.into());
    Ok(followed)
}

/// Whether data is at this name in the folder, or could be put there: false if something else is there.
fn put(from: &Path, dir: &Path, name: &str, followed: &mut Followed) -> Result<bool> {
    let to = dir.join(name);
    let is_within = || dir.canonicalize().is_ok_and(|dir| from.starts_with(dir));
    if to.canonicalize().is_ok_and(|to| to == from) && is_within() {
        return Ok(true);
    }
    if to.symlink_metadata().is_ok() {
        return is_equal(from, &to);
    }
    // A link on the way would lead out of the folder.
    let mut parents = Path::new(name).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
    let is_folder = |parent: &Path| match dir.join(parent).symlink_metadata() {
        Ok(there) => there.is_dir(),
        Err(_) => true,
    };
    if !parents.all(is_folder) {
        return Ok(false);
    }
    if let Some(parent) = to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|e| Error::file("make", parent, &e))?;
    }
    let mut source = File::open(from).map_err(|e| Error::file("read external data", from, &e))?;
    let placed = Destination::check(&to)?.fill_new(|out| std::io::copy(&mut source, out).map(|_| ()))?;
    let is_new = placed.is_some();
    followed.0.extend(placed);
    Ok(is_new)
}

/// Whether both are files, and hold the same.
fn is_equal(a: &Path, b: &Path) -> Result<bool> {
    let size = |file: &Path| file.symlink_metadata().ok().filter(|m| m.is_file()).map(|m| m.len());
    if size(a).is_none() || size(a) != size(b) {
        return Ok(false);
    }
    let open = |file: &Path| File::open(file).map_err(|e| Error::file("read", file, &e));
    let (mut a, mut b) = (BufReader::new(open(a)?), BufReader::new(open(b)?));
    loop {
        let (Ok(one), Ok(other)) = (a.fill_buf(), b.fill_buf()) else { return Ok(false) };
        let n = one.len().min(other.len());
        if one.get(..n) != other.get(..n) {
            return Ok(false);
        }
        if n == 0 {
            return Ok(one.len() == other.len());
        }
        a.consume(n);
        b.consume(n);
    }
}

/// Points the model's tensors to where their data was moved.
fn point(model: &mut Model, moved: &BTreeMap<String, String>) {
    if moved.is_empty() {
        return;
    }
    for_each_tensor(model, &mut |tensor| {
        for entry in tensor.external_data.iter_mut().filter(|e| e.key.as_deref() == Some("location")) {
            if let Some(other) = entry.value.as_ref().and_then(|v| moved.get(v)) {
                entry.value = Some(other.clone());
            }
        }
    });
}

fn location(tensor: &TensorProto) -> Option<&String> {
    if tensor.data_location != Some(EXTERNAL) {
        return None;
    }
    tensor.external_data.iter().find(|e| e.key.as_deref() == Some("location"))?.value.as_ref()
}

fn for_each_tensor(model: &mut Model, visit: &mut impl FnMut(&mut TensorProto)) {
    graph(model.graph_mut(), visit);
    for function in &mut model.proto.functions {
        function.node.iter_mut().for_each(|n| node(n, visit));
    }
}

fn graph(graph: &mut GraphProto, visit: &mut impl FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *visit);
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(&mut sparse.indices).for_each(&mut *visit);
    }
    graph.node.iter_mut().for_each(|n| node(n, visit));
}

fn node(node: &mut NodeProto, visit: &mut impl FnMut(&mut TensorProto)) {
    for attribute in &mut node.attribute {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut *visit);
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|g| graph(g, visit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::{ModelProto, StringStringEntryProto};
    use std::fs;
    use tempfile::TempDir;

    /// A model with a tensor in each of these files.
    fn model(locations: &[&str], dir: &Path) -> Model {
        let tensor = |location: &&str| TensorProto {
            name: Some(location.to_string()),
            data_location: Some(EXTERNAL),
            external_data: vec![StringStringEntryProto {
                key: Some("location".into()),
                value: Some(location.to_string()),
            }],
            ..Default::default()
        };
        let initializer = locations.iter().map(tensor).collect();
        let graph = GraphProto { initializer, ..Default::default() };
        Model { proto: ModelProto { graph: Some(graph), ..Default::default() }, dir: Some(dir.into()) }
    }

    /// The model's folder, with different bytes of one length in `a/w.bin` and `b/w.bin`.
    fn two() -> (TempDir, Model) {
        let home = TempDir::new().unwrap();
        for name in ["a", "b"] {
            fs::create_dir(home.path().join(name)).unwrap();
            fs::write(home.path().join(name).join("w.bin"), name.repeat(4)).unwrap();
        }
        let model = model(&["a/w.bin", "b/w.bin"], home.path());
        (home, model)
    }

    /// What each tensor's data is.
    fn read(model: &Model) -> Vec<String> {
        let tensors = &model.graph().initializer;
        let file = |t: &TensorProto| resolve(model.dir.as_ref(), location(t).unwrap()).unwrap();
        tensors.iter().map(|t| fs::read_to_string(file(t)).unwrap()).collect()
    }

    #[test]
    fn data_of_one_name_stays_apart_and_nobodys_file_is_replaced() {
        let (_home, model) = two();
        for theirs in [&[][..], &["a/w.bin"], &["a/w.bin", "b/w.bin", "out.onnx.w.bin"]] {
            let folder = TempDir::new().unwrap();
            for name in theirs {
                fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
                fs::write(folder.path().join(name), "mine").unwrap();
            }
            for _ in 0..2 {
                let mut written = model.clone();
                follow(&mut written, folder.path(), "out.onnx").unwrap().keep();
                assert_eq!(read(&written), ["aaaa", "bbbb"], "{theirs:?}");
                let files = fs::read_dir(folder.path()).unwrap().flatten().filter(|f| f.path().is_file());
                assert!(files.count() <= 3, "what is there already is used again: {theirs:?}");
            }
            for name in theirs {
                assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "mine", "{theirs:?}");
            }
        }
    }

    #[test]
    fn data_never_has_the_models_own_name_and_goes_with_a_model_that_failed() {
        let (_home, mut written) = two();
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let followed = follow(&mut written, &folder.path().join("a"), "w.bin").unwrap();
        assert!(!folder.path().join("a/w.bin").exists());
        assert_eq!(read(&written), ["aaaa", "bbbb"]);
        drop(followed);
        assert!(!folder.path().join("a/a/w.bin").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_within_the_folder_are_followed_and_others_refused() {
        use std::os::unix::fs::symlink;
        let (home, _) = two();
        let other = TempDir::new().unwrap();
        fs::write(other.path().join("w.bin"), "theirs").unwrap();
        symlink("a/w.bin", home.path().join("within.bin")).unwrap();
        symlink("a", home.path().join("c")).unwrap();
        symlink(other.path().join("w.bin"), home.path().join("outside.bin")).unwrap();
        symlink(other.path(), home.path().join("d")).unwrap();
        let dir = DataFolder::from(home.path());
        for location in ["within.bin", "c/w.bin", "./a/w.bin"] {
            assert_eq!(fs::read_to_string(resolve(Some(&dir), location).unwrap()).unwrap(), "aaaa");
        }
        for (location, why) in [
            ("outside.bin", "a link to outside the model's folder"),
            ("d/w.bin", "a link to outside the model's folder"),
            ("../w.bin", "outside the model's folder"),
            ("a", "no file"),
            ("", "no file"),
            ("none.bin", "not there"),
        ] {
            let error = resolve(Some(&dir), location).unwrap_err();
            assert!(error.message.contains(why) && error.message.lines().count() == 1, "{location}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        // Nor is data put where such a link leads.
        let target = TempDir::new().unwrap();
        symlink(other.path(), target.path().join("a")).unwrap();
        let mut written = model(&["a/w.bin"], home.path());
        follow(&mut written, target.path(), "out.onnx").unwrap().keep();
        assert_eq!(read(&written), ["aaaa"]);
        assert_eq!(fs::read_to_string(other.path().join("w.bin")).unwrap(), "theirs");
    }
}
