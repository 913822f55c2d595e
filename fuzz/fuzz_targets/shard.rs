//! Fuzzes the reader of shards: any bytes, with a manifest that matches them.
#![no_main]

use ptu_data::{ShardFolder, Source, Split};
use ptu_fuzz::TemporaryFolder;
use sha2::{Digest, Sha256};

// The decoder's own panics are turned into errors, so the panic hook must not abort the process before that.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let Some((&records, bytes)) = bytes.split_first() else { return };
    let workspace = TemporaryFolder::default();
    workspace.write("out/train-00000.parquet", bytes);
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let shard = serde_json::json!({"file": "train-00000.parquet", "split": "train", "records": records, "bytes": bytes.len(), "sha256": hash});
    let manifest = serde_json::json!({
        "format": ptu_data::manifest::FORMAT, "source": "fuzz", "dataset": "", "made_by": {"arguments": [], "version": ""},
        "preprocessing": [], "splits": {}, "shards": [shard], "skipped": [], "noted": {}, "overlaps": [],
    });
    workspace.write("out/manifest.json", manifest.to_string().as_bytes());
    if let Ok(folder) = ShardFolder::open(&workspace.path("out"), Split::Train) {
        for index in 0..folder.len().min(4) {
            let _ = folder.get(index);
        }
        let _ = folder.ids();
        let _ = folder.each_without_image(&mut |_| {});
    }
});
