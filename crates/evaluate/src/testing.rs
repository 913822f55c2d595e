//! Records and a processor for the tests of this crate.

use std::sync::Arc;

use ptu_data::{Record, RecordImage, Records, Source};
use ptu_infer::Vectors;
use ptu_input::image::resample::Size;
use ptu_input::{Picture, Preprocess, Processor, Tokenizer};
use ptu_random::{Key, Place};

/// Records with an image of random grey levels each.
pub fn noise(count: usize, side: usize) -> Arc<dyn Source> {
    let mut stream = Key::new(3).stream(Place::Sample, 0);
    let mut record = |number: usize| {
        let levels = (0..side * side).map(|_| stream.below(256) as u8).collect();
        let picture = Picture::new(Size { width: side, height: side }, 1, levels);
        let image = RecordImage { bytes: picture.thumbnail_png(side), path: None };
        Record { id: number.to_string(), image: Some(image), ..Record::default() }
    };
    Arc::new(Records { name: "noise".into(), records: (0..count).map(&mut record).collect() })
}

/// Vectors of normally distributed values.
pub fn normal_vectors(seed: u64, rows: usize, width: usize) -> Vectors {
    let mut stream = Key::new(seed).stream(Place::Sample, 0);
    Vectors { width, values: (0..rows * width).map(|_| stream.normal() as f32).collect() }
}

/// A processor for images of this side.
pub fn processor(side: usize) -> Processor {
    let tokenizer = Tokenizer::train(["right lung left lung"], 290).unwrap();
    Processor::new(Arc::new(tokenizer), &Preprocess::clip(side), 8)
}
