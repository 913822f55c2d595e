//! The model card of a bundle.

use ptu_model::{Bundle, LEARNED};

use crate::Recipe;

/// Returns the model card as Markdown: what the bundle is, what it was trained on, and what it must not be used for.
pub fn card(recipe: &Recipe, objectives: &[String], bundle: &Bundle, step: u64) -> String {
    let config = bundle.model.config();
    let sources: Vec<&str> = bundle.trained_on.iter().map(|one| one.source.as_str()).collect();
    format!(
        "---\nlibrary_name: ptunifier\ntags: [medical, image-text]\n---\n\n\
        # A PTUnifier model\n\n\
        One model for images, texts and pairs, where soft prompts stand in for what is missing.\n\n\
        | | |\n|---|---|\n\
        | trained on | {} |\n\
        | objectives | {} |\n\
        | steps | {step} of {}, batch {} |\n\
        | image | {} px, patches of {} px |\n\
        | text | {} tokens at most, vocabulary {} |\n\
        | seed | {} |\n\n\
        `{LEARNED}` holds no weights. It lists 64-bit hashes of the images (their pixels) and of the texts that the model has \
        learned from, so that `ptunifier evaluate` can refuse to score what it knows, without the training data. Nothing can be \
        read from a hash, but whoever has an image or a text, or guesses a short one, can find out whether it is among them; where that \
        matters, delete the file before you hand the folder on: the check then goes by the names of records.\n\n\
        For research. It is no medical device: do not decide about patients by it.\n",
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
