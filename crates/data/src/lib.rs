//! Records: prepared from raw data into shards, drawn in a seeded order, masked and collated into batches.
//!
//! - [`record`]: the typed row; [`source`]: a number of them, reachable by position.
//! - [`prepare`]: raw data into a folder of shards; [`shard`] and [`manifest`]: that folder, written whole or not at all,
//!   verified when opened.
//! - [`order`]: which record stands at which place of which step, a pure function; [`mask`]: whole-word masking.
//! - [`collate`] and [`loader`]: records into batches, ahead of the model, the same for any number of threads.
//! - [`phantom`]: a synthetic corpus.
//!
//! ```
//! use ptu_data::{Record, Records, ShardFolder, ShardWriter, Source, Split, WriterOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let here = tempfile::tempdir()?;
//! # let folder = here.path().join("shards");
//! let mut writer = ShardWriter::create(&folder, WriterOptions::new("notes"))?;
//! writer.write(Record {
//!     id: "1".into(),
//!     patient: "p1".into(),
//!     image: None,
//!     texts: vec!["The heart is enlarged.".into()],
//!     labels: vec![],
//!     split: Split::Train,
//!     source: "notes".into(),
//! })?;
//! let manifest = writer.finish()?;
//! assert_eq!(manifest.counts(Split::Train).texts_only, 1);
//!
//! let train = ShardFolder::open(&folder, Split::Train)?;
//! assert_eq!((train.len(), train.get(0)?.patient), (1, "p1".into()));
//! # Ok(())
//! # }
//! ```

pub mod collate;
mod error;
pub mod loader;
pub mod manifest;
pub mod mask;
pub mod order;
pub mod phantom;
pub mod prepare;
pub mod record;
pub mod shard;
pub mod source;

pub use collate::{Example, MaskedTexts, Preparation, TextChoice, TrainBatch};
pub use error::DataError;
pub use loader::{Examples, Loader, LoaderOptions, WeightedSource};
pub use manifest::{Counts, Manifest};
pub use mask::{MaskTokens, Masked};
pub use order::{Draw, Mixture, Rank, Share};
pub use prepare::{Progress, Shares};
pub use record::{Label, Record, RecordImage, Split, UnknownSplit};
pub use shard::{ShardFolder, ShardWriter, WriterOptions};
pub use source::{Records, Source};

#[cfg(test)]
mod tests {
    //! What the tests of several modules share.

    use std::path::Path;
    use std::sync::{Arc, LazyLock};

    use ptu_input::image::resample::Size;
    use ptu_input::{Picture, Preprocess, Tokenizer};

    use crate::{Manifest, Preparation, Record, RecordImage, ShardWriter, Split, WriterOptions};

    /// A small pair of a patient of its own. The image's bytes are no picture.
    pub fn record(id: &str) -> Record {
        Record {
            id: id.into(),
            patient: id.into(),
            image: Some(RecordImage { bytes: format!("bytes of {id}").into(), path: Some(format!("{id}.png")) }),
            texts: vec![format!("findings of {id}"), "impression".into()],
            labels: vec![],
            split: Split::Train,
            source: "test".into(),
        }
    }

    /// A PNG whose pixels the number tells.
    pub fn png(number: u8) -> Vec<u8> {
        let samples = (0..20 * 24u16).map(|place| (place as u8).wrapping_mul(number | 1).wrapping_add(number));
        Picture::new(Size { width: 20, height: 24 }, 1, samples.collect()).thumbnail_png(64)
    }

    /// As [`record`], with a picture.
    pub fn picture_record(id: &str, number: u8) -> Record {
        let image = Some(RecordImage { bytes: png(number), path: None });
        Record { image, texts: vec!["the heart is enlarged. no effusion.".into()], ..record(id) }
    }

    /// A tiny tokenizer and 16-pixel images.
    pub fn preparation() -> Preparation {
        static TOKENIZER: LazyLock<Arc<Tokenizer>> = LazyLock::new(|| {
            let corpus = ["the heart is enlarged", "the heart is of normal size", "no effusion is seen"];
            Arc::new(Tokenizer::train(corpus, 290).unwrap())
        });
        Preparation::new(Arc::clone(&TOKENIZER), Preprocess::clip(16), 24)
    }

    /// Shards of these records.
    pub fn write_folder(folder: &Path, records: Vec<Record>) -> Manifest {
        let mut writer = ShardWriter::create(folder, WriterOptions::new("test")).unwrap();
        records.into_iter().for_each(|record| writer.write(record).unwrap());
        writer.finish().unwrap()
    }
}
