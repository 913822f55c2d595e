//! What the tests of several modules share.

use std::path::Path;

use ptu_data::{Record, RecordImage, ShardWriter, WriterOptions};
use ptu_input::Picture;
use ptu_input::image::resample::Size;

/// A PNG whose pixels the number tells.
pub fn png(number: u8) -> Vec<u8> {
    let samples = (0..20 * 24u16).map(|place| (place as u8).wrapping_mul(number | 1).wrapping_add(number));
    Picture::new(Size { width: 20, height: 24 }, 1, samples.collect()).thumbnail_png(64)
}

/// Shards of pairs of these names, each with a picture of its own.
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
