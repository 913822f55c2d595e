//! What the objectives of one step share. Every unimodal encoding is computed once (ARCHITECTURE), and all that goes through
//! the same layers goes through them together, as one packed batch: each weight is used, and gets its gradient, once.

use std::cell::OnceCell;
use std::ops::Range;

use burn::tensor::Tensor;
use ptu_input::Texts;
use ptu_model::{Fused, Model, Packed, Pairs, Pass, Read};
use ptu_random::Key;

use crate::batch::{Partners, StepBatch};
use crate::objective::ObjectiveKind;
use crate::plan::StepPlan;
use crate::recipe::PartnerChoice;

/// What the objectives of a step see: the model, the batch, and what is computed of both on demand.
pub struct Shared<'a> {
    /// The network.
    pub model: &'a Model,
    /// The arrays.
    pub batch: &'a StepBatch,
    plan: &'a StepPlan,
    pass: &'a Pass,
    key: Key,
    encoded: OnceCell<Encoded>,
    fused: OnceCell<Passes>,
    vectors: OnceCell<Option<Vectors>>,
    partners: OnceCell<Partners>,
}

/// Rows of the prompt tables that a step chose, one list an input.
#[derive(Clone, Debug, Default)]
pub struct ChosenRows {
    /// Stand-ins for images.
    pub image: Vec<Vec<usize>>,
    /// Stand-ins for texts.
    pub text: Vec<Vec<usize>>,
}

/// Unit vectors of each image alone and of each text alone, `[b, d]`.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// Of images.
    pub images: Tensor<2>,
    /// Of texts.
    pub texts: Tensor<2>,
}

impl Vectors {
    /// The sum of products with a gradient: its own gradient with respect to the vectors is that one.
    pub fn along(&self, gradient: &Self) -> Tensor<1> {
        let sum = |of: &Tensor<2>, gradient: &Tensor<2>| (of.clone() * gradient.clone().autodiff()).sum();
        sum(&self.images, &gradient.images) + sum(&self.texts, &gradient.texts)
    }
}

/// All sequences of a step behind the encoders; the ranges say where each kind stands.
struct Encoded {
    images: Packed,
    texts: Packed,
    /// Stand-ins for the images of the pairs' texts, and of the texts alone.
    image_stand_ins: Range<usize>,
    lone_image_stand_ins: Range<usize>,
    masked_pairs: Range<usize>,
    masked_texts: Range<usize>,
    text_stand_ins: Range<usize>,
    chosen: ChosenRows,
}

/// What the fusion gave, and where each pass stands in it. A pass that nobody asked for is empty.
struct Passes {
    fused: Fused,
    /// Masked texts, of pairs and alone.
    masked: Range<usize>,
    images_alone: Range<usize>,
    texts_alone: Range<usize>,
    /// Texts with their partners; empty where those depend on this fusion's result.
    matched: Range<usize>,
}

/// Adds a pass of pairs; gives its place.
fn push(
    pairs: &mut Pairs,
    images: impl IntoIterator<Item = usize>,
    texts: impl IntoIterator<Item = usize>,
    read: impl IntoIterator<Item = Read>,
) -> Range<usize> {
    let start = pairs.read.len();
    pairs.images.extend(images);
    pairs.texts.extend(texts);
    pairs.read.extend(read);
    start..pairs.read.len()
}

impl<'a> Shared<'a> {
    /// Nothing is computed yet; then it is all that the plan's objectives will ask for. `key` names the step (partners are
    /// drawn from it).
    pub fn new(model: &'a Model, batch: &'a StepBatch, plan: &'a StepPlan, pass: &'a Pass, key: Key) -> Self {
        Self {
            model,
            batch,
            plan,
            pass,
            key,
            encoded: OnceCell::new(),
            fused: OnceCell::new(),
            vectors: OnceCell::new(),
            partners: OnceCell::new(),
        }
    }

    /// What goes through the layers with the step's data.
    pub fn pass(&self) -> &Pass {
        self.pass
    }

    /// Computes what all objectives share, now.
    pub fn prepare(&self) {
        self.passes();
    }

    fn wants(&self, kind: ObjectiveKind) -> bool {
        self.plan.objectives.contains_key(&kind)
    }

