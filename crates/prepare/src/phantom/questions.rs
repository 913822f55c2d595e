//! Asks questions about a phantom picture. The answers follow from the causes of the picture.
//!
//! A model must not be able to guess the answers from the questions. So a question whose answer is `yes` or `no` is
//! asked so often about pictures of either kind that both answers are equally frequent, for every finding and every
//! device. The other questions are selected without regard to their answers.

use ptu_data::record::Question;
use ptu_random::Stream;

use super::causes::{
    Causes, Count, DEVICE_CHANCE, Device, Finding, NORMAL_WEIGHT, Organ, Side, Size, devices, findings, named,
};

named! {
    /// The category of a question.
    QuestionCategory {
        /// Which part of the body is shown?
        Organ = "organ",
        /// On which side is the finding or the device? Which hand is it?
        Side = "side",
        /// What is the main finding?
        Finding = "finding",
        /// How large is the finding?
        Size = "size",
        /// How many lesions are there?
        Count = "count",
        /// Which device is visible?
        Device = "device",
        /// Is this finding, or this device, visible? The answer is `yes` or `no`.
        Presence = "presence",
        /// Is there any finding? The answer is `yes` or `no`.
        Abnormality = "abnormality",
    }
}

impl QuestionCategory {
    /// Whether the answers are `yes` and `no`.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Presence | Self::Abnormality)
    }

    /// How often a question of this category is selected, relative to the other categories that a picture has an answer
    /// for. Every picture has an answer for the organ, few have one for size and count.
    fn weight(self) -> f64 {
        match self {
            Self::Organ => 0.4,
            Self::Size | Self::Count => 2.0,
            _ => 1.0,
        }
    }
}

/// Share of the questions about presence that are about a device; the others are about a finding.
const ABOUT_DEVICES: f64 = 0.35;

/// Share of the pictures without a device in which any device is asked for, among the questions about devices.
const ANY_DEVICE: f64 = 0.5;

/// Chance that a question about the kind of the device is possible if there is no device. With 1, `no device` would be
/// by far the most frequent answer.
const ABSENT_DEVICE: f64 = 0.4;

/// Chance that lesions are counted that are absent. With this value, 0 is about as frequent as 1, 2 and 3.
const COUNT_NONE: f64 = 0.12;

/// Three to five questions about a picture with these causes. The id of each is `record`, the id of the record, with a
/// number.
pub fn ask(causes: &Causes, record: &str, stream: &mut Stream) -> Vec<Question> {
    let mut asking = Asking { causes, stream };
    let mut all = vec![asking.presence()];
    all.extend(asking.abnormality());
    let mut open = asking.open();
    for _ in 0..2 + asking.stream.below(2) {
        let weights: Vec<f64> = open.iter().map(|asked| asked.category.weight()).collect();
        if let Some(chosen) = asking.stream.weighted(&weights) {
            all.push(open.remove(chosen));
        }
    }
    stream.shuffle(&mut all);
    let numbered = all.into_iter().zip(1..).map(|(Asked { category, question, answer }, number)| Question {
        id: format!("{record}-{number}"),
        question,
        answer: answer.into(),
        closed: category.is_closed(),
        category: category.name().into(),
    });
    numbered.collect()
}

/// A question with its answer in the normal form of answers.
struct Asked {
    category: QuestionCategory,
    question: String,
    answer: &'static str,
}

impl Asked {
    fn new(category: QuestionCategory, question: String, answer: &'static str) -> Self {
        Self { category, question, answer }
    }

    fn closed(category: QuestionCategory, question: String, answer: bool) -> Self {
        Self::new(category, question, if answer { "yes" } else { "no" })
    }
}

/// Asks about one picture.
struct Asking<'a> {
    causes: &'a Causes,
    stream: &'a mut Stream,
}

