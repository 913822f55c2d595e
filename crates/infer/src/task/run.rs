//! Predictions for all records of a source, with their own images or with other ones.

use ptu_data::collate::Origin;
use ptu_data::{Example, Preparation, Record, Source, TextChoice};
use ptu_input::{Image, Input};
use rayon::prelude::*;

use super::generator::GeneratedText;
use super::predictor::{BATCH, Predictor, RawPrediction};
use super::target::Target;
use crate::InferError;

/// The image that the model sees with each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownImage<'a> {
    /// The record's own image.
    Own,
    /// An image of one colour, the mean colour that the normalisation subtracts.
    Blank,
    /// No image: prompts take its place. Records without a text give no prediction.
    Missing,
    /// The image of another record: for each record the position of the record whose image is shown.
    Of(&'a [usize]),
}

/// The prediction for a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Position of the record in its source.
    pub position: usize,
    /// The record as the task reads it, without its image.
    pub record: Record,
    /// The right outputs.
    pub target: Target,
    /// The logits of the head; empty for a task that writes texts.
    pub logits: Vec<f32>,
    /// The text that was written; `None` for a task with a fixed set of outputs.
    pub text: Option<GeneratedText>,
    /// Hash of the pixels of the image that the model saw; `None` if it saw none.
    pub image_hash: Option<u64>,
    /// Hash of the text that the model saw, before it was cut; `None` if it saw none.
    pub text_hash: Option<u64>,
    /// Whether the text was longer than the model reads, so that it saw only the beginning.
    pub cut: bool,
}

impl Predictor<'_> {
    /// The predictions for all records of a source that have a target, in their order. Records without an image and without a text
    /// are skipped. `done` is called with the number of finished records.
    ///
    /// # Errors
    /// If a record cannot be read, or an input does not fit the model.
    pub fn run(
        &self,
        source: &dyn Source,
        preparation: &Preparation,
        shown: ShownImage<'_>,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Predicted>, InferError> {
        let (mut predicted, positions) = (vec![], (0..source.len()).collect::<Vec<_>>());
        for chunk in positions.chunks(BATCH) {
            // Images are decoded on all cores. If several cannot be decoded, the error of the first one is reported.
            let read: Vec<Result<_, InferError>> =
                chunk.par_iter().map(|&position| self.read(source, position, preparation, shown)).collect();
            let read: Vec<Option<(Example, Target)>> = read.into_iter().collect::<Result<_, _>>()?;
            let (inputs, rest): (Vec<Input>, Vec<_>) = read
                .into_iter()
                .flatten()
                .map(|(Example { position, record, input, image_hash, text_hash, cut, .. }, target)| {
                    (input, (position, record, target, [image_hash, text_hash], cut))
                })
                .unzip();
            let inputs = self.encoded_inputs(inputs);
            let numbers: Vec<u64> = rest.iter().map(|(position, ..)| *position as u64).collect();
            let raw = self.raw(&inputs, &numbers, &preparation.processor.tokenizer)?;
            predicted.extend(rest.into_iter().zip(raw).map(
                |((position, record, target, [image_hash, text_hash], cut), raw)| {
                    let (logits, text) = match raw {
                        RawPrediction::Logits(logits) => (logits, None),
                        RawPrediction::Text(text) => (vec![], Some(text)),
                    };
                    Predicted { position, record, target, logits, text, image_hash, text_hash, cut }
                },
            ));
            done(chunk.last().map_or(0, |last| last + 1));
        }
        Ok(predicted)
    }

    /// The inputs with the outputs of the image encoder in place of pixels, if the predictor keeps them.
    fn encoded_inputs(&self, mut inputs: Vec<Input>) -> Vec<Input> {
        let Some(encoded) = self.encoded else { return inputs };
        let mut images: Vec<&mut Image> = inputs.iter_mut().filter_map(Input::image_mut).collect();
        let taken = images.iter_mut().map(|image| std::mem::replace(*image, Image::new(0, vec![]))).collect();
        for (image, known) in images.into_iter().zip(encoded.encode(self.model, self.precision, taken)) {
            *image = known;
        }
        inputs
    }

    /// A record as an example with the image that is shown; `None` if it gives no input or has no target.
    fn read(
        &self,
        source: &dyn Source,
        position: usize,
        preparation: &Preparation,
        shown: ShownImage<'_>,
    ) -> Result<Option<(Example, Target)>, InferError> {
        let mut record = source.get(position)?;
        let Some(target) = self.task.output.target(&record) else { return Ok(None) };
        match shown {
            ShownImage::Own | ShownImage::Blank => {}
            ShownImage::Missing => record.image = None,
            // A record without an image stays without one.
            ShownImage::Of(others) if record.image.is_some() => record.image = source.get(others[position])?.image,
            ShownImage::Of(_) => {}
        }
        let origin = Origin { source: 0, name: source.name(), position };
        let Some(mut example) = preparation.evaluate(record, origin, TextChoice::All, None)? else { return Ok(None) };
        if shown == ShownImage::Blank
            && let Input::Pair { image, .. } | Input::Image(image) = &mut example.input
        {
            *image = blank(image);
        }
        Ok(Some((example, target)))
    }
}

/// An image of the same size whose pixels are 0 after the normalisation.
fn blank(image: &Image) -> Image {
    Image::new(image.side, vec![0.0; image.planes.len()])
}
