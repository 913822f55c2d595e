//! Retrieval examples: queries with their results. Correct and wrong results have different signs, words and colours.

use crate::format::number;
use crate::html::{element, escape, escape_up_to};
use crate::picture::picture;
use crate::types::{Example, ExampleGroup, Item, Retrieved, SampleGroup};

/// The largest number of characters of a text that are shown.
const TEXT: usize = 700;
/// The largest number of characters of a text that describe its image, for screen readers.
const DESCRIPTION: usize = 160;

/// One group of examples with its heading.
pub fn group(group: &ExampleGroup) -> String {
    let examples: String = group.examples.iter().map(example).collect();
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}{}{examples}</section>\n",
        escape(&group.title),
        element("p", "explanation", &group.explanation),
        tally(&group.examples),
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

/// Counts the examples with a correct first result, and those with a correct result at any rank.
fn tally(examples: &[Example]) -> String {
    let shown = examples.len();
    if shown == 0 {
        return "<p class=\"nothing\">no examples</p>\n".into();
    }
    if examples.iter().flat_map(|example| &example.found).all(|found| found.hit.is_none()) {
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

fn example(example: &Example) -> String {
    let pictures = example.found.iter().any(|found| found.item.image_png.is_some());
    let found: String = example.found.iter().enumerate().map(|(rank, found)| card(rank + 1, found)).collect();
    let found = match found.as_str() {
        "" => "<p class=\"nothing\">no result</p>\n".to_owned(),
        cards => format!("<ol class=\"found {}\">\n{cards}</ol>\n", if pictures { "pictures" } else { "texts" }),
    };
    let partner = example.partner.as_ref().map_or_else(String::new, |partner| {
        format!("<div class=\"partner\"><p class=\"mark\">ground truth</p>\n{}</div>\n", item(partner))
    });
    format!(
        "<article class=\"example\">\n<div class=\"query\">\n<div><p class=\"mark\">query</p>\n{}</div>\n{partner}</div>\n{found}</article>\n",
        item(&example.query)
    )
}

/// One result with its rank, whether it is correct, and its score.
fn card(rank: usize, found: &Retrieved) -> String {
    let verdict = |sign: &str, word: &str| {
        format!("<span class=\"verdict-of\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
    };
    let (class, verdict) = match found.hit {
        Some(true) => ("hit", verdict("✓", "correct")),
        Some(false) => ("miss", verdict("✗", "wrong")),
        None => ("unjudged", String::new()),
    };
    format!(
        "<li class=\"{class}\"><p class=\"mark\"><span class=\"place\">{rank}</span>{verdict}\
         <span class=\"score-of\" title=\"the model's score\">{}</span></p>\n{}</li>\n",
        number(found.score),
        item(&found.item)
    )
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
            score: 0.5,
            hit: Some(hit),
        }
    }

    #[test]
    fn correct_and_wrong_differ_by_word_and_sign() {
        let html = example(&Example { found: vec![found(true), found(false)], ..Example::default() });
        assert!(html.contains("class=\"hit\"") && html.contains("✓</span> correct"), "{html}");
        assert!(html.contains("class=\"miss\"") && html.contains("✗</span> wrong"), "{html}");
        assert!(!html.contains("<b>"));
    }

    #[test]
    fn the_tally_counts_correct_first_results_and_all() {
        let of = |hits: &[bool]| Example { found: hits.iter().map(|&hit| found(hit)).collect(), ..Example::default() };
        let html = tally(&[of(&[true, false]), of(&[false, true]), of(&[false, false]), of(&[])]);
        assert!(html.contains("1 of 4 have a correct first result, 2 of 4 have one among the first 2"), "{html}");
        assert!(tally(&[]).contains("no examples"));
        let unjudged = Retrieved { hit: None, ..found(true) };
        let example = Example { found: vec![unjudged], ..Example::default() };
        assert!(tally(std::slice::from_ref(&example)).is_empty() && !super::example(&example).contains("correct"));
    }

    #[test]
    fn a_long_text_is_cut() {
        let html = item(&Item { id: String::new(), image_png: None, text: Some("x".repeat(1_000_000)) });
        assert!(html.len() < 1000 && html.contains("1,000,000 characters"), "{}", html.len());
    }
}
