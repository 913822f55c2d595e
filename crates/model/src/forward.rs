//! A forward pass: a plan lists everything to compute ([`ForwardPlan`]); [`Model::encode`] and [`Model::fuse`] compute it.
//!
//! Each user of the model (an objective, a task, a search) declares the pairs that it needs: an image sequence and a text
//! sequence for the fusion, and which hidden states to read after the fusion. The plan combines all declarations of a step.
//! So each sequence goes through its encoder only once, even if it is in several pairs, and all sequences for the same layers
//! are processed together.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use burn::tensor::Tensor;
use ptu_input::{Batch, Images, Slot, Texts};
use ptu_kernels::{ComputePrecision, Packed, Pass, in_pool, starts};

use crate::prompt::{CodeUse, Composed, Targets};
use crate::traced::traced_stand_ins;
use crate::{Chosen, Fused, Model, ModelError, Pairs, Prompts, Read, StandIn};

/// An input image or text: a row of one of the groups in [`Inputs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Number of the group.
    pub group: usize,
    /// Number of the row in that group.
    pub row: usize,
}

/// A sequence for the image encoder. Sequences are packed in the order of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageSequence {
    /// An image.
    Image(Row),
    /// Soft prompts in place of the missing image of this text.
    StandIn(Row),
}

/// A sequence for the text encoder. Sequences are packed in the order of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextSequence {
    /// A text.
    Text(Row),
    /// Soft prompts in place of the missing text of this image.
    StandIn(Row),
}

impl ImageSequence {
    /// The image, if this is an image.
    fn image(&self) -> Option<Row> {
        match *self {
            Self::Image(row) => Some(row),
            Self::StandIn(_) => None,
        }
    }

    /// The text whose missing image is replaced by prompts; it selects the prompts.
    fn query_text(&self) -> Option<Row> {
        match *self {
            Self::StandIn(text) => Some(text),
            Self::Image(_) => None,
        }
    }
}

impl TextSequence {
    /// The text, if this is a text.
    fn text(&self) -> Option<Row> {
        match *self {
            Self::Text(row) => Some(row),
            Self::StandIn(_) => None,
        }
    }

    /// The image whose missing text is replaced by prompts; it selects the prompts.
    fn query_image(&self) -> Option<Row> {
        match *self {
            Self::StandIn(image) => Some(image),
            Self::Text(_) => None,
        }
    }
}

/// An image sequence and a text sequence that go through the fusion together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FusedPair {
    /// The image sequence.
    pub image: ImageSequence,
    /// The text sequence.
    pub text: TextSequence,
    /// Which hidden states are read after the fusion.
    pub read: Read,
}

/// The input arrays of a forward pass, in groups; [`Row`] refers to a group by its number.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// Groups of images.
    pub images: Vec<ImageGroup<'a>>,
    /// Groups of texts.
    pub texts: Vec<&'a Texts>,
}

/// Images, or parts of them.
#[derive(Clone, Copy, Debug)]
pub struct ImageGroup<'a> {
    /// The images.
    pub images: &'a Images,
    /// The patches of each image that the image encoder gets; `None` for all. All images have the same number.
    pub patches: Option<&'a [Vec<usize>]>,
}

impl<'a> From<&'a Images> for ImageGroup<'a> {
    fn from(images: &'a Images) -> Self {
        Self { images, patches: None }
    }
}

/// All pairs that a forward pass computes.
#[derive(Clone, Debug, Default)]
pub struct ForwardPlan {
    pairs: Vec<FusedPair>,
    /// The index of each pair in `pairs`.
    indices: HashMap<FusedPair, usize>,
}

/// The selected rows of the prompt tables, one list for each input with a missing modality.
#[derive(Clone, Debug, Default)]
pub struct ChosenRows {
    /// Rows selected in place of each missing image.
    pub image: Vec<Vec<usize>>,
    /// Rows selected in place of each missing text.
    pub text: Vec<Vec<usize>>,
}

/// The encoded sequences of a plan, projected to the width of the fusion.
#[derive(Debug)]
pub struct Encoded {
    images: Packed,
    texts: Packed,
    image_sequences: Vec<ImageSequence>,
    text_sequences: Vec<TextSequence>,
    /// The prompts selected in place of missing inputs.
    pub chosen: ChosenRows,
    /// The loss of the prompts, if they are trained and have one.
    pub prompt_loss: Option<Tensor<1>>,
    /// What the codes of composed sequences learn from, of images and of texts.
    pub used_codes: [CodeUse; 2],
}

