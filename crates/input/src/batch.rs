//! What the model is given: one record's [`Input`], and a [`Batch`] of them as arrays.

/// A prepared image: `3 x side x side` values, channel first, normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Height and width in pixels.
    pub side: usize,
    /// Red, green and blue planes, each `side * side`, row by row.
    pub planes: Vec<f32>,
}

/// A tokenised text with its special tokens: `<s> ... </s>`, not padded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For each token the number of its word, from 0; `None` for special tokens. Masking takes whole words.
    pub words: Vec<Option<u32>>,
}

/// One record's input: a missing modality is a variant, never a flag.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Both halves are there.
    Pair {
        /// The image half.
        image: Image,
        /// The text half.
        text: Text,
    },
    /// An image whose text is missing.
    Image(Image),
    /// A text whose image is missing.
    Text(Text),
}

/// Images as one array, `[count, 3, side, side]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Images {
    /// Number of images.
    pub count: usize,
    /// Height and width in pixels (0 when there are none).
    pub side: usize,
    /// All planes, image after image.
    pub planes: Vec<f32>,
}

/// Texts one behind the other: they differ in length, and none is padded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Token ids of the first text, then of the second, and so on.
    pub ids: Vec<u32>,
    /// Tokens of each text.
    pub lengths: Vec<usize>,
}

/// Where a record's result stands: in which group, at which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Row among the pairs.
    Pair(usize),
    /// Row among the images.
    Image(usize),
    /// Row among the texts.
    Text(usize),
}

/// Arrays for the model: a mixed batch is one group a variant, and `order` puts results back in record order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Images of the pairs, row by row the partners of `pair_texts`.
    pub pair_images: Images,
    /// Texts of the pairs.
    pub pair_texts: Texts,
    /// Images whose text is missing.
    pub images: Images,
    /// Texts whose image is missing.
    pub texts: Texts,
    /// For each record, in the order given, where its result stands.
    pub order: Vec<Slot>,
}

impl Images {
    /// Puts images side by side.
    ///
    /// # Panics
    /// If sides differ: the transforms of one bundle give one side.
    pub fn collect<'a>(images: impl IntoIterator<Item = &'a Image>) -> Self {
        let mut all = Self::default();
        for image in images {
            assert!(all.count == 0 || all.side == image.side, "images of one batch have one side");
            (all.count, all.side) = (all.count + 1, image.side);
            all.planes.extend_from_slice(&image.planes);
        }
        all
    }
}

impl Texts {
    /// Puts token sequences one behind the other.
    pub fn collect<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut all = Self::default();
        for ids in texts {
            all.ids.extend_from_slice(ids);
            all.lengths.push(ids.len());
        }
        all
    }

    /// All texts of several.
    pub fn cat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.ids.extend_from_slice(&part.ids);
            all.lengths.extend_from_slice(&part.lengths);
        }
        all
    }

    /// Number of texts.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// First token of each text, counted through all.
    pub fn starts(&self) -> impl Iterator<Item = usize> {
        self.lengths.iter().scan(0, |next, length| {
            *next += length;
            Some(*next - length)
        })
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
    /// Of what is there; `None` where neither is.
    pub fn of(image: Option<Image>, text: Option<Text>) -> Option<Self> {
        match (image, text) {
            (Some(image), Some(text)) => Some(Self::Pair { image, text }),
            (Some(image), None) => Some(Self::Image(image)),
            (None, Some(text)) => Some(Self::Text(text)),
            (None, None) => None,
        }
    }

    /// The image, where there is one.
    pub fn image(&self) -> Option<&Image> {
        match self {
            Self::Pair { image, .. } | Self::Image(image) => Some(image),
            Self::Text(_) => None,
        }
    }

    /// The text, to be changed.
    pub fn text_mut(&mut self) -> Option<&mut Text> {
        match self {
            Self::Pair { text, .. } | Self::Text(text) => Some(text),
            Self::Image(_) => None,
        }
    }

    /// The text, where there is one.
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

    /// Number of records.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True when no record is in it.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(value: f32) -> Image {
        Image { side: 1, planes: vec![value; 3] }
    }

    fn text(ids: &[u32]) -> Text {
        Text { ids: ids.to_vec(), words: vec![None; ids.len()] }
    }

    #[test]
    fn a_mixed_batch_is_grouped_and_remembers_the_order() {
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
