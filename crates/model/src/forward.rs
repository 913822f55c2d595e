//! A forward pass: what it computes is described as data ([`ForwardPlan`]), and one function computes it ([`Model::encode`],
//! [`Model::fuse`]).
//!
//! Whoever wants something of the model (an objective, a task, a search) declares pairs: an image sequence and a text
//! sequence that meet in the fusion, and what is read of them there. The plan joins all declarations of a step, so that each
//! sequence goes through its encoder once, in how many pairs it may be, and all that goes through the same layers goes
//! through them together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use burn::tensor::Tensor;
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool, starts};

use crate::{Fused, Model, ModelError, Pairs, Read, StandIn};

/// An image or a text that goes in: a row of one of the groups of [`Inputs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Which of the groups.
    pub group: usize,
    /// Row in that group.
    pub row: usize,
}

/// What goes through the image encoder. The order is that in which sequences are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageSequence {
    /// An image.
    Image(Row),
    /// Prompts in place of the image that this text lacks.
    StandIn(Row),
}

/// What goes through the text encoder. The order is that in which sequences are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextSequence {
    /// A text.
    Text(Row),
    /// Prompts in place of the text that this image lacks.
    StandIn(Row),
}

impl ImageSequence {
    /// The image that it is made of.
    fn image(&self) -> Option<Row> {
        match *self {
            Self::Image(row) => Some(row),
            Self::StandIn(_) => None,
        }
    }

    /// The text that asks for prompts.
    fn asking(&self) -> Option<Row> {
        match *self {
            Self::StandIn(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}

impl TextSequence {
    /// The text that it is made of.
    fn text(&self) -> Option<Row> {
        match *self {
            Self::Text(row) => Some(row),
            Self::StandIn(_) => None,
        }
    }

    /// The image that asks for prompts.
    fn asking(&self) -> Option<Row> {
        match *self {
            Self::StandIn(image) => Some(image),
            Self::Text(_) => None,
        }
    }
}

/// An image sequence and a text sequence that meet in the fusion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FusedPair {
    /// The image sequence.
    pub image: ImageSequence,
    /// The text sequence.
    pub text: TextSequence,
    /// What is read of the fused states.
    pub read: Read,
}

/// The arrays of a forward pass, in groups that sequences name by number.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// Images.
    pub images: Vec<&'a Images>,
    /// Texts.
    pub texts: Vec<&'a Texts>,
}

/// All that a forward pass computes, as declared by whoever wants something of it.
#[derive(Clone, Debug, Default)]
pub struct ForwardPlan {
    pairs: Vec<FusedPair>,
    /// Of each pair its place among all.
    places: HashMap<FusedPair, usize>,
}

/// Rows of the prompt tables that stand in, one list an input.
#[derive(Clone, Debug, Default)]
pub struct ChosenRows {
    /// Stand-ins for images.
    pub image: Vec<Vec<usize>>,
    /// Stand-ins for texts.
    pub text: Vec<Vec<usize>>,
}

/// The sequences of a plan after their encoders, in the fusion's space.
#[derive(Debug)]
pub struct Encoded {
    images: Packed,
    texts: Packed,
    image_sequences: Vec<ImageSequence>,
    text_sequences: Vec<TextSequence>,
    /// Prompts that stand in.
    pub chosen: ChosenRows,
}

/// A row of the first group.
impl From<usize> for Row {
    fn from(row: usize) -> Self {
        Self { group: 0, row }
    }
}

impl FusedPair {
    /// An image and a text.
    pub fn both(image: impl Into<Row>, text: impl Into<Row>, read: Read) -> Self {
        Self { image: ImageSequence::Image(image.into()), text: TextSequence::Text(text.into()), read }
    }

    /// An image whose text is missing.
    pub fn image_alone(image: impl Into<Row>, read: Read) -> Self {
        let image = image.into();
        Self { image: ImageSequence::Image(image), text: TextSequence::StandIn(image), read }
    }

    /// A text whose image is missing.
    pub fn text_alone(text: impl Into<Row>, read: Read) -> Self {
        let text = text.into();
        Self { image: ImageSequence::StandIn(text), text: TextSequence::Text(text), read }
    }
}

impl ForwardPlan {
    /// Of declared pairs: see [`Self::add`].
    pub fn of(declared: impl IntoIterator<Item = FusedPair>) -> Self {
        let mut plan = Self::default();
        plan.add(declared);
        plan
    }

    /// Adds declared pairs, of those that were declared before none: each is computed once, at the place of its first
    /// declaration. Returns the places of the new ones.
    pub fn add(&mut self, declared: impl IntoIterator<Item = FusedPair>) -> Range<usize> {
        let start = self.pairs.len();
        for pair in declared {
            if let Entry::Vacant(place) = self.places.entry(pair) {
                self.pairs.push(place.key().clone());
                place.insert(self.pairs.len() - 1);
            }
        }
        start..self.pairs.len()
    }