/// A row of group 0.
impl From<usize> for Row {
    fn from(row: usize) -> Self {
        Self { group: 0, row }
    }
}

impl FusedPair {
    /// An image with a text.
    pub fn both(image: impl Into<Row>, text: impl Into<Row>, read: Read) -> Self {
        Self { image: ImageSequence::Image(image.into()), text: TextSequence::Text(text.into()), read }
    }

    /// An image without text; prompts take the place of the text.
    pub fn image_alone(image: impl Into<Row>, read: Read) -> Self {
        let image = image.into();
        Self { image: ImageSequence::Image(image), text: TextSequence::StandIn(image), read }
    }

    /// A text without image; prompts take the place of the image.
    pub fn text_alone(text: impl Into<Row>, read: Read) -> Self {
        let text = text.into();
        Self { image: ImageSequence::StandIn(text), text: TextSequence::Text(text), read }
    }
}

impl<'a> Inputs<'a> {
    /// The arrays of a mixed batch: those of its pairs are group 0, those without the other modality group 1.
    pub fn of(batch: &'a Batch) -> Self {
        let images = [&batch.pair_images, &batch.images].map(ImageGroup::from).to_vec();
        Self { images, texts: vec![&batch.pair_texts, &batch.texts] }
    }
}

impl ForwardPlan {
    /// A plan of these pairs: see [`Self::add`].
    pub fn of(declared: impl IntoIterator<Item = FusedPair>) -> Self {
        let mut plan = Self::default();
        plan.add(declared);
        plan
    }

    /// The records of a mixed batch in their order, with prompts in place of missing modalities; its rows are those of [`Inputs::of`].
    pub fn of_batch(batch: &Batch, read: &[Read]) -> Self {
        let unpaired = |row| Row { group: 1, row };
        let pair = |(slot, read): (&Slot, &Read)| match *slot {
            Slot::Pair(row) => FusedPair::both(row, row, read.clone()),
            Slot::Image(row) => FusedPair::image_alone(unpaired(row), read.clone()),
            Slot::Text(row) => FusedPair::text_alone(unpaired(row), read.clone()),
        };
        Self::of(batch.order.iter().zip(read).map(pair))
    }

    /// Adds pairs. A pair that is already in the plan is not added again, so each pair is computed once. Returns the indices
    /// of the new pairs.
    pub fn add(&mut self, declared: impl IntoIterator<Item = FusedPair>) -> Range<usize> {
        let start = self.pairs.len();
        for pair in declared {
            if let Entry::Vacant(entry) = self.indices.entry(pair) {
                self.pairs.push(entry.key().clone());
                entry.insert(self.pairs.len() - 1);
            }
        }
        start..self.pairs.len()
    }

    /// The index of a pair in the plan; `None` if it is not in the plan.
    pub fn place(&self, pair: &FusedPair) -> Option<usize> {
        self.indices.get(pair).copied()
    }

    /// All pairs, each once, in the order in which they were added.
    pub fn pairs(&self) -> &[FusedPair] {
        &self.pairs
    }