impl Asking<'_> {
    /// A random one of several expressions with the same meaning.
    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.stream.below(words.len())]
    }

    fn film(&mut self) -> &'static str {
        self.pick(&["radiograph", "image", "film"])
    }

    /// One question of each open category for which the picture has an answer.
    fn open(&mut self) -> Vec<Asked> {
        let mut open = vec![self.organ(), self.finding()];
        open.extend(self.device());
        open.extend(self.side());
        open.extend(self.size());
        open.extend(self.count());
        open
    }

    /// Whether one finding, or one device, is visible.
    fn presence(&mut self) -> Asked {
        let (thing, present) = match self.stream.chance(ABOUT_DEVICES) {
            true => self.device_to_ask_for(),
            false => self.finding_to_ask_for(),
        };
        let film = self.film();
        let question = match self.stream.below(4) {
            0 => format!("Is there {thing}?"),
            1 => format!("Is {thing} visible?"),
            2 => format!("Does the {film} show {thing}?"),
            _ => format!("Can {thing} be seen on the {film}?"),
        };
        Asked::closed(QuestionCategory::Presence, question, present)
    }

    /// A finding that this view can show, and whether the picture shows it.
    ///
    /// Of k findings that are equally frequent, and normal pictures with the weight w relative to one finding, each is
    /// present in 1 / (k + w) of the pictures. If it is asked for there with the chance c, and otherwise a random
    /// absent one, then `yes` and `no` are equally frequent for each finding where c = 1 - c + w / k.
    fn finding_to_ask_for(&mut self) -> (&'static str, bool) {
        let shown = self.causes.finding;
        let possible = self.abnormal();
        let present = (1.0 + NORMAL_WEIGHT / possible.len() as f64) / 2.0;
        if shown != Finding::Normal && self.stream.chance(present) {
            return (one_finding(shown), true);
        }
        let absent: Vec<Finding> = possible.into_iter().filter(|finding| *finding != shown).collect();
        (one_finding(absent[self.stream.below(absent.len())]), false)
    }

    /// A device that this part of the body can have, or any device, and whether the picture shows it.
    ///
    /// The chances follow from the same balance as those of [`Self::finding_to_ask_for`]. Any device is asked for less
    /// often if there is one, because there is one in more than half of the pictures.
    fn device_to_ask_for(&mut self) -> (&'static str, bool) {
        let (with, without) = (DEVICE_CHANCE, 1.0 - DEVICE_CHANCE);
        let shown = self.causes.device;
        let any = ANY_DEVICE * if shown.is_some() { without / with } else { 1.0 };
        if self.stream.chance(any) {
            let thing = self.pick(&["any device", "any device or hardware"]);
            return (thing, shown.is_some());
        }
        let present = (1.0 + without * (1.0 - ANY_DEVICE) / (with - without * ANY_DEVICE)) / 2.0;
        match shown.filter(|_| self.stream.chance(present)) {
            Some(device) => (one_device(device), true),
            None => {
                let possible = devices(self.causes.organ).iter().copied();
                let absent: Vec<Device> = possible.filter(|device| Some(*device) != shown).collect();
                (one_device(absent[self.stream.below(absent.len())]), false)
            }
        }
    }

    /// Whether there is a finding: asked about every normal picture, and about as many others of the same view.
    fn abnormality(&mut self) -> Option<Asked> {
        let normal = self.causes.finding == Finding::Normal;
        let chance = NORMAL_WEIGHT / self.abnormal().len() as f64;
        if !normal && !self.stream.chance(chance) {
            return None;
        }
        let film = self.film();
        let (question, answer) = match self.stream.below(4) {
            0 => ("Apart from devices, is anything abnormal?".into(), !normal),
            1 => (format!("Devices aside, does the {film} show an abnormality?"), !normal),
            2 => (format!("Apart from devices, is the {film} normal?"), normal),
            _ => (format!("Is this a normal {film}, devices aside?"), normal),
        };
        Some(Asked::closed(QuestionCategory::Abnormality, question, answer))
    }

    fn organ(&mut self) -> Asked {
        let film = self.film();
        let question = match self.stream.below(4) {
            0 => "Which part of the body is shown?".into(),
            1 => format!("What part of the body does the {film} show?"),
            2 => "Which region of the body was examined?".into(),
            _ => format!("Of which body part is this {film}?"),
        };
        Asked::new(QuestionCategory::Organ, question, self.causes.organ.name())
    }

    fn finding(&mut self) -> Asked {
        let film = self.film();
        let question = match self.stream.below(4) {
            0 => "What is the main finding?".into(),
            1 => format!("Which finding does the {film} show?"),
            2 => format!("What is the diagnosis on this {film}?"),
            _ => format!("What main finding can be seen on the {film}?"),
        };
        Asked::new(QuestionCategory::Finding, question, self.causes.finding.name())
    }

    fn device(&mut self) -> Option<Asked> {
        if self.causes.device.is_none() && !self.stream.chance(ABSENT_DEVICE) {
            return None;
        }
        let film = self.film();
        let question = match self.stream.below(4) {
            0 => "Which device, if any, is visible?".into(),
            1 => format!("What device does the {film} show, if any?"),
            2 => "What hardware is present, if any?".into(),
            _ => format!("Which hardware, if any, can be seen on the {film}?"),
        };
        Some(Asked::new(QuestionCategory::Device, question, self.causes.device.map_or("no device", Device::name)))
    }

    /// The side of the finding or of the device, or which hand it is.
    fn side(&mut self) -> Option<Asked> {
        let hand = self.causes.organ == Organ::Hand;
        let of_finding = self.causes.side.map(|side| (side, None));
        let of_device = self.causes.device_side.zip(self.causes.device).map(|(side, device)| (side, Some(device)));
        let possible: Vec<(Side, Option<Device>)> = of_finding.into_iter().chain(of_device).collect();
        let (side, device) = *self.stream.choose(&possible)?;
        let film = self.film();
        let question = match (self.stream.below(3), hand) {
            (0, true) => "Which hand is shown?".to_string(),
            (1, true) => format!("Which of the two hands does the {film} show?"),
            (_, true) => format!("Of which hand is this {film}?"),
            (form, false) => {
                let (thing, many) = match device {
                    Some(device) => (device.name().to_string(), false),
                    None => self.lesions(),
                };
                let (be, show) = if many { ("are", "do") } else { ("is", "does") };
                match form {
                    0 => format!("On which side {be} the {thing}?"),
                    1 => format!("On which side of the patient {show} the {thing} lie?"),
                    _ => format!("Which side of the body has the {thing}?"),
                }
            }
        };
        Some(Asked::new(QuestionCategory::Side, question, side.name()))
    }

    /// The size, in the words that a report has for the finding.
    fn size(&mut self) -> Option<Asked> {
        let size = self.causes.size?;
        let (thing, many) = self.lesions();
        let be = if many { "are" } else { "is" };
        let form = self.stream.below(3);
        let [small, moderate, large] = match self.causes.finding {
            Finding::Cardiomegaly => ["mild", "moderate", "severe"],
            Finding::Fracture => ["short", "moderate", "long"],
            _ => ["small", "moderate", "large"],
        };
        let question = match (self.causes.finding, form) {
            (Finding::Cardiomegaly, 0) => "What is the degree of the cardiomegaly?".into(),
            (Finding::Cardiomegaly, 1) => "How pronounced is the cardiomegaly?".into(),
            (Finding::Cardiomegaly, _) => "To what degree is the heart enlarged?".into(),
            (Finding::Fracture, 0) => "What is the length of the fracture?".into(),
            (Finding::Fracture, 1) => "How far does the fracture extend?".into(),
            (Finding::Fracture, _) => "What length does the fracture have?".into(),
            (_, 0) => format!("What is the size of the {thing}?"),
            (_, 1) => format!("How big {be} the {thing}?"),
            _ => format!("Of what size {be} the {thing}?"),
        };
        let answer = match size {
            Size::Small => small,
            Size::Moderate => moderate,
            Size::Large => large,
        };
        Some(Asked::new(QuestionCategory::Size, question, answer))
    }

    /// The number of the lesions that this part of the body can have several of; sometimes they are absent.
    fn count(&mut self) -> Option<Asked> {
        let counted = match self.causes.organ {
            Organ::Chest => Finding::Nodule,
            Organ::Hand => Finding::ForeignBody,
            Organ::Skull => Finding::LyticLesion,
        };
        let answer = match self.causes.count {
            Some(Count::One) => "1",
            Some(Count::Two) => "2",
            Some(Count::Three) => "3",
            None if self.stream.chance(COUNT_NONE) => "0",
            None => return None,
        };
        let (things, film) = (plural(counted), self.film());
        let question = match self.stream.below(4) {
            0 => format!("How many {things} are there?"),
            1 => format!("How many {things} does the {film} show?"),
            2 => format!("What is the number of {things}?"),
            _ => format!("How many {things} can be seen on the {film}?"),
        };
        Some(Asked::new(QuestionCategory::Count, question, answer))
    }

    /// The findings that this view can show, except that it is normal.
    fn abnormal(&self) -> Vec<Finding> {
        let possible = findings(self.causes.organ, self.causes.view).iter().copied();
        possible.filter(|finding| *finding != Finding::Normal).collect()
    }

    /// The main finding by its name, and whether there are several of it.
    fn lesions(&self) -> (String, bool) {
        let many = matches!(self.causes.count, Some(Count::Two | Count::Three));
        (if many { plural(self.causes.finding) } else { self.causes.finding.name().into() }, many)
    }
}

