//! The two methods.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ptu_infer::task::{Predictor, TaskDescription, TaskOutput};
use ptu_input::{Batch, Input};
use ptu_kernels::{Pass, Trace, TracedInput, TracedModality, in_pool};
use ptu_model::forward::{ChosenRows, ForwardPlan, Inputs};
use ptu_model::{Bundle, Model, ModelError, Read, StandIn};

use crate::explanation::{Explanation, StandInRows};
use crate::goal::{Goal, scores, similarities};
use crate::relevance::Recorded;
use crate::{ExplainError, quadrature};

/// Number of sequences of each kind that are computed at a time.
const BATCH: usize = 16;

/// How a score is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Attention that is weighted by its gradient.
    Attention,
    /// Integrated gradients.
    IntegratedGradients {
        /// Number of points on the way from the baseline to the input, at least 1.
        steps: usize,
    },
}

impl Method {
    /// The name in files and pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::IntegratedGradients { .. } => "integrated gradients",
        }
    }
}

/// A model whose scores are explained.
pub struct Explainer {
    /// The model with its tokenizer and preprocessing.
    pub bundle: Bundle,
    /// Its task; `None` if it is pre-trained only.
    pub task: Option<TaskDescription>,
}

/// What is recorded of a pass.
#[derive(Clone, Copy)]
enum Recording<'r> {
    /// Nothing: no gradients are needed.
    Nothing,
    /// The inputs as they are.
    Inputs,
    /// Each input at its place on the way from the baseline (0) to it (1).
    OnTheWay(&'r [f32]),
}

impl Recording<'_> {
    fn trace(self) -> Option<Trace> {
        match self {
            Self::Nothing => None,
            Self::Inputs => Some(Trace::default()),
            Self::OnTheWay(places) => Some(Trace::on_the_way(places.to_vec())),
        }
    }
}

/// A pass that was recorded.
struct Traced {
    /// One score for each input.
    scores: Tensor<1>,
    /// The recordings: one, or that of the images alone and that of the texts alone; none if nothing is recorded.
    traces: Vec<Trace>,
    chosen: ChosenRows,
}

/// The device that explains: the CPU, with gradients.
pub fn device() -> Device {
    Device::flex().autodiff()
}

