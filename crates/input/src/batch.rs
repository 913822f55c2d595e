//! The input of the model: the [`Input`] of one record, and a [`Batch`] of inputs as arrays.

use crate::ImageOutputs;

/// A prepared image: `3 x side x side` values, channel first, normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Height and width in pixels.
    pub side: usize,
    /// Red, green and blue planes, each `side * side`, row by row. Empty if the outputs of the encoder are known.
    pub planes: Vec<f32>,
    /// The outputs of the image encoder for this image, if they were computed earlier.
    pub outputs: Option<ImageOutputs>,
}

/// A tokenised text with its special tokens, `<s> ... </s>`, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token, the number of its word, from 0; `None` for special tokens. Masking uses it to mask whole words.
    pub words: Vec<Option<u32>>,
}

/// The input of one record. A missing modality is a variant of this enum, not a flag.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// An image and a text.
    Pair {
        /// The image.
        image: Image,
        /// The text.
        text: Text,
    },
    /// An image without text.
    Image(Image),
    /// A text without image.
    Text(Text),
}

/// Images as one array, `[count, 3, side, side]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// The number of images.
    pub count: usize,
    /// Height and width in pixels (0 when there are none).
    pub side: usize,
    /// The planes of all images, one image after another. Empty if the outputs of the encoder are known.
    pub planes: Vec<f32>,
    /// The outputs of the image encoder for all these images, if they were computed earlier.
    pub outputs: Option<ImageOutputs>,
}

/// Texts of different lengths, concatenated without padding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Token ids of the first text, then of the second, and so on.
    pub ids: Vec<u32>,
    /// The number of tokens of each text.
    pub lengths: Vec<usize>,
}

/// Where the result of a record is: the group and the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Row among the pairs.
    Pair(usize),
    /// Row among the images.
    Image(usize),
    /// Row among the texts.
    Text(usize),
}

/// The arrays of a mixed batch. Each variant of [`Input`] is a group of its own, and `order` maps the results back to the
/// order of the records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Images of the pairs; row i belongs to row i of `pair_texts`.
    pub pair_images: Images,
    /// Texts of the pairs.
    pub pair_texts: Texts,
    /// Images without text.
    pub images: Images,
    /// Texts without image.
    pub texts: Texts,
    /// For each record, in the original order, where its result is.
    pub order: Vec<Slot>,
}

impl Image {
    /// An image of these pixels.
    pub fn new(side: usize, planes: Vec<f32>) -> Self {
        Self { side, planes, outputs: None }
    }

    /// Grey levels 0 to 255 of the first channel, from its lowest to its highest value, as a person may look at them.
    ///
    /// # Panics
    /// If the image has no pixels.
    pub fn grey_levels(&self) -> Vec<u8> {
        let plane = &self.planes[..self.side * self.side];
        let (low, high) =
            plane.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        let level = |x: &f32| if high > low { ((x - low) / (high - low) * 255.0) as u8 } else { 0 };
        plane.iter().map(level).collect()
    }
}

impl Images {
    /// Collects images into one array.
    ///
    /// # Panics
    /// If the images differ in size, or if the outputs of the encoder are known for some of them only. The transforms of one
    /// bundle always give the same size, and one loader gives either pixels or outputs.
    pub fn collect<'a>(images: impl IntoIterator<Item = &'a Image>) -> Self {
        let mut all = Self::default();
        for image in images {
            assert!(all.count == 0 || all.side == image.side, "images of one batch have the same size");
            (all.count, all.side) = (all.count + 1, image.side);
            all.planes.extend_from_slice(&image.planes);
            if let Some(outputs) = &image.outputs {
                all.outputs.get_or_insert_default().extend(outputs);
            }
        }
        let known = all.outputs.as_ref().map_or(0, ImageOutputs::count);
        assert!(known == 0 || known == all.count, "outputs are known for some images of a batch, and not for others");
        all
    }
}

