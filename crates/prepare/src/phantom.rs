//! A synthetic corpus of radiographs: pictures whose causes are known, with reports that describe the pictures and
//! questions about them.
//!
//! A record is a pure function of a [`Key`] and its index. So a corpus of any size needs no state, and any record can be generated
//! by itself. First, the causes ([`Causes`]) are sampled; then the picture, the report and the questions are generated from
//! them.
//!
//! ```
//! use ptu_prepare::phantom;
//! let phantom = phantom::generate(ptu_random::Key::new(42), 7, 64);
//! assert_eq!(phantom.picture.grey.len(), 64 * 64);
//! assert!(phantom.report.impression.ends_with('.'));
//! ```

mod canvas;
mod causes;
mod chest;
mod corpus;
mod hand;
mod questions;
mod report;
mod skull;

pub use causes::{Causes, Count, Device, Finding, Organ, Severity, Side, Size, View, Zone, findings};
pub use corpus::{PhantomOptions, prepare_phantom};
pub use questions::QuestionCategory;
pub use report::Report;

use ptu_data::record::Question;
use ptu_random::{Key, Place, Stream};

use canvas::{Canvas, Point, Pose, Shape};

/// A square grey picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Height and width in pixels.
    pub side: usize,
    /// `side * side` grey levels, row by row; 0 is black (air), 255 is white (metal).
    pub grey: Vec<u8>,
}

/// One record of the corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phantom {
    /// What the picture shows and the report states.
    pub causes: Causes,
    /// The radiograph.
    pub picture: Picture,
    /// The report.
    pub report: Report,
    /// Three to five questions about the picture, with their answers; each has a category of [`QuestionCategory`].
    pub questions: Vec<Question>,
}

/// The uses of randomness within one record. Each has a random stream of its own, so that a change of one does not change the
/// others.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Draw {
    Causes,
    Body,
    Pose,
    Lesion,
    Text,
    Film,
    Questions,
}

/// The random streams for drawing one picture.
struct Draws {
    /// Proportions and densities of the body, the same for all pictures of a patient.
    body: Stream,
    /// The exact position and the outline of a finding.
    lesion: Stream,
}

/// Grey levels by which a pixel has to differ to be clearly another one.
const CLEAR: u8 = 20;

/// The numbers of records of the three patients of a block of six records; their order is random.
const PATIENTS: [u64; 3] = [1, 2, 3];

/// Generates the record with an index; `side` is the height and width of the picture in pixels. The rank of `key` is not used.
pub fn generate(key: Key, index: u64, side: usize) -> Phantom {
    let causes = causes_of(key, index);
    let picture = draw(key, index, &causes, side);
    let report = report::write(&causes, &mut stream(key, Draw::Text, index));
    let questions = questions::ask(&causes, &id(index), &mut stream(key, Draw::Questions, index));
    Phantom { causes, picture, report, questions }
}

/// The id of the record with an index.
fn id(index: u64) -> String {
    format!("phantom-{index:07}")
}

/// The causes of the record with an index, without drawing the picture.
pub fn causes_of(key: Key, index: u64) -> Causes {
    Causes::draw(&mut stream(key, Draw::Causes, index))
}

/// Draws the picture of an index with the given causes. Body, pose and film depend only on the index, so the pictures of two calls
/// that differ only in `causes` differ only where the causes are visible.
pub fn draw(key: Key, index: u64, causes: &Causes, side: usize) -> Picture {
    let mut draws =
        Draws { body: stream(key, Draw::Body, patient(key, index)), lesion: stream(key, Draw::Lesion, index) };
    let mut hold = stream(key, Draw::Pose, index);
    let hand = causes.organ == Organ::Hand;
    let pose = Pose {
        angle: vary(&mut hold, -0.1, 0.1),
        scale: vary(&mut hold, 0.92, 1.03) * if hand { 0.93 } else { 1.0 },
        shift: [vary(&mut hold, -0.025, 0.025), vary(&mut hold, -0.02, 0.02) + if hand { 0.03 } else { 0.0 }],
        mirror: hand && causes.side == Some(Side::Left),
    };
    let mut canvas = Canvas::new(side, pose, 0.04);
    match causes.organ {
        Organ::Chest => chest::draw(&mut canvas, causes, &mut draws),
        Organ::Hand => hand::draw(&mut canvas, causes, &mut draws),
        Organ::Skull => skull::draw(&mut canvas, causes, &mut draws),
    }
    mark(&mut canvas, causes);
    Picture { side, grey: canvas.develop(&mut stream(key, Draw::Film, index)) }
}