impl Explainer {
    /// Opens a bundle.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ExplainError> {
        let bundle = Bundle::load(folder, &device())?;
        let task = bundle.task.is_some().then(|| TaskDescription::of(&bundle, folder)).transpose()?;
        Ok(Self::new(bundle, task))
    }

    /// Explains scores of a model that was loaded on [`device`].
    pub fn new(bundle: Bundle, task: Option<TaskDescription>) -> Self {
        // Gradients of inputs and attention are needed, and none of weights.
        let model = bundle.model.clone().no_grad();
        Self { bundle: Bundle { model, ..bundle }, task }
    }

    fn model(&self) -> &Model {
        &self.bundle.model
    }

    /// The score that is explained unless another one is asked for: the output that a fine-tuned model predicts, or how well an image and a
    /// text go together.
    ///
    /// # Errors
    /// When the model writes texts, or the input does not fit it.
    pub fn goal(&self, input: &Input) -> Result<Goal, ExplainError> {
        let heads = &self.model().heads;
        match &self.task {
            Some(task) if !matches!(task.output, TaskOutput::Retrieval { .. }) => {
                let logits = Predictor::new(self.model(), task)?.logits(std::slice::from_ref(input), 1)?;
                let largest = logits[0].iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1));
                Ok(Goal::Output(largest.map_or(0, |(number, _)| number)))
            }
            _ if heads.retrieval.is_some() => Ok(Goal::Ranking),
            _ if heads.itc.is_some() => Ok(Goal::Contrast),
            _ => Ok(Goal::Match),
        }
    }

    /// Explains a score of each input; `goals` has one for each, all of one kind.
    ///
    /// # Errors
    /// When the model does not have the score, or an input does not fit the model or the score.
    pub fn explain(&self, inputs: &[Input], goals: &[Goal], method: Method) -> Result<Vec<Explanation>, ExplainError> {
        let explained = self.by_kind(inputs, goals, |inputs, goals| match method {
            Method::Attention => self.attention(inputs, goals),
            Method::IntegratedGradients { steps } => {
                inputs.iter().zip(goals).map(|(input, goal)| self.integrated(input, *goal, steps.max(1))).collect()
            }
        })?;
        let is_finite = |one: &Explanation| {
            let parts = one.patches.iter().chain(&one.tokens).flatten();
            one.score.is_finite() && parts.chain(&one.baseline).all(|value| value.is_finite())
        };
        if explained.iter().all(is_finite) { Ok(explained) } else { Err(ModelError::NotFinite.into()) }
    }

    /// A score of each input, without explanation.
    ///
    /// # Errors
    /// As for [`Self::explain`].
    pub fn scores(&self, inputs: &[Input], goals: &[Goal]) -> Result<Vec<f32>, ExplainError> {
        self.by_kind(inputs, goals, |inputs, goals| Ok(host(self.trace(inputs, goals, Recording::Nothing)?.scores)))
    }

    /// Computes something of each input, of inputs of one kind at a time, so that sequences have the order of the inputs.
    fn by_kind<T: Clone + Send>(
        &self,
        inputs: &[Input],
        goals: &[Goal],
        work: impl Fn(&[Input], &[Goal]) -> Result<Vec<T>, ExplainError> + Sync,
    ) -> Result<Vec<T>, ExplainError> {
        assert_eq!(inputs.len(), goals.len(), "there is a goal for each input");
        for (input, goal) in inputs.iter().zip(goals) {
            if matches!(goal, Goal::Match | Goal::Ranking | Goal::Contrast) && !matches!(input, Input::Pair { .. }) {
                return Err(ExplainError::Goal(
                    "a score of an image with a text is explained for both; give an image and a text".into(),
                ));
            }
        }
        self.model().check_batch(&Batch::collect(inputs))?;
        let mut all = vec![None; inputs.len()];
        let kinds: [fn(&Input) -> bool; 3] = [
            |input| matches!(input, Input::Pair { .. }),
            |input| matches!(input, Input::Image(_)),
            |input| matches!(input, Input::Text(_)),
        ];
        for is_asked in kinds {
            let places: Vec<usize> = (0..inputs.len()).filter(|&place| is_asked(&inputs[place])).collect();
            for places in places.chunks(BATCH) {
                let chunk: Vec<Input> = places.iter().map(|&place| inputs[place].clone()).collect();
                let goals: Vec<Goal> = places.iter().map(|&place| goals[place]).collect();
                let found = in_pool(|| work(&chunk, &goals))?;
                places.iter().zip(found).for_each(|(&place, found)| all[place] = Some(found));
            }
        }
        Ok(all.into_iter().flatten().collect())
    }

    /// Attention weighted by its gradient, for inputs of one kind.
    fn attention(&self, inputs: &[Input], goals: &[Goal]) -> Result<Vec<Explanation>, ExplainError> {
        let Traced { scores, traces, chosen } = self.trace(inputs, goals, Recording::Inputs)?;
        let values = host(scores.clone());
        let _ = scores.sum().backward();
        let config = self.model().config();
        let attention: Vec<_> = traces.iter().map(Trace::attention).collect();
        let recorded: Vec<Recorded<'_>> = attention.iter().map(|calls| Recorded::new(config, calls)).collect();
        let explained = inputs.iter().enumerate().map(|(index, input)| {
            let (image, text) = (self.image_tokens(input), self.text_tokens(input));
            let (patches, tokens) = match recorded.as_slice() {
                // An image alone, and a text alone.
                [of_image, of_text] => {
                    let (image_stand_in, text_stand_in) =
                        (config.image_stand_in_tokens(), config.text_stand_in_tokens());
                    let patches = of_image.of(index, [image, text_stand_in]).patches;
                    (patches, of_text.of(index, [image_stand_in, text]).tokens)
                }
                _ => {
                    let found = recorded[0].of(index, [image, text]);
                    (found.patches, found.tokens)
                }
            };
            Explanation {
                score: values[index],
                patches: has_image(input).then_some(patches),
                tokens: has_text(input).then_some(tokens),
                stand_in: stand_in(input, &chosen, index),
                baseline: None,
            }
        });
        Ok(explained.collect())
    }

    /// Integrated gradients of one input, by the points of Gauss and Legendre.
    fn integrated(&self, input: &Input, goal: Goal, steps: usize) -> Result<Explanation, ExplainError> {
        let points = quadrature::points(steps);
        let mut sums: [Option<Vec<f32>>; 2] = [None, None];
        for points in points.chunks(BATCH) {
            let (inputs, goals) = (vec![input.clone(); points.len()], vec![goal; points.len()]);
            let [places, weights] = [|point: &(f64, f64)| point.0 as f32, |point: &(f64, f64)| point.1 as f32]
                .map(|part| points.iter().map(part).collect::<Vec<f32>>());
            let Traced { scores, traces, .. } = self.trace(&inputs, &goals, Recording::OnTheWay(&places))?;
            let gradients = scores.sum().backward();
            for (modality, sum) in [TracedModality::Image, TracedModality::Text].into_iter().zip(&mut sums) {
                let Some(traced) = traces.iter().find_map(|trace| trace.input(modality)) else { continue };
                let Some(gradient) = traced.tokens.tokens.grad(&gradients) else { continue };
                let gradient: Vec<f32> = gradient.into_data().try_into_vec().expect("the model computes in f32");
                add_parts(sum, &traced, &gradient, &weights);
            }
        }
        // The score of the input and that of the baseline.
        let both = [input.clone(), input.clone()];
        let Traced { scores, chosen, .. } = self.trace(&both, &[goal, goal], Recording::OnTheWay(&[1.0, 0.0]))?;
        let ends = host(scores);
        let [images, texts] = sums;
        let special = usize::from(self.model().config().image.class_token);
        Ok(Explanation {
            score: ends[0],
            patches: images.filter(|_| has_image(input)).map(|parts| parts[special..].to_vec()),
            tokens: texts.filter(|_| has_text(input)),
            stand_in: stand_in(input, &chosen, 0),
            baseline: Some(ends[1]),
        })
    }

    /// A recorded pass of inputs of one kind.
    fn trace(&self, inputs: &[Input], goals: &[Goal], recording: Recording<'_>) -> Result<Traced, ExplainError> {
        if !goals.iter().any(|goal| goal.compares()) {
            let trace = recording.trace();
            let (features, chosen) = self.features(&Batch::collect(inputs), trace.as_ref());
            let traces = trace.into_iter().collect();
            return Ok(Traced { scores: scores(self.model(), features, goals)?, traces, chosen });
        }
        let alone =
            |keep: fn(&Input) -> Option<Input>| Batch::collect(&inputs.iter().filter_map(keep).collect::<Vec<_>>());
        let images = alone(|input| input.image().cloned().map(Input::Image));
        let texts = alone(|input| input.text().cloned().map(Input::Text));
        let traces = [recording.trace(), recording.trace()];
        let [of_images, of_texts] =
            [(&images, &traces[0]), (&texts, &traces[1])].map(|(batch, trace)| self.features(batch, trace.as_ref()).0);
        let scores = similarities(self.model(), of_images, of_texts)?;
        Ok(Traced { scores, traces: traces.into_iter().flatten().collect(), chosen: ChosenRows::default() })
    }

    /// Pooled features of inputs of one kind, with all states of the fusion, so that all of its attention is recorded.
    fn features(&self, batch: &Batch, trace: Option<&Trace>) -> (Tensor<2>, ChosenRows) {
        let model = self.model();
        let pass = trace.map_or_else(Pass::off, |trace| Pass::off().traced(trace.clone()));
        let plan = ForwardPlan::of_batch(batch, &vec![Read::All; batch.len()]);
        let encoded = model.encode(&Inputs::of(batch), &plan, StandIn::Prompts, &pass);
        let fused = model.fuse(&encoded, plan.pairs(), &pass);
        (model.pool(&fused, 0..plan.pairs().len()), encoded.chosen)
    }

    /// Number of tokens of the image sequence in the fusion.
    fn image_tokens(&self, input: &Input) -> usize {
        if has_image(input) {
            self.model().config().image.tokens()
        } else {
            self.model().config().image_stand_in_tokens()
        }
    }

    fn text_tokens(&self, input: &Input) -> usize {
        input.text().map_or_else(|| self.model().config().text_stand_in_tokens(), |text| text.ids.len())
    }
}

