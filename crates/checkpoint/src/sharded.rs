//! Weights that are divided into several files: an index names the file of each tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use crate::CheckpointError;
use crate::contents::{Contents, Format};
use crate::error::{damaged, unsupported};
use crate::file::open_file;
use crate::mapped::map;
use crate::unique::UniqueMap;

/// The longest index in bytes; one of a thousand tensors has 100,000.
const MAX_INDEX: usize = 32 << 20;
/// The most shards; the largest published models have some hundreds.
const MAX_SHARDS: usize = 4096;

#[derive(Deserialize)]
struct Index {
    weight_map: UniqueMap<String>,
}

/// Whether this is an index of shards, by its name (`model.safetensors.index.json`).
pub(crate) fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json"))
}

/// Opens all shards of an index.
///
/// # Errors
/// When the index is no JSON of this form or names a tensor twice; when a shard is outside of the folder, missing, or lacks
/// a tensor; when two shards hold a tensor of the same name; and when a shard cannot be opened.
pub(crate) fn open(path: &Path) -> Result<(Format, Contents), CheckpointError> {
    let bytes = map(path)?;
    if bytes.len() > MAX_INDEX {
        let cause = format!("it has {} bytes; at most {MAX_INDEX} are read", bytes.len());
        return Err(unsupported("index", cause).at(path));
    }
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| damaged("index", error.to_string()).at(path))?;
    let index = index.weight_map.0;
    let shards: BTreeSet<&str> = index.values().map(String::as_str).collect();
    if shards.len() > MAX_SHARDS {
        return Err(unsupported("index", format!("it names more than {MAX_SHARDS} shards")).at(path));
    }
    let mut format = None;
    let mut tensors = BTreeMap::new();
    for shard in shards {
        let (found, contents) = open_shard(path, shard)?;
        format.get_or_insert(found);
        for (name, stored) in contents.tensors {
            if let Some(other) = index.get(&name).filter(|other| *other != shard) {
                return Err(wrong(path, shard, format!("holds the tensor `{name}`, which should be in `{other}`")));
            }
            if tensors.insert(name.clone(), stored).is_some() {
                let cause = format!("holds the tensor `{name}`, which another shard holds too");
                return Err(wrong(path, shard, cause));
            }
        }
    }
    if let Some((name, shard)) = index.iter().find(|(name, _)| !tensors.contains_key(*name)) {
        return Err(wrong(path, shard, format!("does not hold the tensor `{name}`")));
    }
    let format = format.ok_or_else(|| damaged("index", "it names no shard").at(path))?;
    Ok((format, Contents { tensors, values: BTreeMap::new(), nodes: vec![] }))
}

fn open_shard(index: &Path, shard: &str) -> Result<(Format, Contents), CheckpointError> {
    let mut parts = Path::new(shard).components();
    let (Some(Component::Normal(name)), None) = (parts.next(), parts.next()) else {
        return Err(wrong(index, shard, "is not a file of the same folder".to_owned()));
    };
    let path = index.with_file_name(name);
    if !path.is_file() {
        return Err(wrong(index, shard, "is missing".to_owned()));
    }
    open_file(&path)
}

fn wrong(path: &Path, shard: &str, cause: String) -> CheckpointError {
    CheckpointError::Shard { path: path.into(), shard: shard.to_owned(), cause }
}
