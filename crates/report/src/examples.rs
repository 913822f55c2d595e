//! What was found for what: pictures and texts, right and wrong by sign and colour.

use crate::format::number;
use crate::html::{element, escape, escape_up_to};
use crate::picture::picture;
use crate::types::{Example, ExampleGroup, Item, Retrieved, SampleGroup};

/// Letters of a text that are shown.
const TEXT: usize = 700;
/// Letters of a text that describe its picture.
const DESCRIPTION: usize = 160;

/// One group under its heading.
pub fn group(group: &ExampleGroup) -> String {
    let examples: String = group.examples.iter().map(example).collect();
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}{}{examples}</section>\n",
        escape(&group.title),
        element("p", "explanation", &group.explanation),
        tally(&group.examples),
    )
}

/// Records side by side, as they are.
pub fn samples(group: &SampleGroup) -> String {
    let items: String = group.items.iter().map(|one| format!("<li>\n{}</li>\n", item(one))).collect();
    format!(
        "<section class=\"group\">\n<h3>{}</h3>\n{}<ul class=\"samples\">\n{items}</ul>\n</section>\n",
        escape(&group.title),
        element("p", "explanation", &group.explanation),
    )
}

/// How many of the examples shown are right at once, and how many at all.
fn tally(examples: &[Example]) -> String {
    let shown = examples.len();
    if shown == 0 {
        return "<p class=\"nothing\">no examples</p>\n".into();
    }
    if examples.iter().flat_map(|example| &example.found).all(|found| found.hit.is_none()) {
        return String::new();
    }
    let right = |found: &Retrieved| found.hit == Some(true);
    let first = examples.iter().filter(|example| example.found.first().is_some_and(right)).count();
    let any = examples.iter().filter(|example| example.found.iter().any(right)).count();
    let most = examples.iter().map(|example| example.found.len()).max().unwrap_or(0);
    let later = if most > 1 { format!(", {any} of {shown} within the first {most}") } else { String::new() };
    format!("<p class=\"tally\">Of those shown, {first} of {shown} right at first place{later}.</p>\n")
}

fn example(example: &Example) -> String {
    let pictures = example.found.iter().any(|found| found.item.image_png.is_some());
    let found: String = example.found.iter().enumerate().map(|(place, found)| card(place + 1, found)).collect();
    let found = match found.as_str() {
        "" => "<p class=\"nothing\">nothing was found</p>\n".to_owned(),
        cards => format!("<ol class=\"found {}\">\n{cards}</ol>\n", if pictures { "pictures" } else { "texts" }),
    };
    let partner = example.partner.as_ref().map_or_else(String::new, |partner| {
        format!("<div class=\"partner\"><p class=\"mark\">its own</p>\n{}</div>\n", item(partner))
    });
    format!(
        "<article class=\"example\">\n<div class=\"query\">\n<div><p class=\"mark\">query</p>\n{}</div>\n{partner}</div>\n{found}</article>\n",
        item(&example.query)
    )
}

fn card(place: usize, found: &Retrieved) -> String {
    let verdict = |sign: &str, word: &str| {
        format!("<span class=\"verdict-of\"><span aria-hidden=\"true\">{sign}</span> {word}</span>")
    };
    let (class, verdict) = match found.hit {
        Some(true) => ("hit", verdict("✓", "right")),
        Some(false) => ("miss", verdict("✗", "wrong")),
        None => ("unjudged", String::new()),
    };
    format!(
        "<li class=\"{class}\"><p class=\"mark\"><span class=\"place\">{place}</span>{verdict}\
         <span class=\"score-of\" title=\"the model's score\">{}</span></p>\n{}</li>\n",
        number(found.score),
        item(&found.item)
    )
}

/// Picture, text and name of an item.
fn item(item: &Item) -> String {
    let description = match &item.text {
        Some(text) => text.chars().take(DESCRIPTION).collect(),
        None => format!("picture of record {}", item.id),
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
    fn right_and_wrong_differ_by_word_and_sign() {
        let html = example(&Example { found: vec![found(true), found(false)], ..Example::default() });
        assert!(html.contains("class=\"hit\"") && html.contains("✓</span> right"), "{html}");
        assert!(html.contains("class=\"miss\"") && html.contains("✗</span> wrong"), "{html}");
        assert!(!html.contains("<b>"));
    }

    #[test]
    fn the_tally_counts_first_places_and_all() {
        let of = |hits: &[bool]| Example { found: hits.iter().map(|&hit| found(hit)).collect(), ..Example::default() };
        let html = tally(&[of(&[true, false]), of(&[false, true]), of(&[false, false]), of(&[])]);
        assert!(html.contains("1 of 4 right at first place, 2 of 4 within the first 2"), "{html}");
        assert!(tally(&[]).contains("no examples"));
        let unjudged = Retrieved { hit: None, ..found(true) };
        let example = Example { found: vec![unjudged], ..Example::default() };
        assert!(tally(std::slice::from_ref(&example)).is_empty() && !super::example(&example).contains("right"));
    }

    #[test]
    fn a_huge_text_is_shown_in_part() {
        let html = item(&Item { id: String::new(), image_png: None, text: Some("x".repeat(1_000_000)) });
        assert!(html.len() < 1000 && html.contains("1,000,000 characters"), "{}", html.len());
    }
}
