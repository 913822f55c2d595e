//! The page of explanations.

use ptu_input::Input;
use ptu_report::{Example, ExampleGroup, ExampleKind, Fact, Item, Page, Retrieved, Table};
use ptu_workflow::page::{PromptItems, stand_in_group};

use super::{Arguments, Explained};
use ptu_explain::StandInRows;

/// The page: each input with its maps, its words in a table, and what stood in for what is missing.
pub fn page(
    arguments: &Arguments,
    (inputs, all): (&[(String, Input)], &[Explained]),
    items: Option<&PromptItems>,
) -> Page {
    let of = |name: &str| -> Vec<&Explained> { all.iter().filter(|one| one.name == name).collect() };
    let examples = inputs.iter().map(|(name, input)| example(arguments, (name, input), &of(name)));
    let shown = ExampleGroup {
        title: "What the image is worth".into(),
        explanation: "Integrated gradients: red speaks for the score, blue against it. Attention: where the model looks, not for what; its \
                      colours begin with its lowest value. The bar beside each map has its values; maps are not compared with each other."
            .into(),
        kind: ExampleKind::Retrieval,
        examples: examples.collect(),
    };
    let mut groups = vec![shown];
    if let Some(items) = items {
        // Each input has the same stand-in in all methods.
        for (name, _) in inputs {
            if let Some(stand_in) = of(name).first().and_then(|one| one.stand_in.as_ref()) {
                groups.push(match stand_in {
                    StandInRows::Image(rows) => stand_in_group(rows, true, items),
                    StandInRows::Text(rows) => stand_in_group(rows, false, items),
                });
            }
        }
    }
    Page {
        title: format!("Why {} gives its scores", arguments.model.display()),
        subtitle: "explanation".into(),
        facts: all.iter().map(fact).collect(),
        examples: groups,
        tables: inputs.iter().filter_map(|(name, _)| words(name, &of(name))).collect(),
        ..Page::default()
    }
}

fn fact(one: &Explained) -> Fact {
    let gap =
        one.baseline.map(|baseline| format!("; {baseline:.4} for a blank image and an empty text")).unwrap_or_default();
    (format!("{}, {}", one.name, one.method), format!("{}: {:.4}{gap}", one.explained, one.score))
}

fn example(arguments: &Arguments, (name, input): (&str, &Input), all: &[&Explained]) -> Example {
    let grey = input.image().map(|image| {
        let size = ptu_input::image::resample::Size { width: image.side, height: image.side };
        ptu_input::Picture::new(size, 1, image.grey_levels()).png()
    });
    let query =
        Item { id: name.into(), image_png: grey, text: arguments.text.clone().filter(|_| input.text().is_some()) };
    let map = |one: &&Explained| Retrieved {
        item: Item {
            id: one.method.into(),
            image_png: one.map.clone(),
            text: Some(format!("explains: {}", one.explained)),
        },
        score: None,
        hit: None,
    };
    Example { query, partner: None, found: all.iter().map(map).collect() }
}

/// The words of an input, with what they are worth by each method.
fn words(name: &str, all: &[&Explained]) -> Option<Table> {
    let first = all.first()?.words.as_ref()?;
    let columns = std::iter::once("word".to_string()).chain(all.iter().map(|one| one.method.to_string()));
    let rows = first.iter().enumerate().map(|(place, word)| {
        let weight = |one: &&Explained| match one.words.as_ref().and_then(|words| words.get(place)) {
            Some(word) => format!("{:.4}", word.weight),
            None => String::new(),
        };
        std::iter::once(word.word.clone()).chain(all.iter().map(weight)).collect()
    });
    Some(Table {
        title: format!("What the words are worth: {name}"),
        columns: columns.collect(),
        rows: rows.collect(),
        ..Table::default()
    })
}