impl Texts {
    /// Concatenates token sequences.
    pub fn collect<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut all = Self::default();
        for ids in texts {
            all.ids.extend_from_slice(ids);
            all.lengths.push(ids.len());
        }
        all
    }

    /// Concatenates several collections of texts.
    pub fn cat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.ids.extend_from_slice(&part.ids);
            all.lengths.extend_from_slice(&part.lengths);
        }
        all
    }

    /// The number of texts.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// The position of the first token of each text, in the concatenated ids.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.lengths.iter().scan(0, |next, length| {
            *next += length;
            Some(*next - length)
        })
    }

    /// The token ids of one text.
    ///
    /// # Panics
    /// If there is no such text.
    pub fn text(&self, number: usize) -> &[u32] {
        let start: usize = self.lengths[..number].iter().sum();
        &self.ids[start..start + self.lengths[number]]
    }
}

impl From<Image> for Input {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

impl From<Text> for Input {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl Input {
    /// The input of an image, a text or both; `None` if neither is given.
    pub fn of(image: Option<Image>, text: Option<Text>) -> Option<Self> {
        match (image, text) {
            (Some(image), Some(text)) => Some(Self::Pair { image, text }),
            (Some(image), None) => Some(Self::Image(image)),
            (None, Some(text)) => Some(Self::Text(text)),
            (None, None) => None,
        }
    }

    /// The image, if there is one.
    pub fn image(&self) -> Option<&Image> {
        match self {
            Self::Pair { image, .. } | Self::Image(image) => Some(image),
            Self::Text(_) => None,
        }
    }

    /// The image for changes, if there is one.
    pub fn image_mut(&mut self) -> Option<&mut Image> {
        match self {
            Self::Pair { image, .. } | Self::Image(image) => Some(image),
            Self::Text(_) => None,
        }
    }

    /// The text for changes, if there is one.
    pub fn text_mut(&mut self) -> Option<&mut Text> {
        match self {
            Self::Pair { text, .. } | Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }

    /// The text, if there is one.
    pub fn text(&self) -> Option<&Text> {
        match self {
            Self::Pair { text, .. } | Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}

impl Batch {
    /// Groups inputs by variant.
    pub fn collect(inputs: &[Input]) -> Self {
        let (mut pairs, mut images, mut texts, mut order) = (vec![], vec![], vec![], vec![]);
        for input in inputs {
            order.push(match input {
                Input::Pair { image, text } => {
                    pairs.push((image, text.ids.as_slice()));
                    Slot::Pair(pairs.len() - 1)
                }
                Input::Image(image) => {
                    images.push(image);
                    Slot::Image(images.len() - 1)
                }
                Input::Text(text) => {
                    texts.push(text.ids.as_slice());
                    Slot::Text(texts.len() - 1)
                }
            });
        }
        Self {
            pair_images: Images::collect(pairs.iter().map(|pair| pair.0)),
            pair_texts: Texts::collect(pairs.iter().map(|pair| pair.1)),
            images: Images::collect(images),
            texts: Texts::collect(texts),
            order,
        }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether the batch has no records.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(value: f32) -> Image {
        Image::new(1, vec![value; 3])
    }

    fn text(ids: &[u32]) -> Text {
        Text { ids: ids.to_vec(), words: vec![None; ids.len()] }
    }

    #[test]
    fn a_mixed_batch_is_grouped_and_keeps_the_order() {
        let inputs = [
            Input::Text(text(&[0, 5, 2])),
            Input::Pair { image: image(1.0), text: text(&[0, 2]) },
            Input::Image(image(2.0)),
            Input::Pair { image: image(3.0), text: text(&[0, 7, 8, 2]) },
        ];
        let batch = Batch::collect(&inputs);
        assert_eq!(batch.order, [Slot::Text(0), Slot::Pair(0), Slot::Image(0), Slot::Pair(1)]);
        assert_eq!(batch.pair_images.planes, [1.0, 1.0, 1.0, 3.0, 3.0, 3.0]);
        assert_eq!(batch.pair_texts, Texts { ids: vec![0, 2, 0, 7, 8, 2], lengths: vec![2, 4] });
        assert_eq!(batch.pair_texts.starts().collect::<Vec<_>>(), [0, 2]);
        assert_eq!((batch.images.count, &batch.texts.lengths, batch.len()), (1, &vec![3], 4));
    }

    #[test]
    fn an_empty_batch_is_empty() {
        assert!(Batch::collect(&[]).is_empty());
    }
}
