//! What must hold of explanations of any model, on a small one with random weights.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use ptu_explain::{Explainer, Explanation, Goal, Method, StandInRows, words};
use ptu_input::{Image, Input, Text};
use ptu_model::ModelConfig;
use ptu_model::config::FusionKind;
use ptu_random::{Key, Place, Stream};

mod small;

use small::{REPORTS, SIDE, explainer};

/// A change to the configuration of the model.
type Change = fn(&mut ModelConfig);

fn image(stream: &mut Stream) -> Image {
    Image::new(SIDE, (0..3 * SIDE * SIDE).map(|_| stream.normal() as f32).collect())
}

fn text(explainer: &Explainer, words: &str) -> Text {
    explainer.bundle.tokenizer.encode(words, 32).unwrap()
}

/// A pair, an image and a text.
fn inputs(explainer: &Explainer) -> Vec<Input> {
    let mut stream = Key::new(1).stream(Place::Sample, 0);
    let [one, other] = REPORTS.map(|report| text(explainer, report));
    vec![Input::Pair { image: image(&mut stream), text: one }, Input::Image(image(&mut stream)), Input::Text(other)]
}

#[test]
fn integrated_gradients_add_up_to_the_difference_to_the_baseline() {
    let explainer = explainer(|_| {}, false);
    let inputs = inputs(&explainer);
    let goals = [Goal::Output(2), Goal::Output(0), Goal::Output(1)];
    let gradients = Method::IntegratedGradients { steps: 96 };
    let found = explainer.explain(&inputs, &goals, gradients).unwrap();
    for one in &found {
        let (sum, gap) = one.sum_and_gap().unwrap();
        assert!(sum.abs() > 1e-3 && gap < 0.03 * sum.abs().max(0.05), "{gap} of {sum}");
    }
    for goal in [Goal::Match, Goal::Contrast] {
        let one = explainer.explain(&inputs[..1], &[goal], gradients).unwrap().remove(0);
        let (sum, gap) = one.sum_and_gap().unwrap();
        assert!(sum.abs() > 1e-3 && gap < 0.03 * sum.abs().max(0.05), "{goal:?}: {gap} of {sum}");
    }
}

#[test]
fn a_patch_like_the_baseline_is_worth_nothing_by_gradients() {
    let explainer = explainer(|_| {}, false);
    let patch = explainer.bundle.model.config().image.patch;
    let mut picture = image(&mut Key::new(2).stream(Place::Sample, 0));
    // The second patch of the first row.
    for (place, value) in picture.planes.iter_mut().enumerate() {
        let (row, column) = (place / SIDE % SIDE, place % SIDE);
        if row < patch && column / patch == 1 {
            *value = 0.0;
        }
    }
    let gradients = Method::IntegratedGradients { steps: 4 };
    let found = explainer.explain(&[Input::Image(picture)], &[Goal::Output(0)], gradients).unwrap().remove(0);
    let patches = found.patches.unwrap();
    assert_eq!(patches[1], 0.0);
    assert!(patches.iter().filter(|value| **value != 0.0).count() == patches.len() - 1);
    assert_eq!(found.tokens, None);
    assert!(matches!(found.stand_in, Some(StandInRows::Text(rows)) if rows.len() == 8));
}

#[test]
fn inputs_of_a_batch_are_explained_as_alone_by_every_kind_of_network() {
    let networks: [(Change, bool); 6] = [
        (|_| {}, false),
        (|config| config.image.merge = 3, true),
        (|config| config.image.registers = 2, false),
        (|config| config.image.class_token = false, true),
        (|config| config.fusion.kind = FusionKind::SingleStreamBert, true),
        (
            |config| {
                (config.image.layers, config.image.drop_last, config.text.layers) = (0, 0, 0);
                config.fusion.kind = FusionKind::SingleStreamVit;
            },
            false,
        ),
    ];
    for (number, (change, add_mean)) in networks.into_iter().enumerate() {
        let explainer = explainer(change, add_mean);
        let inputs = [inputs(&explainer), inputs(&explainer)].concat();
        let goals = vec![Goal::Output(1); inputs.len()];
        for method in [Method::Attention, Method::IntegratedGradients { steps: 3 }] {
            let together = explainer.explain(&inputs, &goals, method).unwrap();
            for (input, found) in inputs.iter().zip(&together) {
                let alone =
                    explainer.explain(std::slice::from_ref(input), &[Goal::Output(1)], method).unwrap().remove(0);
                let grid = SIDE / explainer.bundle.model.config().image.patch;
                assert_eq!(found.patches.as_ref().map(Vec::len), input.image().map(|_| grid * grid), "{number}");
                assert_eq!(found.tokens.as_ref().map(Vec::len), input.text().map(|text| text.ids.len()), "{number}");
                let parts = |one: &Explanation| -> Vec<f32> {
                    one.patches.iter().chain(&one.tokens).flatten().copied().collect()
                };
                let (found, alone) = (parts(found), parts(&alone));
                let largest = alone.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
                assert!(largest > 0.0 && alone.iter().all(|value| value.is_finite()), "{number}");
                assert!(found.iter().zip(&alone).all(|(x, y)| (x - y).abs() < 1e-3 * largest), "{number} {method:?}");
                if method == Method::Attention {
                    assert!(found.iter().all(|value| *value >= 0.0), "{number}");
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let explainer = explainer(|_| {}, false);
    let inputs = inputs(&explainer);
    let refused = |input: &Input, goal: Goal| {
        explainer.explain(std::slice::from_ref(input), &[goal], Method::Attention).unwrap_err().to_string()
    };
    assert!(refused(&inputs[1], Goal::Contrast).contains("give an image and a text"));
    assert!(refused(&inputs[0], Goal::Ranking).contains("no head for retrieval"));
    assert!(refused(&inputs[0], Goal::Output(3)).contains("has 3 outputs"));
    let wrong = Input::Image(Image::new(8, vec![0.0; 3 * 64]));
    assert!(refused(&wrong, Goal::Output(0)).contains('8'));
}

#[test]
fn words_have_the_sum_of_their_tokens() {
    let explainer = explainer(|_| {}, false);
    let text = text(&explainer, "No fracture");
    let tokens: Vec<f32> = (0..text.ids.len()).map(|place| place as f32).collect();
    let found = words(&text, &tokens, &explainer.bundle.tokenizer);
    assert_eq!(found.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), ["No", "fracture"]);
    let inner: f32 = (1..text.ids.len() - 1).map(|place| place as f32).sum();
    assert_eq!(found.iter().map(|word| word.weight).sum::<f32>(), inner);
}
