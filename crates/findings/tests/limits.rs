//! Texts of any length and any characters.

use std::time::{Duration, Instant};

use ptu_findings::{Observation, Status, read_findings};

/// The shortest of three times, so that other work on the machine does not count.
fn time(text: &str) -> Duration {
    let times = (0..3).map(|_| {
        let start = Instant::now();
        assert_eq!(read_findings(text).status(Observation::Pneumothorax), Status::Negative);
        start.elapsed()
    });
    times.min().expect("three times were taken")
}

#[test]
fn time_is_linear_without_ends_of_sentences() {
    let units = [
        "no pneumothorax , effusion or the heart is possible ",
        "no pneumothorax or but ",
        "pneumothorax resolved is ",
        "heart ",
        "normal ",
        "pleural ",
        "not ",
    ];
    for unit in units {
        // The last words are far from those that they could belong to.
        let text = |size: usize| format!("no pneumothorax {}but the heart is normal", unit.repeat(size / unit.len()));
        let without = |size: usize| format!("no pneumothorax {}normal", unit.repeat(size / unit.len()));
        for text in [&text as &dyn Fn(usize) -> String, &without] {
            compare(unit, &text(1 << 15), &text(1 << 18));
        }
    }
}

/// Eight times the text may take 24 times as long; quadratic time would be 64 times.
fn compare(unit: &str, small: &str, large: &str) {
    let (small, large) = (time(small), time(large));
    assert!(large < small * 24 + Duration::from_millis(20), "{unit}: {small:?} for 32 KiB, {large:?} for 256 KiB");
}

#[test]
fn a_megabyte_of_few_words_takes_no_minutes() {
    let start = Instant::now();
    read_findings(&"a".repeat(1 << 20));
    read_findings(&"heart pleural blunting ".repeat(45_000));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn any_characters_are_accepted() {
    // A linear congruential generator (Knuth, MMIX): reproducible text without a dependency.
    let mut state: u64 = 42;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let words = ["no", "İ", "ß", "heart", "enlarged", ",", ".", "\n\n", "effusion", "ﬁ", "\u{301}", "but", "or", "is"];
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..next() % 30 {
            match next() % 3 {
                0 => text.extend(char::from_u32(next() % 0x11_0000)),
                1 => text.extend(char::from_u32(next() % 0x250)),
                _ => text.push_str(words[next() as usize % words.len()]),
            }
            if next() % 2 == 0 {
                text.push(' ');
            }
        }
        let found = read_findings(&text);
        assert_eq!(found, read_findings(&text), "{text:?}");
        let others = found.iter().filter(|(it, _)| ![Observation::NoFinding, Observation::SupportDevices].contains(it));
        let none = others.map(|(_, status)| status).max() < Some(Status::Uncertain);
        let words = text.to_lowercase().contains(|it: char| it.is_alphanumeric());
        let wanted = if none && words { Status::Positive } else { Status::NotMentioned };
        assert_eq!(found.status(Observation::NoFinding), wanted, "{text:?}");
    }
}
