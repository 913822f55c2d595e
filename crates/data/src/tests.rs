//! Helpers that the tests of several modules share.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use ptu_input::image::resample::Size;
use ptu_input::{Picture, Preprocess, Tokenizer};

use crate::{Manifest, Preparation, Record, RecordImage, ShardWriter, WriterOptions};

/// A small image-text pair with its own patient. The bytes of the image are not a valid image file.
pub fn record(id: &str) -> Record {
    Record {
        id: id.into(),
        patient: id.into(),
        image: Some(RecordImage { bytes: format!("bytes of {id}").into(), path: Some(format!("{id}.png")) }),
        texts: vec![format!("findings of {id}"), "impression".into()],
        source: "test".into(),
        ..Record::default()
    }
}

/// A PNG whose pixels depend on the number.
pub fn png(number: u8) -> Vec<u8> {
    let samples = (0..20 * 24u16).map(|place| (place as u8).wrapping_mul(number | 1).wrapping_add(number));
    Picture::new(Size { width: 20, height: 24 }, 1, samples.collect()).thumbnail_png(64)
}

/// Like [`record`], with a valid image.
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

/// Writes a folder of shards with these records.
pub fn write_folder(folder: &Path, records: Vec<Record>) -> Manifest {
    let mut writer = ShardWriter::create(folder, WriterOptions::new("test")).unwrap();
    records.into_iter().for_each(|record| writer.write(record).unwrap());
    writer.finish().unwrap()
}
