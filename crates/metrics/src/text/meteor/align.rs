//! Pairs the words of two texts.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

/// Number of beginnings that the search keeps.
const BEAM: usize = 40;

/// How many equal words of the reference are looked at on each side of the expected place.
const NEAREST: usize = 32;

/// Steps of 64 bits that the search may spend on copying which words are taken; a longer text gets a narrower beam.
const BUDGET: usize = 1 << 28;

/// A word as numbers.
#[derive(Clone, Copy)]
pub(super) struct Word {
    /// The same for equal tokens.
    pub token: usize,
    /// The same for equal stems; equal tokens have equal stems.
    pub stem: usize,
    /// Whether it is a function word.
    pub function: bool,
}

/// Which words are paired.
pub(super) struct Alignment {
    /// Places in hypothesis and reference.
    pub pairs: Vec<(usize, usize)>,
    /// Number of runs of pairs that are next to each other on both sides.
    pub pieces: usize,
}

/// The pairs of a beginning, newest first.
struct Pair {
    places: (usize, usize),
    before: Option<Rc<Self>>,
}

/// A way to pair the first words of the hypothesis.
#[derive(Clone)]
struct Beginning {
    /// Number of pairs of equal words.
    exact: usize,
    pieces: usize,
    /// Number of pairs, equal words or equal stems.
    paired: usize,
    places_sum: usize,
    /// Place of the newest pair in the reference, if the last word of the hypothesis is paired.
    last: Option<usize>,
    pairs: Option<Rc<Pair>>,
    taken: Vec<u64>,
}

/// How a beginning would go on, before its list of taken words is copied.
struct Step {
    exact: usize,
    pieces: usize,
    paired: usize,
    places_sum: usize,
    origin: usize,
    place: Option<usize>,
}

impl Beginning {
    fn is_taken(&self, place: usize) -> bool {
        self.taken[place / 64] >> (place % 64) & 1 == 1
    }

    /// The step that pairs a word with a place, which has an equal word or not, or leaves the word unpaired.
    fn step(&self, origin: usize, pair: Option<(usize, bool)>) -> Step {
        let place = pair.map(|(place, _)| place);
        let new_piece = place.is_some_and(|place| self.last.is_none_or(|last| last + 1 != place));
        Step {
            exact: self.exact + usize::from(pair.is_some_and(|(_, exact)| exact)),
            pieces: self.pieces + usize::from(new_piece),
            paired: self.paired + usize::from(place.is_some()),
            places_sum: self.places_sum + place.unwrap_or(0),
            origin,
            place,
        }
    }

    /// The free places of the reference that may be paired with the word, in order.
    fn free(&self, places: &[usize], word: usize) -> Vec<usize> {
        let expected = self.last.map_or(word, |last| last + 1);
        let middle = places.partition_point(|place| *place < expected);
        let near = &places[middle.saturating_sub(NEAREST)..(middle + NEAREST).min(places.len())];
        near.iter().copied().filter(|place| !self.is_taken(*place)).collect()
    }

    fn taking(mut self, word: usize, step: &Step) -> Self {
        (self.exact, self.pieces, self.paired) = (step.exact, step.pieces, step.paired);
        (self.places_sum, self.last) = (step.places_sum, step.place);
        if let Some(place) = step.place {
            self.taken[place / 64] |= 1 << (place % 64);
            self.pairs = Some(Rc::new(Pair { places: (word, place), before: self.pairs.take() }));
        }
        self
    }
}

impl Drop for Pair {
    /// Drops a long chain without recursion, which would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.before.take();
        while let Some(mut pair) = next.and_then(Rc::into_inner) {
            next = pair.before.take();
        }
    }
}

/// The best pairs: the most equal words, then in the fewest pieces, then the most words, then the earliest of the
/// reference, as far as the beam finds them.
pub(super) fn align(hypothesis: &[Word], reference: &[Word]) -> Alignment {
    let mut places: HashMap<usize, Vec<usize>> = HashMap::new();
    reference.iter().enumerate().for_each(|(place, word)| places.entry(word.stem).or_default().push(place));
    let mut occurrences: HashMap<usize, usize> = HashMap::new();
    hypothesis.iter().for_each(|word| *occurrences.entry(word.stem).or_insert(0) += 1);
    let bits = reference.len().div_ceil(64);
    let beam = (BUDGET / (hypothesis.len() * bits).max(1)).clamp(1, BEAM);
    let taken = vec![0; bits];
    let mut beginnings =
        vec![Beginning { exact: 0, pieces: 0, paired: 0, places_sum: 0, last: None, pairs: None, taken }];
    for (word, kind) in hypothesis.iter().enumerate() {
        let equal = places.get(&kind.stem).map_or(&[][..], Vec::as_slice);
        if equal.is_empty() {
            beginnings.iter_mut().for_each(|beginning| beginning.last = None);
            continue;
        }
        let only = equal.len() == 1 && occurrences[&kind.stem] == 1;
        let mut steps = Vec::new();
        for (origin, beginning) in beginnings.iter().enumerate() {
            let free = beginning.free(equal, word);
            let pair = |place: usize| Some((place, reference[place].token == kind.token));
            steps.extend(free.into_iter().map(|place| beginning.step(origin, pair(place))));
            if !only {
                steps.push(beginning.step(origin, None));
            }
        }
        steps.sort_by_key(|step| (Reverse(step.exact), step.pieces, Reverse(step.paired), step.places_sum));
        steps.truncate(beam);
        beginnings = advanced(beginnings, word, &steps);
    }
    let Some(best) = beginnings.into_iter().next() else { return Alignment { pairs: Vec::new(), pieces: 0 } };
    let mut pairs = Vec::new();
    let mut next = best.pairs.as_ref();
    while let Some(pair) = next {
        pairs.push(pair.places);
        next = pair.before.as_ref();
    }
    pairs.reverse();
    Alignment { pairs, pieces: best.pieces }
}

/// The beginnings after the steps; the last step from each takes its list over instead of copying it.
fn advanced(beginnings: Vec<Beginning>, word: usize, steps: &[Step]) -> Vec<Beginning> {
    let mut uses = vec![0; beginnings.len()];
    steps.iter().for_each(|step| uses[step.origin] += 1);
    let mut origins: Vec<Option<Beginning>> = beginnings.into_iter().map(Some).collect();
    let advance = |step: &Step| {
        uses[step.origin] -= 1;
        let slot = &mut origins[step.origin];
        let origin = if uses[step.origin] == 0 { slot.take() } else { slot.clone() };
        origin.map(|origin| origin.taking(word, step))
    };
    steps.iter().filter_map(advance).collect()
}
