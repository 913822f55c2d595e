//! Examples: queries with their results, inputs with predictions or generated texts. Correct and wrong results have different signs, words
//! and colours.

use crate::format::{fraction, number};
use crate::html::{element, escape, escape_up_to};
use crate::picture::picture;
use crate::types::{Example, ExampleGroup, ExampleKind, Item, Retrieved, SampleGroup};

/// The largest number of characters of a text that are shown.
const TEXT: usize = 700;
/// The largest number of characters of a text that describe its image, for screen readers.
const DESCRIPTION: usize = 160;

/// The words beside the items of an example.
struct Words {
    /// Above what the model got.
    query: &'static str,
    /// Above what is right.
    partner: &'static str,
    /// The tooltip of scores.
    score: &'static str,
}

impl ExampleKind {
    fn words(self) -> Words {
        match self {
            Self::Retrieval => Words { query: "query", partner: "ground truth", score: "the model's score" },
            Self::Prediction => Words { query: "input", partner: "ground truth", score: "probability" },
            Self::Generation => Words { query: "input", partner: "reference", score: "the model's score" },
        }
    }
}

/// One group of examples with its heading.
pub fn group(group: &ExampleGroup) -> String {
    let examples: String = group.examples.iter().map(|one| example(one, group.kind)).collect();
    // Predictions and generated texts are short, so two examples have room beside each other.
    let examples = match group.kind {
        ExampleKind::Retrieval => examples,
        ExampleKind::Prediction | ExampleKind::Generation => format!("<div class=\"beside\">\n{examples}</div>\n"),
    };
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}{}{examples}</section>\n",
        escape(&group.title),
        element("p", "explanation", &group.explanation),
        tally(&group.examples, group.kind),
    )
}

/// A group of sample records with its heading.
pub fn samples(group: &SampleGroup) -> String {
    let items: String = group.items.iter().map(|one| format!("<li>\n{}</li>\n", item(one))).collect();
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}<ul class=\"samples\">\n{items}</ul>\n</section>\n",
        escape(&group.title),
        element("p", "explanation", &group.explanation),
    )
}

/// Counts the examples with a correct first result, and those with a correct result at any rank. Only retrieval is counted: predictions may
/// be selected by whether they are right.
fn tally(examples: &[Example], kind: ExampleKind) -> String {
    let shown = examples.len();
    if shown == 0 {
        return "<p class=\"nothing\">no examples</p>\n".into();
    }
    let is_judged = examples.iter().flat_map(|example| &example.found).any(|found| found.hit.is_some());
    if kind != ExampleKind::Retrieval || !is_judged {
        return String::new();
    }
    let is_correct = |found: &Retrieved| found.hit == Some(true);
    let first = examples.iter().filter(|example| example.found.first().is_some_and(is_correct)).count();
    let any = examples.iter().filter(|example| example.found.iter().any(is_correct)).count();
    let results = examples.iter().map(|example| example.found.len()).max().unwrap_or(0);
    let later = match results > 1 {
        true => format!(", {any} of {shown} have one among the first {results}"),
        false => String::new(),
    };
    format!("<p class=\"tally\">Of the examples shown, {first} of {shown} have a correct first result{later}.</p>\n")
}

fn example(example: &Example, kind: ExampleKind) -> String {
    let words = kind.words();
    let pictures = example.found.iter().any(|found| found.item.image_png.is_some());
    let found: String = example.found.iter().enumerate().map(|(rank, found)| card(rank + 1, found, kind)).collect();
    let found = match found.as_str() {
        "" => "<p class=\"nothing\">no result</p>\n".to_owned(),
        cards => format!("<ol class=\"found {}\">\n{cards}</ol>\n", if pictures { "pictures" } else { "texts" }),
    };
    let partner = example.partner.as_ref().map_or_else(String::new, |partner| {
        format!("<div class=\"partner\"><p class=\"mark\">{}</p>\n{}</div>\n", words.partner, item(partner))
    });
    format!(
        "<article class=\"example\">\n<div class=\"query\">\n<div><p class=\"mark\">{}</p>\n{}</div>\n{partner}</div>\n{found}</article>\n",
        words.query,
        item(&example.query)
    )
}

