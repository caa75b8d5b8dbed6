//! The mark by which a model that oplat wrote is known again, so that a later one may take its place.
//!
//! It is the file's last entry, one of the model's metadata under the key `oplat`, with a hash of all that stands before it. Other
//! programs keep it as any entry; whatever they change, the file is no longer as oplat wrote it, and is not replaced.

use std::fs::File;
use std::io::{BufReader, Read};

use prost::Message;

use super::Model;
use super::messages::{ModelProto, StringStringEntryProto};
use oplat_ground::files::Kind;

const KEY: &str = "oplat";

/// Models that oplat wrote.
pub const KIND: Kind = Kind { what: "a model as oplat wrote it", is: is_marked };

/// The bytes of the file, with the mark.
pub fn encode(model: &Model) -> Vec<u8> {
    let mut proto = model.proto.clone();
    proto.metadata_props.retain(|entry| entry.key.as_deref() != Some(KEY));
    let mut bytes = proto.encode_to_vec();
    let mut hash = Hash::default();
    hash.add(&bytes);
    bytes.extend(entry(&hash));
    bytes
}

/// A message of nothing but the mark: what is added to the file. It has the same length for every hash.
fn entry(hash: &Hash) -> Vec<u8> {
    let value = Some(format!("written {:016x}", hash.0));
    let entry = StringStringEntryProto { key: Some(KEY.into()), value };
    ModelProto { metadata_props: vec![entry], ..Default::default() }.encode_to_vec()
}

fn is_marked(file: &File) -> bool {
    let length = entry(&Hash::default()).len();
    let Some(rest) = file.metadata().ok().and_then(|m| usize::try_from(m.len()).ok()?.checked_sub(length))
    else {
        return false;
    };
    let (mut file, mut hash) = (BufReader::new(file), Hash::default());
    let (mut part, mut left) = (vec![0; 1 << 16], rest);
    while left > 0 {
        match part.get_mut(..left.min(1 << 16)).map(|part| file.read(part)) {
            Some(Ok(n)) if n > 0 => {
                hash.add(part.get(..n).unwrap_or_default());
                left -= n;
            }
            _ => return false,
        }
    }
    let mut end = vec![];
    file.read_to_end(&mut end).is_ok_and(|_| end == entry(&hash))
}

/// FNV-1a of 64 bits: against changes by accident, not by intent.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::messages::GraphProto;

    #[test]
    fn a_written_model_is_known_until_it_is_changed() {
        let props = |key: &str| StringStringEntryProto { key: Some(key.into()), value: Some("x".into()) };
        let graph = GraphProto { name: Some("g".into()), ..Default::default() };
        let proto = ModelProto {
            graph: Some(graph),
            metadata_props: vec![props("author"), props(KEY)],
            ..Default::default()
        };
        let model = Model { proto, dir: None };
        let file = tempfile::NamedTempFile::new().unwrap();
        let is = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            is_marked(&File::open(file.path()).unwrap())
        };
        let bytes = encode(&model);
        assert!(is(&bytes) && !is(&model.encode()) && !is(b"") && !is(&bytes[1..]));
        let mut read = ModelProto::decode(bytes.as_slice()).unwrap();
        let keys: Vec<&str> = read.metadata_props.iter().filter_map(|e| e.key.as_deref()).collect();
        assert_eq!(keys, ["author", KEY], "one mark beside what was there");
        assert_eq!(encode(&Model { proto: read.clone(), dir: None }), bytes, "written again it is the same");
        read.graph.as_mut().unwrap().name = Some("h".into());
        assert!(!is(&read.encode_to_vec()), "changed by somebody else");
    }
}
