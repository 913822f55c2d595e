//! What the README tells somebody with fifty images of their own, done word by word.

use crate::harness::{Place, bytes};
use crate::vectors::png;

/// Command lines of a block of code under a heading, by its number from 0.
fn commands(heading: &str, block: usize) -> Vec<String> {
    let readme = include_str!("../../../../README.md");
    let section = readme.split(heading).nth(1).expect("the heading is there");
    let block =
        section.split("```sh").nth(block + 1).and_then(|rest| rest.split("```").next()).expect("it has a block");
    block.trim().lines().map(str::to_string).collect()
}

/// Fifty pictures that differ as their texts say, with a table of them.
fn pairs(place: &Place) {
    let mut table = "image,text,finding,age\n".to_string();
    for number in 0..50u32 {
        let (side, finding) = (["left", "right"][number as usize % 2], ["effusion", "mass"][number as usize / 2 % 2]);
        let bright = |x: u32, y: u32| {
            let in_half = (x < 48) == (side == "left");
            let in_finding = if finding == "effusion" { y > 60 } else { (20..50).contains(&y) && x % 48 > 12 };
            if in_half && in_finding { 200 + (number % 40) } else { 40 + (x * 7 + y * 3 + number) % 30 }
        };
        let pixels = (0..96 * 96u32).map(|place| bright(place % 96, place / 96) as u8).collect::<Vec<u8>>();
        place.write(&format!("images/{number}.png"), png(96, &pixels));
        let age = 40 + number;
        table += &format!("images/{number}.png,There is {finding} on the {side}. Case {number}.,{finding},{age}\n");
    }
    place.write("pairs.csv", table);
}

#[test]
fn fifty_images_with_texts_are_learned_searched_and_reported() {
    let place = Place::new();
    pairs(&place);
    let commands = commands("## Your own pairs", 0);
    assert_eq!(commands.len(), 3, "{commands:?}");
    let said: Vec<String> = commands.iter().map(|command| place.shell(command)).collect();
    assert!(said[0].lines().last().unwrap().starts_with("quickstart: R@10 image-to-text "), "{}", said[0]);
    assert_eq!(said[1].lines().count(), 10, "{}", said[1]);
    for page in ["own/report.html", "report.html"] {
        assert!(String::from_utf8(bytes(&place.path(page))).unwrap().contains("</html>"));
    }
}

/// In few steps, since a recipe of thousands is only to be found here.
#[test]
fn larger_corpora_are_prepared_and_asked_step_by_step() {
    let place = Place::new();
    pairs(&place);
    place.write("scans/new.png", bytes(&place.path("images/3.png")));
    place.write("recipes/pretrain/table.toml", include_str!("../../../../recipes/pretrain/table.toml"));
    for command in commands("## Your own pairs", 1) {
        let few = ["steps=3", "batch=8", "validate_every=0"].map(|set| format!("--set train.{set}"));
        let is_new = command.starts_with("ptunifier pretrain recipes/");
        place.shell(&if is_new { format!("{command} {}", few.join(" ")) } else { command });
    }
    for page in ["scores.html", "found.html"] {
        assert!(String::from_utf8(bytes(&place.path(page))).unwrap().contains("</html>"));
    }
}