/// One result with its rank, whether it is correct, and its score. Of a generated text there is only one, so it has no rank.
fn card(rank: usize, found: &Retrieved, kind: ExampleKind) -> String {
    let verdict = |sign: &str, word: &str| {
        format!("<span class=\"verdict-of\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
    };
    let (class, verdict) = match found.hit {
        Some(true) => ("hit", verdict("✓", "correct")),
        Some(false) => ("miss", verdict("✗", "wrong")),
        None => ("unjudged", String::new()),
    };
    let place = match kind {
        ExampleKind::Retrieval | ExampleKind::Prediction => format!("<span class=\"place\">{rank}</span>"),
        ExampleKind::Generation => "generated text".into(),
    };
    let written = |score| if kind == ExampleKind::Prediction { fraction(score) } else { number(score) };
    let score = found.score.map_or_else(String::new, |score| {
        format!("<span class=\"score-of\" title=\"{}\">{}</span>", kind.words().score, written(score))
    });
    format!("<li class=\"{class}\"><p class=\"mark\">{place}{verdict}{score}</p>\n{}</li>\n", item(&found.item))
}

/// The image, the text and the id of an item.
fn item(item: &Item) -> String {
    let description = match &item.text {
        Some(text) => text.chars().take(DESCRIPTION).collect(),
        None => format!("image of record {}", item.id),
    };
    let shown = item.image_png.as_deref().map_or_else(String::new, |png| picture(png, &description) + "\n");
    let text = match item.text.as_deref() {
        Some(text) if !text.trim().is_empty() => {
            format!("<p class=\"prose\" dir=\"auto\">{}</p>\n", escape_up_to(text.trim(), TEXT))
        }
        Some(_) => "<p class=\"nothing\">empty text</p>\n".into(),
        None => String::new(),
    };
    format!("{shown}{text}{}", element("p", "id", &item.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(hit: bool) -> Retrieved {
        Retrieved {
            item: Item { id: "r1".into(), image_png: None, text: Some("a <b>hand</b>".into()) },
            score: Some(0.5),
            hit: Some(hit),
        }
    }

    #[test]
    fn correct_and_wrong_differ_by_word_and_sign() {
        let of = |kind| example(&Example { found: vec![found(true), found(false)], ..Example::default() }, kind);
        let html = of(ExampleKind::Retrieval);
        assert!(html.contains("class=\"hit\"") && html.contains("✓</span> correct"), "{html}");
        assert!(html.contains("class=\"miss\"") && html.contains("✗</span> wrong"), "{html}");
        assert!(!html.contains("<b>") && html.contains(">query<"));
        let html = of(ExampleKind::Prediction);
        assert!(html.contains(">input<") && html.contains("title=\"probability\">0.500<"), "{html}");
    }

    #[test]
    fn the_tally_counts_correct_first_results_and_all() {
        let of = |hits: &[bool]| Example { found: hits.iter().map(|&hit| found(hit)).collect(), ..Example::default() };
        let html =
            tally(&[of(&[true, false]), of(&[false, true]), of(&[false, false]), of(&[])], ExampleKind::Retrieval);
        assert!(html.contains("1 of 4 have a correct first result, 2 of 4 have one among the first 2"), "{html}");
        assert!(tally(&[], ExampleKind::Prediction).contains("no examples"));
        let unjudged = Retrieved { hit: None, ..found(true) };
        let example = Example { found: vec![unjudged], ..Example::default() };
        let kind = ExampleKind::Retrieval;
        assert!(tally(std::slice::from_ref(&example), kind).is_empty());
        assert!(!super::example(&example, kind).contains("correct"));
    }

    #[test]
    fn a_generated_text_has_no_rank() {
        let text = Retrieved { score: None, hit: None, ..found(true) };
        let html = card(1, &text, ExampleKind::Generation);
        assert!(html.contains("generated text") && !html.contains("class=\"place\""), "{html}");
        assert!(!html.contains("score-of"), "{html}");
        let group =
            ExampleGroup { kind: ExampleKind::Prediction, examples: vec![of_hits()], ..ExampleGroup::default() };
        assert!(
            !super::group(&group).contains("Of the examples shown"),
            "right and wrong ones are groups of their own"
        );
    }

    fn of_hits() -> Example {
        Example { found: vec![found(true)], ..Example::default() }
    }

    #[test]
    fn a_long_text_is_cut() {
        let html = item(&Item { id: String::new(), image_png: None, text: Some("x".repeat(1_000_000)) });
        assert!(html.len() < 1000 && html.contains("1,000,000 characters"), "{}", html.len());
    }
}