    /// All image sequences of the pairs, each once.
    pub fn image_sequences(&self) -> Vec<ImageSequence> {
        self.pairs.iter().map(|pair| pair.image).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// All text sequences of the pairs, each once.
    pub fn text_sequences(&self) -> Vec<TextSequence> {
        self.pairs.iter().map(|pair| pair.text).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Embedded groups as one packed batch, with the index of the first sequence of each group.
struct Embedded {
    tokens: Packed,
    starts: Vec<usize>,
}

impl Embedded {
    fn index(&self, row: Row) -> usize {
        self.starts[row.group] + row.row
    }

    fn select(&self, rows: impl IntoIterator<Item = Row>) -> Packed {
        self.tokens.select(rows.into_iter().map(|row| self.index(row)))
    }
}

impl Model {
    /// Pooled features `[records, 2d]` of a mixed batch, in the order of the records; prompts take the place of missing
    /// modalities.
    ///
    /// # Errors
    /// When the batch does not fit the model: see [`Self::check_batch`].
    pub fn features(&self, batch: &Batch, precision: ComputePrecision) -> Result<Tensor<2>, ModelError> {
        self.features_with(StandIn::Prompts, batch, precision)
    }

    /// Like [`Self::features`]; `stand_in` says what takes the place of a missing modality.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn features_with(
        &self,
        stand_in: StandIn,
        batch: &Batch,
        precision: ComputePrecision,
    ) -> Result<Tensor<2>, ModelError> {
        self.check_batch(batch)?;
        if batch.is_empty() {
            return Ok(Tensor::zeros([0, 2 * self.config().fusion.width], &self.device()));
        }
        let read = vec![Read::Pooled; batch.len()];
        Ok(in_pool(|| self.pool(&self.forward(batch, &read, stand_in, precision), 0..batch.len())))
    }

    /// Hidden states of both streams after the fusion for a mixed batch, in the order of the records, without dropout. The
    /// batch must fit the model: see [`Self::check_batch`].
    pub fn forward(&self, batch: &Batch, read: &[Read], stand_in: StandIn, precision: ComputePrecision) -> Fused {
        self.forward_pass(batch, read, stand_in, &Pass::off().with(precision))
    }

    /// As [`Self::forward`], with the settings of a pass: for training.
    pub fn forward_pass(&self, batch: &Batch, read: &[Read], stand_in: StandIn, pass: &Pass) -> Fused {
        let plan = ForwardPlan::of_batch(batch, read);
        let encoded = self.encode(&Inputs::of(batch), &plan, stand_in, pass);
        self.fuse(&encoded, plan.pairs(), pass)
    }

    /// Embeds the inputs, selects prompts for missing modalities, and runs each sequence of the plan through its encoder.
    /// `stand_in` says what takes the place of a missing modality.
    ///
    /// # Panics
    /// If the plan has a row that is not in `inputs`, or if the inputs do not fit the model; [`Self::check_batch`] checks the
    /// latter.
    pub fn encode(&self, inputs: &Inputs<'_>, plan: &ForwardPlan, stand_in: StandIn, pass: &Pass) -> Encoded {
        let (image_sequences, text_sequences) = (plan.image_sequences(), plan.text_sequences());
        let lacking_text: Vec<Row> = text_sequences.iter().filter_map(TextSequence::query_image).collect();
        // All words of the step, and the special tokens around prompts, are embedded together.
        let none = Texts::default();
        let used = used_texts(&image_sequences, &text_sequences);
        let groups = inputs.texts.iter().enumerate();
        let groups: Vec<&Texts> =
            groups.map(|(group, texts)| if used.contains(&group) { texts } else { &none }).collect();
        // Sequences in place of missing ones are composed in the fusion, or go through the encoder as prompts.
        let is_encoded = |prompts: &Prompts| prompts.is_encoded() || stand_in != StandIn::Prompts;
        let [image_prompts, text_prompts] = [&self.image_prompts, &self.text_prompts].map(is_encoded);
        let encoded_lacking_text = if text_prompts { lacking_text.as_slice() } else { &[] };
        let edges = self.edges(encoded_lacking_text.len());
        let all = Texts::cat(groups.iter().copied().chain([&edges]));
        let texts =
            Embedded { tokens: self.embed_text(&all, pass), starts: starts(groups.iter().map(|texts| texts.count())) };
        let count: usize = groups.iter().map(|texts| texts.count()).sum();
        let edges = texts.tokens.select(count..texts.tokens.count());
        let images = self.embed_images(&inputs.images, &used_images(&image_sequences, &text_sequences), pass);

        let mut chosen = ChosenRows::default();
        let chosen_text = self.choose_text_prompts(&inputs.images, &images, encoded_lacking_text, pass);
        let (text_stand_ins, rows) = self.chosen_text_stand_ins(chosen_text, &edges, stand_in);
        let text_stand_ins = traced_stand_ins(text_stand_ins, pass);
        let mut prompt_loss = rows.loss;
        chosen.text = rows.rows;
        let is_known = |image: &Row| inputs.images[image.group].images.outputs.is_some();
        let real_images = || image_sequences.iter().filter_map(ImageSequence::image);
        let unknown = images.select(real_images().filter(|image| !is_known(image)));
        let unknown = self.traced_images(unknown, pass);
        let mut image_stand_ins = vec![];
        for group in 0..if image_prompts { inputs.texts.len() } else { 0 } {
            let lacking =
                image_sequences.iter().filter_map(ImageSequence::query_text).filter(|text| text.group == group);
            let (stand_ins, rows) = self.image_stand_ins(&texts.select(lacking), stand_in, pass);
            chosen.image.extend(rows.rows);
            prompt_loss = sum_of(prompt_loss, rows.loss);
            image_stand_ins.push(traced_stand_ins(stand_ins, pass));
        }
        let real_texts = || text_sequences.iter().filter_map(TextSequence::text);
        let ids = || real_texts().map(|text| inputs.texts[text.group].text(text.row).to_vec()).collect();
        let real = self.traced_texts(texts.select(real_texts()), ids, pass);
        let all_texts = Packed::cat(&[real, text_stand_ins]);
        let groups: Vec<&Images> = inputs.images.iter().map(|group| group.images).collect();
        let known = self.known_outputs(&groups, real_images().filter(is_known));
        // Known outputs come first. Stand-ins come after all images already, so only the images change their order.
        let images = self.encode_images(known, unknown, &image_stand_ins, pass);
        let order = known_first(real_images().map(|image| is_known(&image)), images.count());
        let encoded = Encoded {
            images: images.select(order),
            texts: self.encode_text(all_texts, pass),
            image_sequences,
            text_sequences,
            chosen,
            prompt_loss,
            used_codes: <[CodeUse; 2]>::default(),
        };
        self.with_composed(encoded, [!image_prompts, !text_prompts], pass)
    }

    /// Adds the sequences that are composed in place of missing images and of missing texts.
    fn with_composed(&self, mut encoded: Encoded, [images, texts]: [bool; 2], pass: &Pass) -> Encoded {
        // Both are composed of real sequences only.
        let made_images = images.then(|| self.composed_images(&encoded, pass));
        let made_texts = texts.then(|| self.composed_texts(&encoded, pass));
        if let Some(made) = made_images {
            encoded.images = Packed::cat(&[encoded.images, made.tokens]);
            encoded.chosen.image = made.rows;
            encoded.prompt_loss = sum_of(encoded.prompt_loss, made.loss);
            encoded.used_codes[0] = made.used;
        }
        if let Some(made) = made_texts {
            encoded.texts = Packed::cat(&[encoded.texts, made.tokens]);
            encoded.chosen.text = made.rows;
            encoded.prompt_loss = sum_of(encoded.prompt_loss, made.loss);
            encoded.used_codes[1] = made.used;
        }
        encoded
    }

    /// Sequences in place of missing images. Row r of the first group of images and of the first group of texts belong together in training:
    /// the image is what the sequence in its place is to become.
    fn composed_images(&self, encoded: &Encoded, pass: &Pass) -> Composed {
        let lacking: Vec<Row> = encoded.image_sequences.iter().filter_map(ImageSequence::query_text).collect();
        let present = encoded.texts.select(lacking.iter().map(|text| encoded.text_index(TextSequence::Text(*text))));
        let place = |text: &Row| encoded.image_sequences.binary_search(&ImageSequence::Image(*text)).ok();
        let (composed, real) = targets(&lacking, place, pass);
        let targets = Targets { composed, real: &encoded.images.select(real) };
        self.image_prompts.compose(&present, &targets, pass)
    }

    /// Sequences in place of missing texts, as [`Self::composed_images`].
    fn composed_texts(&self, encoded: &Encoded, pass: &Pass) -> Composed {
        let lacking: Vec<Row> = encoded.text_sequences.iter().filter_map(TextSequence::query_image).collect();
        let present =
            encoded.images.select(lacking.iter().map(|image| encoded.image_index(ImageSequence::Image(*image))));
        let place = |image: &Row| encoded.text_sequences.binary_search(&TextSequence::Text(*image)).ok();
        let (composed, real) = targets(&lacking, place, pass);
        let targets = Targets { composed, real: &encoded.texts.select(real) };
        self.text_prompts.compose(&present, &targets, pass)
    }

    /// Selects prompts in place of the missing texts of these images: by their embedded pixels, or by queries that are known.
    fn choose_text_prompts(
        &self,
        groups: &[ImageGroup<'_>],
        images: &Embedded,
        lacking: &[Row],
        pass: &Pass,
    ) -> Chosen {
        let is_known = |image: &&Row| groups[image.group].images.outputs.is_some();
        let embedded = images.select(lacking.iter().filter(|image| !is_known(image)).copied());
        let mut pooled = self.text_prompts.pooled(&embedded).into_iter();
        let query = |image: &Row| match &groups[image.group].images.outputs {
            Some(outputs) => Some(outputs.query(image.row).to_vec()),
            None => pooled.next(),
        };
        self.text_prompts.choose_by(lacking.iter().filter_map(query).collect(), pass)
    }

    /// Embeds the images of the groups that are used, except those whose encoder outputs are known.
    fn embed_images(&self, groups: &[ImageGroup<'_>], used: &BTreeSet<usize>, pass: &Pass) -> Embedded {
        let used: Vec<usize> = used.iter().copied().filter(|group| groups[*group].images.outputs.is_none()).collect();
        let is_used = |group: &usize| used.contains(group);
        let count = |(number, group): (usize, &ImageGroup<'_>)| if is_used(&number) { group.images.count } else { 0 };
        let starts = starts(groups.iter().enumerate().map(count));
        let embedded: Vec<Packed> = match used.is_empty() {
            true => vec![self.embed_image(&Images::default(), pass)],
            false => {
                let embed = |group: &ImageGroup<'_>| self.image.embed(group.images, group.patches, pass);
                used.iter().map(|group| embed(&groups[*group])).collect()
            }
        };
        Embedded { tokens: Packed::cat(&embedded), starts }
    }

    /// Runs pairs of encoded sequences through the fusion and reads the hidden states that each pair declares.
    ///
    /// # Panics
    /// If a sequence of a pair was not encoded.
    pub fn fuse(&self, encoded: &Encoded, pairs: &[FusedPair], pass: &Pass) -> Fused {
        let all = self.fusion.layers();
        let last = |pair: &FusedPair| match (&pair.read, &self.config().mim) {
            (Read::MaskedImage, Some(mim)) => mim.after,
            _ => all,
        };
        let (to_the_end, earlier): (Vec<usize>, Vec<usize>) = (0..pairs.len()).partition(|at| last(&pairs[*at]) == all);
        let run =
            |places: &[usize], layers: usize| self.fuse_to(encoded, places.iter().map(|at| &pairs[*at]), layers, pass);
        if earlier.is_empty() {
            return run(&to_the_end, all);
        }
        let after = last(&pairs[earlier[0]]);
        if to_the_end.is_empty() {
            return run(&earlier, after);
        }
        let (whole, part) = (run(&to_the_end, all), run(&earlier, after));
        // Back into the order of the pairs.
        let mut order = vec![0; pairs.len()];
        to_the_end.iter().chain(&earlier).enumerate().for_each(|(place, pair)| order[*pair] = place);
        let join =
            |one: &Packed, other: &Packed| Packed::cat(&[one.clone(), other.clone()]).select(order.iter().copied());
        Fused { image: join(&whole.image, &part.image), text: join(&whole.text, &part.text) }
    }

    /// Runs pairs of encoded sequences through the first `layers` layers of the fusion.
    pub(crate) fn fuse_to<'p>(
        &self,
        encoded: &Encoded,
        pairs: impl IntoIterator<Item = &'p FusedPair>,
        layers: usize,
        pass: &Pass,
    ) -> Fused {
        let mut queue = Pairs::default();
        for pair in pairs {
            queue.images.push(encoded.image_index(pair.image));
            queue.texts.push(encoded.text_index(pair.text));
            queue.read.push(pair.read.clone());
        }
        self.fusion.forward([&encoded.images, &encoded.texts], &queue, layers, pass)
    }

    /// Pooled features of some of the fused pairs, `[pairs.len(), 2d]`. These pairs must have been read with [`Read::Pooled`].
    pub fn pool(&self, fused: &Fused, pairs: impl IntoIterator<Item = usize> + Clone) -> Tensor<2> {
        self.fusion.pool(fused, pairs)
    }

    /// Cross-attention weights of each token of a text over the tokens of its image, in the last layer of the fusion,
    /// averaged over heads. For each pair `[tokens of the text, tokens of the image]`; each row sums to 1.
    pub fn text_attention(&self, encoded: Encoded) -> Vec<Vec<f32>> {
        self.fusion.text_attention(encoded.images, encoded.texts)
    }
}

/// The numbers of the sequences in place of missing ones whose real sequence is known, and the numbers of these; none if prompts are not
/// trained.
fn targets(lacking: &[Row], place: impl Fn(&Row) -> Option<usize>, pass: &Pass) -> (Vec<usize>, Vec<usize>) {
    let lacking = if pass.learns_prompts() { lacking } else { &[] };
    let pairs = lacking.iter().enumerate().filter(|(_, row)| row.group == 0);
    pairs.filter_map(|(number, row)| Some((number, place(row)?))).unzip()
}

fn sum_of(one: Option<Tensor<1>>, other: Option<Tensor<1>>) -> Option<Tensor<1>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    }
}

/// For each of `count` sequences, its number after those of the first ones for which `known` is true were put before all others.
fn known_first(known: impl Iterator<Item = bool> + Clone, count: usize) -> Vec<usize> {
    let (mut next, mut later) = (0, known.clone().filter(|known| *known).count());
    let number = |known: bool| {
        let next = if known { &mut next } else { &mut later };
        *next += 1;
        *next - 1
    };
    known.chain(std::iter::repeat(false)).take(count).map(number).collect()
}

/// Numbers of the groups of texts that are used by some sequence.
fn used_texts(images: &[ImageSequence], texts: &[TextSequence]) -> BTreeSet<usize> {
    let rows = texts.iter().filter_map(TextSequence::text).chain(images.iter().filter_map(ImageSequence::query_text));
    rows.map(|row| row.group).collect()
}

/// Numbers of the groups of images that are used by some sequence.
fn used_images(images: &[ImageSequence], texts: &[TextSequence]) -> BTreeSet<usize> {
    let rows = images.iter().filter_map(ImageSequence::image).chain(texts.iter().filter_map(TextSequence::query_image));
    rows.map(|row| row.group).collect()
}

impl Encoded {
    /// From images and texts that were encoded separately; they become the rows of group 0.
    pub fn of(images: Packed, texts: Packed) -> Self {
        let rows = |count: usize| (0..count).map(|row| Row { group: 0, row });
        Self {
            image_sequences: rows(images.count()).map(ImageSequence::Image).collect(),
            text_sequences: rows(texts.count()).map(TextSequence::Text).collect(),
            images,
            texts,
            chosen: ChosenRows::default(),
            prompt_loss: None,
            used_codes: <[CodeUse; 2]>::default(),
        }
    }

    /// Selects only the sequences that these pairs need.
    pub fn part(&self, pairs: &[FusedPair]) -> Self {
        let images: BTreeSet<usize> = pairs.iter().map(|pair| self.image_index(pair.image)).collect();
        let texts: BTreeSet<usize> = pairs.iter().map(|pair| self.text_index(pair.text)).collect();
        Self {
            images: self.images.select(images.iter().copied()),
            texts: self.texts.select(texts.iter().copied()),
            image_sequences: images.iter().map(|index| self.image_sequences[*index]).collect(),
            text_sequences: texts.iter().map(|index| self.text_sequences[*index]).collect(),
            chosen: ChosenRows::default(),
            prompt_loss: None,
            used_codes: <[CodeUse; 2]>::default(),
        }
    }

    fn image_index(&self, sequence: ImageSequence) -> usize {
        self.image_sequences.binary_search(&sequence).expect("the plan names every sequence that is fused")
    }

    fn text_index(&self, sequence: TextSequence) -> usize {
        self.text_sequences.binary_search(&sequence).expect("the plan names every sequence that is fused")
    }

    /// Number of tokens that these pairs have in the fusion, in both streams together.
    pub fn tokens(&self, pairs: &[FusedPair]) -> usize {
        let of = |pair: &FusedPair| {
            self.images.lengths[self.image_index(pair.image)] + self.texts.lengths[self.text_index(pair.text)]
        };
        pairs.iter().map(of).sum()
    }
}
