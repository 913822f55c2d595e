//! A shard whose manifest fits it, whatever its bytes are.
#![no_main]

use ptu_data::{ShardFolder, Source, Split};
use ptu_fuzz::Place;
use sha2::{Digest, Sha256};

// The decoder's own panics become errors, so they may not end the target before they do.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let Some((&records, bytes)) = bytes.split_first() else { return };
    let place = Place::default();
    place.write("out/train-00000.parquet", bytes);
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let shard = serde_json::json!({"file": "train-00000.parquet", "split": "train", "records": records, "bytes": bytes.len(), "sha256": hash});
    let manifest = serde_json::json!({
        "format": ptu_data::manifest::FORMAT, "source": "fuzz", "dataset": "", "made_by": {"arguments": [], "version": ""},
        "preprocessing": [], "splits": {}, "shards": [shard], "skipped": [], "noted": {}, "overlaps": [],
    });
    place.write("out/manifest.json", manifest.to_string().as_bytes());
    if let Ok(folder) = ShardFolder::open(&place.path("out"), Split::Train) {
        for index in 0..folder.len().min(4) {
            let _ = folder.get(index);
        }
        let _ = folder.ids();
        let _ = folder.each_without_image(&mut |_| {});
    }
});
