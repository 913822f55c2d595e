//! Helper functions for the tests of several modules.

use std::path::Path;

use ptu_data::{Record, RecordImage, ShardWriter, WriterOptions};
use ptu_input::Picture;
use ptu_input::image::resample::Size;

/// A PNG whose pixels depend only on `number`.
pub fn png(number: u8) -> Vec<u8> {
    let samples = (0..20 * 24u16).map(|position| (position as u8).wrapping_mul(number | 1).wrapping_add(number));
    Picture::new(Size { width: 20, height: 24 }, 1, samples.collect()).thumbnail_png(64)
}

/// Writes shards with one pair for each name; every pair has a different picture.
pub fn write_folder(folder: &Path, names: &[&str]) {
    let mut writer = ShardWriter::create(folder, WriterOptions::new("test")).unwrap();
    for (number, name) in names.iter().enumerate() {
        let image = Some(RecordImage { bytes: png(number as u8), path: None });
        let (id, patient, texts) =
            (name.to_string(), name.to_string(), vec!["the heart is enlarged. no effusion.".into()]);
        writer.write(Record { id, patient, image, texts, source: "test".into(), ..Record::default() }).unwrap();
    }
    writer.finish().unwrap();
}