/// The finding with its article.
fn one_finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Normal => "a normal picture",
        Finding::Consolidation => "consolidation",
        Finding::Effusion => "an effusion",
        Finding::Pneumothorax => "a pneumothorax",
        Finding::Nodule => "a nodule",
        Finding::Cardiomegaly => "cardiomegaly",
        Finding::Fracture => "a fracture",
        Finding::LyticLesion => "a lytic lesion",
        Finding::ForeignBody => "a foreign body",
        Finding::SinusOpacity => "a sinus opacity",
    }
}

/// The device with its article.
fn one_device(device: Device) -> &'static str {
    match device {
        Device::Pacemaker => "a pacemaker",
        Device::ChestTube => "a chest tube",
        Device::CentralLine => "a central line",
        Device::Ring => "a ring",
        Device::Plate => "a plate",
        Device::Shunt => "a shunt",
    }
}

/// Several of the finding, by its name.
fn plural(finding: Finding) -> String {
    let name = finding.name();
    name.strip_suffix("body").map_or_else(|| format!("{name}s"), |stem| format!("{stem}bodies"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use ptu_input::text::normal_answer;
    use ptu_random::Key;

    use super::*;
    use crate::phantom::{Draw, View, causes_of, id, stream};

    /// The questions of the first records of a corpus.
    fn asked(records: u64) -> impl Iterator<Item = (Causes, Vec<Question>)> {
        let key = Key::new(21);
        (0..records).map(move |index| {
            let causes = causes_of(key, index);
            (causes, ask(&causes, &id(index), &mut stream(key, Draw::Questions, index)))
        })
    }

    fn each(records: u64) -> impl Iterator<Item = (Causes, Question)> {
        asked(records).flat_map(|(causes, all)| all.into_iter().map(move |question| (causes, question)))
    }

    /// Whether the words of `part` stand in the text in the same order.
    fn says(text: &str, part: &str) -> bool {
        let spaced = |text: &str| format!(" {} ", normal_answer(text));
        spaced(text).contains(&spaced(part))
    }

    /// The finding or device that a question names.
    fn thing(question: &str) -> &'static str {
        const PLURALS: [(&str, &str); 3] =
            [("nodules", "nodule"), ("lytic lesions", "lytic lesion"), ("foreign bodies", "foreign body")];
        let names = Finding::ALL.iter().map(|one| one.name()).chain(Device::ALL.iter().map(|one| one.name()));
        let words = names.chain(["device", "hardware"]).map(|name| (name, name)).chain(PLURALS);
        let heart = question.replace("the heart enlarged", "cardiomegaly");
        words.into_iter().find(|(word, _)| says(&heart, word)).map(|(_, name)| name).unwrap_or_default()
    }

    #[test]
    fn questions_are_few_and_well_formed() {
        let mut total = 0;
        for (index, (_, all)) in asked(2_000).enumerate() {
            assert!((3..=5).contains(&all.len()), "{all:?}");
            total += all.len();
            let categories: BTreeSet<&str> = all.iter().map(|question| question.category.as_str()).collect();
            assert_eq!(categories.len(), all.len(), "{all:?}");
            for (number, Question { id, question, answer, closed, category }) in (1..).zip(all) {
                assert_eq!(id, format!("phantom-{index:07}-{number}"));
                assert_eq!(normal_answer(&answer), answer, "{question}");
                assert_eq!(closed, ["yes", "no"].contains(&answer.as_str()), "{question} {answer}");
                assert!(QuestionCategory::ALL.iter().any(|one| (one.name(), one.is_closed()) == (&category, closed)));
                assert!(question.ends_with('?') && question.starts_with(char::is_uppercase), "{question}");
                assert!(!question.contains("  ") && question.split(' ').count() <= 14, "{question}");
            }
        }
        // 8,300 records give about 30,000 questions.
        assert!((7_000..7_600).contains(&total), "{total}");
    }

    #[test]
    fn answers_follow_from_the_labels() {
        for (causes, Question { question, answer, category, .. }) in each(4_000) {
            let labels: BTreeMap<&str, String> = causes.labels().into_iter().collect();
            let label = |name: &str| labels.get(name).map(String::as_str);
            let named = thing(&question);
            let shown = [label("finding"), label("device")].contains(&Some(named));
            let right = match category.as_str() {
                "organ" | "finding" => label(&category) == Some(&answer),
                "device" => label("device") == Some(if answer == "no device" { "none" } else { &answer }),
                "side" if says(&question, "hand") || says(&question, "hands") => {
                    (label("organ"), label("side")) == (Some("hand"), Some(&answer))
                }
                "side" if label("device") == Some(named) => label("device_side") == Some(&answer),
                "side" => (label("finding"), label("side")) == (Some(named), Some(&answer)),
                "size" => {
                    let words = [["small", "small"], ["mild", "small"], ["short", "small"], ["moderate", "moderate"]];
                    let large = [["large", "large"], ["severe", "large"], ["long", "large"]];
                    let size = words.iter().chain(&large).find(|[word, _]| *word == answer).map(|[_, size]| *size);
                    (label("finding"), label("size")) == (Some(named), size)
                }
                "count" if answer == "0" => !shown && label("count").is_none(),
                "count" => {
                    let number = ["one", "two", "three"][answer.parse::<usize>().unwrap() - 1];
                    shown && label("count") == Some(number)
                }
                "presence" if ["device", "hardware"].contains(&named) => {
                    (label("device") != Some("none")) == (answer == "yes")
                }
                "presence" => shown == (answer == "yes"),
                "abnormality" => {
                    let normal = label("finding") == Some("normal");
                    (says(&question, "normal") == normal) == (answer == "yes")
                }
                other => panic!("{other}"),
            };
            assert!(right, "{category}: {question} {answer}: {labels:?}");
        }
    }

    #[test]
    fn no_question_states_an_answer_of_its_category() {
        let open: Vec<(Causes, Question)> = each(3_000).filter(|(_, question)| !question.closed).collect();
        let mut answers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (_, question) in &open {
            answers.entry(&question.category).or_default().insert(&question.answer);
        }
        for (_, Question { question, category, .. }) in &open {
            let stated = answers[category.as_str()].iter().find(|answer| says(question, answer));
            assert_eq!(stated, None, "{category}: {question}");
        }
        let counts: Vec<(&str, usize)> = answers.iter().map(|(category, all)| (*category, all.len())).collect();
        let wanted = [("count", 4), ("device", 7), ("finding", 10), ("organ", 3), ("side", 4), ("size", 7)];
        assert_eq!(counts, wanted);
    }

    #[test]
    fn yes_and_no_are_equally_frequent_for_each_finding_and_device() {
        let mut counts: BTreeMap<(Organ, View, String), [f64; 2]> = BTreeMap::new();
        for (causes, question) in each(40_000).filter(|(_, question)| question.closed) {
            let what = match question.category.as_str() {
                "presence" => thing(&question.question).to_string(),
                _ => says(&question.question, "normal").to_string(),
            };
            counts.entry((causes.organ, causes.view, what)).or_default()[usize::from(question.answer == "yes")] += 1.0;
        }
        // Findings of six views, devices and any device, and the two forms of questions about abnormality.
        assert_eq!(counts.len(), (5 + 3 + 4 * 3) + 6 * 2 + 2 + 6 + 6 * 2, "{counts:?}");
        for (what, [no, yes]) in counts {
            let total = yes + no;
            // Four standard deviations of the share of `yes` among so many questions.
            assert!(total > 150.0 && (yes / total - 0.5).abs() < 2.0 / total.sqrt(), "{what:?}: {yes} of {total}");
        }
    }

    /// The most frequent answer to the same question in other records is seldom right, so the pictures are needed.
    #[test]
    fn answers_cannot_be_guessed_from_questions() {
        let all: Vec<Question> = each(4_000).map(|(_, question)| question).collect();
        let (known, asked) = all.split_at(all.len() / 2);
        let mut counts: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
        for question in known {
            *counts.entry(&question.question).or_default().entry(&question.answer).or_default() += 1;
        }
        let mut right: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for question in asked {
            let best = counts.get(question.question.as_str());
            let best = best.and_then(|counts| counts.iter().max_by_key(|(_, count)| **count));
            let hit = best.is_some_and(|(answer, _)| **answer == question.answer);
            let [hits, total] = right.entry(&question.category).or_default();
            (*hits, *total) = (*hits + f64::from(u8::from(hit)), *total + 1.0);
        }
        assert_eq!(right.len(), QuestionCategory::ALL.len());
        let sums = right.values().fold([0.0, 0.0], |sums, [hits, total]| [sums[0] + hits, sums[1] + total]);
        assert!(sums[0] / sums[1] < 0.5, "{right:?}");
        for (category, [hits, total]) in right {
            assert!(hits / total < 0.6, "{category}: {hits} of {total} guessed");
            // A model can learn from each category.
            assert!(total / sums[1] > 0.05, "{category}: {total} of {}", sums[1]);
        }
    }
}