/// Where the finding of the record with an index shows: for each pixel of its picture, row by row, whether it is clearly another one than
/// without the finding. `None` for a normal picture.
pub fn region(key: Key, index: u64, side: usize) -> Option<Vec<bool>> {
    let causes = causes_of(key, index);
    if causes.finding == Finding::Normal {
        return None;
    }
    let [with, without] = [causes, causes.healthy()].map(|causes| draw(key, index, &causes, side).grey);
    Some(with.iter().zip(&without).map(|(with, without)| with.abs_diff(*without) > CLEAR).collect())
}

/// The patient of a record. Consecutive records belong to the same patient: one to three for each patient, three patients for six
/// records.
pub fn patient(key: Key, index: u64) -> u64 {
    let (block, mut place) = (index / 6, index % 6);
    let mut sizes = PATIENTS;
    key.rank(0).stream(Place::Split, block).shuffle(&mut sizes);
    let mut patient = block * 3;
    for size in sizes {
        if place < size {
            break;
        }
        (place, patient) = (place - size, patient + 1);
    }
    patient
}

/// Draws the film marker: a letter for the side that is shown, if the view has a side.
fn mark(canvas: &mut Canvas, causes: &Causes) {
    let (letter, [x, y]) = match (causes.organ, causes.view, causes.side) {
        (Organ::Hand, _, Some(Side::Left)) => (Side::Left, [0.06, 0.84]),
        (Organ::Hand, ..) => (Side::Right, [0.86, 0.84]),
        (Organ::Skull, View::Frontal, _) => (Side::Left, [0.88, 0.04]),
        (_, View::Frontal, _) => (Side::Left, [0.91, 0.02]),
        _ => return,
    };
    canvas.set_pose(Pose::STRAIGHT);
    let strokes: &[&[Point]] = match letter {
        Side::Left => &[&[[0.0, 0.0], [0.0, 0.1], [0.06, 0.1]]],
        _ => &[
            &[[0.0, 0.1], [0.0, 0.0], [0.05, 0.0], [0.065, 0.025], [0.05, 0.05], [0.0, 0.05]],
            &[[0.03, 0.05], [0.065, 0.1]],
        ],
    };
    for stroke in strokes {
        let points = stroke.iter().map(|[dx, dy]| [x + dx, y + dy]).collect();
        canvas.set(&Shape::Line { points, radius: 0.009 }, 1.0, 0.006);
    }
}

/// The zones of the lesions, at most one lesion in each zone.
fn spots(causes: &Causes, stream: &mut Stream) -> Vec<Zone> {
    let mut zones = Zone::ALL.to_vec();
    match causes.count {
        Some(Count::Three) => {}
        Some(Count::Two) => drop(zones.remove(stream.below(3))),
        _ => zones = causes.zone.into_iter().collect(),
    }
    zones
}

fn stream(key: Key, draw: Draw, index: u64) -> Stream {
    key.rank(draw as u32).stream(Place::Phantom, index)
}