    /// Pairs that the contrast compares; with hard partners it is needed for matching as well.
    fn contrasted(&self) -> usize {
        let needed = self.wants(ObjectiveKind::Itc) || (self.wants(ObjectiveKind::Itm) && self.is_hard());
        if needed && self.model.heads.itc.is_some() { self.batch.pairs() } else { 0 }
    }

    fn is_hard(&self) -> bool {
        self.plan.partners == PartnerChoice::Hard && self.batch.partners.is_none()
    }

    fn encoded(&self) -> &Encoded {
        self.encoded.get_or_init(|| {
            let (model, batch, pass) = (self.model, self.batch, self.pass);
            let masked = |texts: &crate::batch::MaskedTexts| match self.wants(ObjectiveKind::Mlm) && texts.any() {
                true => texts.texts.clone(),
                false => Texts::default(),
            };
            let contrasted = self.contrasted();
            let [masked_pairs, masked_texts] = [masked(&batch.masked_pairs), masked(&batch.masked_texts)];
            let (edges, unread) = (model.edges(contrasted), Texts::default());
            let unmasked = if contrasted > 0 || self.wants(ObjectiveKind::Itm) { &batch.texts } else { &unread };
            // One pass through the tables for all words of the step.
            let embedded = model.embed_text(&Texts::cat([unmasked, &masked_pairs, &masked_texts, &edges]), pass);
            let lone = unmasked.count() + masked_pairs.count();
            let whole = lone + masked_texts.count();
            let lone = lone..whole;
            let images = model.embed_image(&batch.images, pass);
            let mut chosen = ChosenRows::default();
            let mut image_stand_ins = |texts: Packed| {
                let (stand_ins, rows) = model.image_stand_ins(&texts);
                chosen.image.extend(rows.rows);
                stand_ins
            };
            let of_lone = image_stand_ins(embedded.select(lone.clone()));
            let of_pairs = image_stand_ins(embedded.select(0..contrasted));
            let (text_stand_ins, rows) =
                model.text_stand_ins(&images.select(0..contrasted), &embedded.select(whole..embedded.count()));
            chosen.text = rows.rows;
            let rows = images.count();
            let images = model.encode_image(&Packed::cat(&[images, of_pairs, of_lone]), pass);
            let texts = model.encode_text(Packed::cat(&[embedded.select(0..whole), text_stand_ins]), pass);
            Encoded {
                image_stand_ins: rows..rows + contrasted,
                lone_image_stand_ins: rows + contrasted..images.count(),
                masked_pairs: unmasked.count()..lone.start,
                masked_texts: lone,
                text_stand_ins: whole..texts.count(),
                images,
                texts,
                chosen,
            }
        })
    }

    fn passes(&self) -> &Passes {
        self.fused.get_or_init(|| {
            let (encoded, batch) = (self.encoded(), self.batch);
            let mut queue = Pairs::default();
            let places = |masked: &crate::batch::MaskedTexts, of: &Range<usize>| {
                masked.places().into_iter().map(Read::Text).take(of.len()).collect::<Vec<_>>()
            };
            let reads = places(&batch.masked_pairs, &encoded.masked_pairs);
            push(&mut queue, 0..encoded.masked_pairs.len(), encoded.masked_pairs.clone(), reads);
            let reads = places(&batch.masked_texts, &encoded.masked_texts);
            push(&mut queue, encoded.lone_image_stand_ins.clone(), encoded.masked_texts.clone(), reads);
            let masked = 0..queue.read.len();
            let pooled = |count| std::iter::repeat_n(Read::Pooled, count);
            let pairs = encoded.image_stand_ins.len();
            let images_alone = push(&mut queue, 0..pairs, encoded.text_stand_ins.clone(), pooled(pairs));
            let texts_alone = push(&mut queue, encoded.image_stand_ins.clone(), 0..pairs, pooled(pairs));
            let b = if self.wants(ObjectiveKind::Itm) && !self.is_hard() { batch.pairs() } else { 0 };
            let partners = if b > 0 { self.partners().image.clone() } else { vec![] };
            let matched = push(&mut queue, partners, 0..b, pooled(b));
            let fused = self.model.fusion.forward_pairs(&encoded.images, &encoded.texts, &queue, self.pass);
            Passes { fused, masked, images_alone, texts_alone, matched }
        })
    }