    /// The place of a pair among all; `None` where it was not declared.
    pub fn place(&self, pair: &FusedPair) -> Option<usize> {
        self.places.get(pair).copied()
    }

    /// All pairs, each once, in the order of their declaration.
    pub fn pairs(&self) -> &[FusedPair] {
        &self.pairs
    }

    /// Each image sequence once.
    pub fn image_sequences(&self) -> Vec<ImageSequence> {
        self.pairs.iter().map(|pair| pair.image).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Each text sequence once.
    pub fn text_sequences(&self) -> Vec<TextSequence> {
        self.pairs.iter().map(|pair| pair.text).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Groups one after another as one packed batch, and where each begins.
struct Embedded {
    tokens: Packed,
    starts: Vec<usize>,
}

impl Embedded {
    fn place(&self, row: Row) -> usize {
        self.starts[row.group] + row.row
    }

    fn select(&self, rows: impl IntoIterator<Item = Row>) -> Packed {
        self.tokens.select(rows.into_iter().map(|row| self.place(row)))
    }
}

impl Model {
    /// Pooled features `[records, 2d]` of a mixed batch, in the records' order; prompts stand in for what is missing.
    ///
    /// # Errors
    /// When the batch does not fit the model: see [`Self::check_batch`].
    pub fn features(&self, batch: &Batch, products: ComputePrecision) -> Result<Tensor<2>, ModelError> {
        self.features_with(StandIn::Prompts, batch, products)
    }

    /// As [`Self::features`], with anything in place of what is missing.
    ///
    /// # Errors
    /// As there.
    pub fn features_with(
        &self,
        stand_in: StandIn,
        batch: &Batch,
        products: ComputePrecision,
    ) -> Result<Tensor<2>, ModelError> {
        self.check_batch(batch)?;
        if batch.is_empty() {
            return Ok(Tensor::zeros([0, 2 * self.config().fusion.width], &self.device()));
        }
        let read = vec![Read::Pooled; batch.len()];
        Ok(in_pool(|| self.pool(&self.forward(batch, &read, stand_in, products), 0..batch.len())))
    }

    /// Both streams after the fusion for a mixed batch that fits, in the records' order, without dropout.
    pub fn forward(&self, batch: &Batch, read: &[Read], stand_in: StandIn, products: ComputePrecision) -> Fused {
        let off = Pass::off().with(products);
        let alone = |row| Row { group: 1, row };
        let pair = |(slot, read): (&Slot, &Read)| match *slot {
            Slot::Pair(row) => FusedPair::both(row, row, read.clone()),
            Slot::Image(row) => FusedPair::image_alone(alone(row), read.clone()),
            Slot::Text(row) => FusedPair::text_alone(alone(row), read.clone()),
        };
        let plan = ForwardPlan::of(batch.order.iter().zip(read).map(pair));
        let inputs =
            Inputs { images: vec![&batch.pair_images, &batch.images], texts: vec![&batch.pair_texts, &batch.texts] };
        let encoded = self.encode(&inputs, &plan, stand_in, &off);
        self.fuse(&encoded, plan.pairs(), &off)
    }

    /// Embeds the inputs, chooses prompts for what is missing, and runs each sequence of the plan through its encoder.
    /// `stand_in` says what takes the place of a missing modality.
    ///
    /// # Panics
    /// If the plan names a row that is not there, or if the inputs do not fit the model ([`Self::check_batch`] tells before).
    pub fn encode(&self, inputs: &Inputs<'_>, plan: &ForwardPlan, stand_in: StandIn, pass: &Pass) -> Encoded {
        let (image_sequences, text_sequences) = (plan.image_sequences(), plan.text_sequences());
        let lacking_text: Vec<Row> = text_sequences.iter().filter_map(TextSequence::asking).collect();
        // One pass through the tables for all words of the step, and for what stands around prompts.
        let none = Texts::default();
        let used = used_texts(&image_sequences, &text_sequences);
        let groups = inputs.texts.iter().enumerate();
        let groups: Vec<&Texts> =
            groups.map(|(group, texts)| if used.contains(&group) { texts } else { &none }).collect();
        let edges = self.edges(lacking_text.len());
        let all = Texts::cat(groups.iter().copied().chain([&edges]));
        let texts =
            Embedded { tokens: self.embed_text(&all, pass), starts: starts(groups.iter().map(|texts| texts.count())) };
        let count: usize = groups.iter().map(|texts| texts.count()).sum();
        let edges = texts.tokens.select(count..texts.tokens.count());
        let images = self.embed_images(&inputs.images, &used_images(&image_sequences, &text_sequences), pass);

        let mut chosen = ChosenRows::default();
        let (text_stand_ins, rows) = self.text_stand_ins(&images.select(lacking_text), &edges, stand_in);
        chosen.text = rows.rows;
        let mut parts = vec![images.select(image_sequences.iter().filter_map(ImageSequence::image))];
        for group in 0..inputs.texts.len() {
            let lacking = image_sequences.iter().filter_map(ImageSequence::asking).filter(|text| text.group == group);
            let (stand_ins, rows) = self.image_stand_ins(&texts.select(lacking), stand_in);
            chosen.image.extend(rows.rows);
            parts.push(stand_ins);
        }
        let real = texts.select(text_sequences.iter().filter_map(TextSequence::text));
        let all_texts = Packed::cat(&[real, text_stand_ins]);
        Encoded {
            images: self.encode_image(&Packed::cat(&parts), pass),
            texts: self.encode_text(all_texts, pass),
            image_sequences,
            text_sequences,
            chosen,
        }
    }

    /// Images of the groups that are used.
    fn embed_images(&self, groups: &[&Images], used: &BTreeSet<usize>, pass: &Pass) -> Embedded {
        let is_used = |group: &usize| used.contains(group);
        let count = |(group, images): (usize, &&Images)| if is_used(&group) { images.count } else { 0 };
        let starts = starts(groups.iter().enumerate().map(count));
        let embedded: Vec<Packed> = match used.is_empty() {
            true => vec![self.embed_image(&Images::default(), pass)],
            false => used.iter().map(|group| self.embed_image(groups[*group], pass)).collect(),
        };
        Embedded { tokens: Packed::cat(&embedded), starts }
    }

    /// Fuses pairs of encoded sequences; of each pair what it says is read.
    ///
    /// # Panics
    /// If a sequence was not encoded.
    pub fn fuse(&self, encoded: &Encoded, pairs: &[FusedPair], pass: &Pass) -> Fused {
        let queue = Pairs {
            images: pairs.iter().map(|pair| encoded.image_place(pair.image)).collect(),
            texts: pairs.iter().map(|pair| encoded.text_place(pair.text)).collect(),
            read: pairs.iter().map(|pair| pair.read.clone()).collect(),
        };
        self.fusion.forward(&encoded.images, &encoded.texts, &queue, pass)
    }

    /// Pooled features of some of the pairs that were fused, `[pairs.len(), 2d]`; what is read of them is [`Read::Pooled`].
    pub fn pool(&self, fused: &Fused, pairs: impl IntoIterator<Item = usize> + Clone) -> Tensor<2> {
        self.fusion.pool(fused, pairs)
    }

    /// How much each token of a text attends to each token of its image in the last layer of the fusion, the mean over
    /// heads: a pair `[tokens of the text, tokens of the image]`, rows that sum to 1.
    pub fn text_attention(&self, encoded: Encoded) -> Vec<Vec<f32>> {
        self.fusion.text_attention(encoded.images, encoded.texts)
    }
}

/// Groups of texts that some sequence is made of.
fn used_texts(images: &[ImageSequence], texts: &[TextSequence]) -> BTreeSet<usize> {
    let rows = texts.iter().filter_map(TextSequence::text).chain(images.iter().filter_map(ImageSequence::asking));
    rows.map(|row| row.group).collect()
}

/// Groups of images that some sequence is made of.
fn used_images(images: &[ImageSequence], texts: &[TextSequence]) -> BTreeSet<usize> {
    let rows = images.iter().filter_map(ImageSequence::image).chain(texts.iter().filter_map(TextSequence::asking));
    rows.map(|row| row.group).collect()
}

impl Encoded {
    /// Images and texts that were encoded by themselves, as the rows of their first groups.
    pub fn of(images: Packed, texts: Packed) -> Self {
        let rows = |count: usize| (0..count).map(|row| Row { group: 0, row });
        Self {
            image_sequences: rows(images.count()).map(ImageSequence::Image).collect(),
            text_sequences: rows(texts.count()).map(TextSequence::Text).collect(),
            images,
            texts,
            chosen: ChosenRows::default(),
        }
    }

    /// Only the sequences that these pairs need.
    pub fn part(&self, pairs: &[FusedPair]) -> Self {
        let images: BTreeSet<usize> = pairs.iter().map(|pair| self.image_place(pair.image)).collect();
        let texts: BTreeSet<usize> = pairs.iter().map(|pair| self.text_place(pair.text)).collect();
        Self {
            images: self.images.select(images.iter().copied()),
            texts: self.texts.select(texts.iter().copied()),
            image_sequences: images.iter().map(|place| self.image_sequences[*place]).collect(),
            text_sequences: texts.iter().map(|place| self.text_sequences[*place]).collect(),
            chosen: ChosenRows::default(),
        }
    }

    fn image_place(&self, sequence: ImageSequence) -> usize {
        self.image_sequences.binary_search(&sequence).expect("the plan names every sequence that is fused")
    }

    fn text_place(&self, sequence: TextSequence) -> usize {
        self.text_sequences.binary_search(&sequence).expect("the plan names every sequence that is fused")
    }

    /// Tokens that pairs bring into the fusion, both streams together.
    pub fn tokens(&self, pairs: &[FusedPair]) -> usize {
        let of = |pair: &FusedPair| {
            self.images.lengths[self.image_place(pair.image)] + self.texts.lengths[self.text_place(pair.text)]
        };
        pairs.iter().map(of).sum()
    }
}