fn vary(stream: &mut Stream, low: f32, high: f32) -> f32 {
    stream.between(f64::from(low), f64::from(high)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 5;
    const SIDE: usize = 32;

    /// Where, and by how much, two pictures differ.
    struct Difference {
        /// The mean position, weighted by the difference, as a fraction of the side.
        centre: [f64; 2],
        /// The number of pixels that changed clearly.
        changed: usize,
        /// The number of these pixels that are darker in the first picture.
        darker: usize,
    }

    fn difference(a: &Picture, b: &Picture) -> Difference {
        let (mut sums, mut changed, mut darker) = ([0.0; 3], 0, 0);
        for (place, (a, b)) in a.grey.iter().zip(&b.grey).enumerate() {
            let weight = f64::from(a.abs_diff(*b));
            let parts = [(place % SIDE) as f64 * weight, (place / SIDE) as f64 * weight, weight];
            sums = std::array::from_fn(|index| sums[index] + parts[index]);
            changed += usize::from(weight > f64::from(CLEAR));
            darker += usize::from(weight > f64::from(CLEAR) && a < b);
        }
        let centre = [sums[0], sums[1]].map(|sum| (sum / sums[2] + 0.5) / SIDE as f64);
        Difference { centre, changed, darker }
    }

    /// The difference between the picture of an index and the same picture without its finding.
    fn twins(index: u64) -> (Causes, Difference) {
        let key = Key::new(KEY);
        let causes = causes_of(key, index);
        let pair = [causes, causes.healthy()].map(|causes| draw(key, index, &causes, SIDE));
        (causes, difference(&pair[0], &pair[1]))
    }

    #[test]
    fn a_record_is_a_pure_function_of_seed_and_index() {
        let generate = |seed, index| generate(Key::new(seed), index, SIDE);
        assert_eq!(generate(1, 7), generate(1, 7));
        assert_ne!(generate(1, 7).picture, generate(1, 8).picture);
        assert_ne!(generate(1, 7).picture, generate(2, 7).picture);
    }

    #[test]
    fn a_larger_picture_shows_the_same() {
        let [small, large] = [64, 128].map(|side| generate(Key::new(KEY), 3, side));
        assert_eq!((small.causes, &small.report), (large.causes, &large.report));
        let mean = |at: usize| {
            let (row, column) = (at / 64 * 2, at % 64 * 2);
            let four = [0, 1, 128, 129].map(|step| f64::from(large.picture.grey[row * 128 + column + step]));
            four.iter().sum::<f64>() / 4.0
        };
        let errors = small.picture.grey.iter().enumerate().map(|(at, level)| (f64::from(*level) - mean(at)).abs());
        let error = errors.sum::<f64>() / 4096.0;
        assert!(error < 12.0, "{error} grey levels apart");
    }

    #[test]
    fn patients_are_neighbours_of_one_to_three_records() {
        let patients: Vec<u64> = (0..600).map(|index| patient(Key::new(KEY), index)).collect();
        assert!(patients.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1));
        assert_eq!(patients[599], 299);
        let count = |patient| patients.iter().filter(|other| **other == patient).count();
        let counts: Vec<usize> = (0..300).map(count).collect();
        assert!([1, 2, 3].iter().all(|size| counts.iter().filter(|count| *count == size).count() == 100));
    }

    #[test]
    fn every_finding_shows_and_normal_pictures_are_their_own_twins() {
        for index in 0..4_000 {
            let (causes, Difference { changed, .. }) = twins(index);
            let normal = causes.finding == Finding::Normal;
            assert_eq!(changed == 0, normal, "{causes:?}: {changed} of 1,024 pixels differ");
            assert!(normal || changed >= 3, "{causes:?}: only {changed} of 1,024 pixels differ");
        }
    }

    #[test]
    fn the_region_of_a_finding_is_where_its_picture_differs() {
        let key = Key::new(KEY);
        for index in 0..50 {
            let (causes, Difference { changed, .. }) = twins(index);
            let region = region(key, index, SIDE);
            assert_eq!(region.is_none(), causes.finding == Finding::Normal);
            assert_eq!(region.map_or(0, |region| region.iter().filter(|pixel| **pixel).count()), changed);
        }
    }

    #[test]
    fn a_finding_lies_on_its_side() {
        let mut seen = 0;
        for index in 0..500 {
            let (causes, Difference { centre: [x, _], .. }) = twins(index);
            let right_half = match causes.side {
                Some(Side::Left | Side::Posterior) => true,
                Some(_) => false,
                None => continue,
            };
            if causes.organ != Organ::Hand && causes.finding != Finding::Normal {
                seen += 1;
                assert_eq!(x > 0.5, right_half, "{causes:?}: centre of the difference at {x}");
            }
        }
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn zones_follow_one_another_downwards() {
        let mut places: std::collections::BTreeMap<(Organ, Finding, Zone), Vec<f64>> = Default::default();
        for (causes, Difference { centre: [_, y], .. }) in (0..1_000).map(twins) {
            if let Some(zone) = causes.zone.filter(|_| causes.severity != Some(Severity::Severe)) {
                places.entry((causes.organ, causes.finding, zone)).or_default().push(y);
            }
        }
        let edge = |ys: &Vec<f64>, most: bool| ys.iter().copied().reduce(if most { f64::max } else { f64::min });
        let zones: Vec<_> = places.iter().collect();
        for pair in zones.windows(2).filter(|pair| (pair[0].0.0, pair[0].0.1) == (pair[1].0.0, pair[1].0.1)) {
            assert!(edge(pair[0].1, true) < edge(pair[1].1, false), "{:?} reaches into {:?}", pair[0].0, pair[1].0);
        }
        assert!(zones.len() >= 17, "{}", zones.len());
    }

    #[test]
    fn more_is_larger() {
        let mut areas: std::collections::BTreeMap<(Organ, View, Finding, Size), Vec<f64>> = Default::default();
        for (causes, difference) in (0..1_200).map(twins) {
            // A collapsed lung is denser everywhere; only the black air around it grows with the size.
            let air = causes.finding == Finding::Pneumothorax;
            let changed = if air { difference.darker } else { difference.changed } as f64;
            if let Some(size) = causes.size.filter(|_| causes.count.is_none_or(|count| count == Count::One)) {
                areas.entry((causes.organ, causes.view, causes.finding, size)).or_default().push(changed);
            }
        }
        let means: Vec<_> = areas.iter().map(|(at, all)| (*at, all.iter().sum::<f64>() / all.len() as f64)).collect();
        let same =
            |a: (Organ, View, Finding, Size), b: (Organ, View, Finding, Size)| (a.0, a.1, a.2) == (b.0, b.1, b.2);
        for pair in means.windows(2).filter(|pair| same(pair[0].0, pair[1].0)) {
            assert!(pair[1].1 > 1.25 * pair[0].1, "{:?} is not clearly larger than {:?}", pair[1], pair[0]);
        }
        assert!(means.len() >= 20, "{}", means.len());
    }

    #[test]
    fn every_device_shows_and_so_does_its_side() {
        let key = Key::new(KEY);
        for index in 0..1_000 {
            let causes = causes_of(key, index);
            let without = causes.device.map(|_| Causes { device: None, device_side: None, ..causes });
            let opposite = causes.device_side.map(|side| {
                let side = if side == Side::Left { Side::Right } else { Side::Left };
                Causes { device_side: Some(side), ..causes }
            });
            for other in without.into_iter().chain(opposite) {
                let pair = [causes, other].map(|causes| draw(key, index, &causes, SIDE));
                let changed = difference(&pair[0], &pair[1]).changed;
                assert!(changed >= 5, "{causes:?}: only {changed} of 1,024 pixels differ");
            }
        }
    }

    /// Even the simplest classifier, the nearest mean picture, finds the facts in pictures that were not used for the means.
    #[test]
    fn facts_can_be_told_from_pixels() {
        let name = |causes: &Causes| {
            let coarse = [causes.organ.name(), causes.view.name(), causes.finding.name()];
            (coarse.join(" "), causes.side.map_or("", Side::name))
        };
        let mut sums: std::collections::BTreeMap<(String, &str), (f64, Vec<f64>)> = Default::default();
        let shown = |index| {
            let causes = causes_of(Key::new(KEY), index);
            (causes, draw(Key::new(KEY), index, &causes, 16).grey)
        };
        for (causes, grey) in (0..2_500).map(shown) {
            let entry = sums.entry(name(&causes)).or_insert((0.0, vec![0.0; 256]));
            entry.0 += 1.0;
            entry.1.iter_mut().zip(grey).for_each(|(sum, level)| *sum += f64::from(level));
        }
        let far = |(count, sum): &(f64, Vec<f64>), grey: &[u8]| -> f64 {
            sum.iter().zip(grey).map(|(sum, level)| (sum / count - f64::from(*level)).powi(2)).sum()
        };
        let (mut right, mut organs) = (0, 0);
        for (causes, grey) in (2_500..3_000).map(shown) {
            let (nearest, _) = sums.iter().min_by(|a, b| far(a.1, &grey).total_cmp(&far(b.1, &grey))).unwrap();
            right += usize::from(*nearest == name(&causes));
            organs += usize::from(nearest.0.starts_with(causes.organ.name()));
        }
        // The chance levels are about 1 in 30 and 1 in 3.
        assert!(right > 125 && organs > 480, "{right} and {organs} of 500 right");
    }
}
