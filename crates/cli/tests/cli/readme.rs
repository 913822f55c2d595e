//! What the README tells somebody with fifty images of their own, done word by word.

use crate::harness::{Place, bytes};
use crate::vectors::png;

/// Commands of the first block of code under a heading.
fn commands(heading: &str) -> Vec<Vec<String>> {
    let readme = include_str!("../../../../README.md");
    let section = readme.split(heading).nth(1).expect("the heading is there");
    let block = section.split("```sh").nth(1).and_then(|rest| rest.split("```").next()).expect("it has a block");
    block.trim().lines().map(words).collect()
}

/// Words of a line as a shell reads them, double quotation marks apart.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (number, part) in line.split('"').enumerate() {
        match number % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_string)),
            _ => words.push(part.to_string()),
        }
    }
    words
}

#[test]
fn fifty_images_with_texts_are_learned_searched_and_reported() {
    let place = Place::new();
    let mut table = "image,text\n".to_string();
    for number in 0..50u32 {
        let (side, finding) = (["left", "right"][number as usize % 2], ["effusion", "mass"][number as usize / 2 % 2]);
        let bright = |x: u32, y: u32| {
            let in_half = (x < 48) == (side == "left");
            let in_finding = if finding == "effusion" { y > 60 } else { (20..50).contains(&y) && x % 48 > 12 };
            if in_half && in_finding { 200 + (number % 40) } else { 40 + (x * 7 + y * 3 + number) % 30 }
        };
        let pixels = (0..96 * 96u32).map(|place| bright(place % 96, place / 96) as u8).collect::<Vec<u8>>();
        place.write(&format!("images/{number}.png"), png(96, &pixels));
        table += &format!("images/{number}.png,There is {finding} on the {side}. Case {number}.\n");
    }
    place.write("pairs.csv", table);
    let commands = commands("## Your own pairs");
    assert_eq!(commands.len(), 3, "{commands:?}");
    let mut said = vec![];
    for command in &commands {
        assert_eq!(command[0], "ptunifier");
        let arguments: Vec<&str> = command[1..].iter().map(String::as_str).collect();
        said.push(place.good(&arguments).stdout);
    }
    assert!(said[0].lines().last().unwrap().starts_with("quickstart: R@10 image-to-text "), "{}", said[0]);
    assert_eq!(said[1].lines().count(), 10, "{}", said[1]);
    for page in ["own/report.html", "report.html"] {
        assert!(String::from_utf8(bytes(&place.path(page))).unwrap().contains("</html>"));
    }
}