    /// Tokens of each objective's passes through the fusion: what of the shared cost is whose.
    pub fn tokens(&self, kind: ObjectiveKind) -> usize {
        let encoded = self.encoded();
        let sum = |lengths: &[usize]| lengths.iter().sum::<usize>();
        let (images, texts) = (&encoded.images.lengths, &encoded.texts.lengths);
        let pass = |image: Range<usize>, text: Range<usize>| sum(&images[image]) + sum(&texts[text]);
        let pairs = encoded.image_stand_ins.len();
        match kind {
            ObjectiveKind::Mlm => {
                pass(0..encoded.masked_pairs.len(), encoded.masked_pairs.clone())
                    + pass(encoded.lone_image_stand_ins.clone(), encoded.masked_texts.clone())
            }
            ObjectiveKind::Itc => {
                pass(0..pairs, encoded.text_stand_ins.clone()) + pass(encoded.image_stand_ins.clone(), 0..pairs)
            }
            ObjectiveKind::Itm if self.is_hard() => 0,
            ObjectiveKind::Itm => pass(0..self.batch.pairs(), 0..self.batch.pairs()),
        }
    }

    /// States at the masked places, of pairs, then of texts alone: `[m, d]`.
    pub fn masked_states(&self) -> Tensor<2> {
        let Passes { fused, masked, .. } = self.passes();
        fused.text.select(masked.clone()).tokens
    }

    /// Pooled features of each text with its partner's image, `[b, 2d]`.
    pub fn matched(&self) -> Tensor<2> {
        let passes = self.passes();
        if !passes.matched.is_empty() {
            return self.model.fusion.pool(&passes.fused, passes.matched.clone());
        }
        let (mut queue, b) = (Pairs::default(), self.batch.pairs());
        push(&mut queue, self.partners().image.iter().copied(), 0..b, std::iter::repeat_n(Read::Pooled, b));
        let encoded = self.encoded();
        let fused = self.model.fusion.forward_pairs(&encoded.images, &encoded.texts, &queue, self.pass);
        self.model.fusion.pool(&fused, 0..b)
    }

    /// Vectors of every image alone and every text alone. `None` without pairs or without the head.
    pub fn vectors(&self) -> Option<&Vectors> {
        let vectors = self.vectors.get_or_init(|| {
            let head = self.model.heads.itc.as_ref().filter(|_| self.contrasted() > 0)?;
            let passes = self.passes();
            let pool = |range: &Range<usize>| self.model.fusion.pool(&passes.fused, range.clone()); // [b, 2d]
            Some(Vectors {
                images: head.image(pool(&passes.images_alone)),
                texts: head.text(pool(&passes.texts_alone)),
            })
        });
        vectors.as_ref()
    }

    /// Similarity of every image alone with every text alone, over temperature: `[b, b]`, images in rows. `None` as for
    /// [`Self::vectors`].
    pub fn similarity(&self) -> Option<Tensor<2>> {
        let Vectors { images, texts } = self.vectors()?;
        Some(self.model.heads.itc.as_ref()?.similarity(images.clone(), texts.clone()))
    }

    /// Who is matched with whom: as given, or drawn from the step's key.
    pub fn partners(&self) -> &Partners {
        self.partners.get_or_init(|| {
            self.batch.partners.clone().unwrap_or_else(|| match self.plan.partners {
                PartnerChoice::Random => self.batch.draw_partners(self.key, None),
                PartnerChoice::Hard => self.batch.draw_partners(self.key, self.hardness().as_deref()),
            })
        })
    }

    /// For text i and image j how hard they are to tell apart, exp(similarity / temperature), without gradient.
    fn hardness(&self) -> Option<Vec<f64>> {
        let similarity = self.similarity()?.transpose(); // [b, b], texts in rows
        let b = similarity.dims()[0];
        let values: Vec<f32> = similarity.inner().into_data().try_into_vec().expect("the model computes in f32");
        let weights = values.chunks_exact(b).flat_map(|row| {
            // Over the row's largest, so that no exponential overflows; a common factor does not change a draw.
            let largest = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().map(move |value| f64::from(value - largest).exp()).collect::<Vec<_>>()
        });
        Some(weights.collect())
    }

    /// Every choice of prompts in this step.
    pub fn into_chosen(self) -> ChosenRows {
        self.encoded.into_inner().map_or_else(ChosenRows::default, |encoded| encoded.chosen)
    }
}
