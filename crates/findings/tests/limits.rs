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
    for unit in
        ["no pneumothorax , effusion or the heart is possible ", "no pneumothorax or but ", "no pneumothorax a "]
    {
        let small = unit.repeat((1 << 17) / unit.len());
        let large = unit.repeat((1 << 20) / unit.len());
        let (small, large) = (time(&small), time(&large));
        // Eight times the text; quadratic time would be 64 times.
        assert!(large < small * 24 + Duration::from_millis(20), "{unit}: {small:?} for 128 KiB, {large:?} for 1 MiB");
    }
    let start = Instant::now();
    read_findings(&"a".repeat(1 << 20));
    read_findings(&"heart pleural blunting ".repeat(45_000));
    assert!(start.elapsed() < Duration::from_secs(20), "a megabyte takes a fraction of a second");
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