fn has_image(input: &Input) -> bool {
    !matches!(input, Input::Text(_))
}

fn has_text(input: &Input) -> bool {
    !matches!(input, Input::Image(_))
}

fn stand_in(input: &Input, chosen: &ChosenRows, index: usize) -> Option<StandInRows> {
    match input {
        Input::Pair { .. } => None,
        Input::Image(_) => chosen.text.get(index).cloned().map(StandInRows::Text),
        Input::Text(_) => chosen.image.get(index).cloned().map(StandInRows::Image),
    }
}

/// Adds what each token of equal inputs is worth, times the weight of the input.
fn add_parts(sum: &mut Option<Vec<f32>>, traced: &TracedInput, gradient: &[f32], weights: &[f32]) {
    let tokens = traced.tokens.tokens.dims()[0] / weights.len();
    let d = traced.tokens.tokens.dims()[1];
    let sum = sum.get_or_insert_with(|| vec![0.0; tokens]);
    for (token, (gradient, difference)) in gradient.chunks_exact(d).zip(traced.difference.chunks_exact(d)).enumerate() {
        let part: f32 = gradient.iter().zip(difference).map(|(x, y)| x * y).sum();
        sum[token % tokens] += weights[token / tokens] * part;
    }
}

fn host(scores: Tensor<1>) -> Vec<f32> {
    scores.inner().into_data().try_into_vec().expect("the model computes in f32")
}
