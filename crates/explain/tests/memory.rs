//! Scores and explanations of many inputs take no more memory than those of a few. A test program of its own: it looks at its whole memory.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

use ptu_explain::{Goal, Method};
use ptu_input::{Image, Input};
use ptu_random::{Key, Place};

mod small;

const SIDE: usize = 64;

/// Memory of this process without files, in MiB; `None` where the system does not tell.
fn resident() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? / 1024)
}

#[test]
fn memory_does_not_grow_with_the_number_of_inputs() {
    if resident().is_none() {
        println!("not checked: this system has no /proc/self/status");
        return;
    }
    let explainer = small::explainer(|config| config.image.size = SIDE, false);
    let mut stream = Key::new(1).stream(Place::Sample, 0);
    let mut image = || Input::Image(Image::new(SIDE, (0..3 * SIDE * SIDE).map(|_| stream.normal() as f32).collect()));
    let inputs: Vec<Input> = (0..16).map(|_| image()).collect();
    let goals = vec![Goal::Output(0); inputs.len()];
    let mut after_first = 0;
    for call in 0..24 {
        explainer.scores(&inputs, &goals).unwrap();
        explainer.explain(&inputs[..2], &goals[..2], Method::Attention).unwrap();
        explainer.explain(&inputs[..1], &goals[..1], Method::IntegratedGradients { steps: 4 }).unwrap();
        if call == 3 {
            after_first = resident().unwrap();
        }
    }
    let grown = resident().unwrap().saturating_sub(after_first);
    assert!(grown < 40, "{grown} MiB more after 24 calls than the {after_first} MiB after 4");
}
