//! The model card of a bundle.

use ptu_model::{ABOUT_LEARNED, Bundle, WeightSource};

use crate::Recipe;

/// Returns the model card as Markdown: what the bundle is, what it was trained on, and what it must not be used for.
pub fn card(recipe: &Recipe, objectives: &[String], bundle: &Bundle, step: u64) -> String {
    let config = bundle.model.config();
    let sources: Vec<&str> = bundle.trained_on.iter().map(|one| one.source.as_str()).collect();
    let weights = weights_from(bundle);
    format!(
        "---\nlibrary_name: ptunifier\ntags: [medical, image-text]\n---\n\n# A PTUnifier model\n\nOne model for \
         images, texts and pairs, with soft prompts in place of a missing image or text.\n\n| | |\n|---|---|\n| \
         trained on | {} |\n{weights}| objectives | {} |\n| steps | {step} of {}, batch {} |\n| image | {} px, patches of {} \
         px |\n| text | {} tokens at most, vocabulary {} |\n| seed | {} |\n\n{ABOUT_LEARNED}\n\nFor research only. This model is \
         not a medical device: do not use it for decisions about patients.\n",
        sources.join(", "),
        objectives.join(", "),
        recipe.train.steps,
        recipe.train.batch,
        config.image.size,
        config.image.patch,
        recipe.text.max_tokens,
        config.text.vocabulary,
        recipe.seed,
    )
}

/// The rows of the table about published weights from which training started.
fn weights_from(bundle: &Bundle) -> String {
    let row = |source: &WeightSource| {
        let licence = source.stated_licence();
        format!("| weights from | `{}` ({}), licence: {licence} |\n", source.name, source.layout)
    };
    bundle.weights_from.iter().map(row).collect()
}
