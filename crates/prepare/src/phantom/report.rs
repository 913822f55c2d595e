//! Writes reports from causes. The wording varies, but a report never states anything that the picture does not show.

use ptu_random::Stream;

use super::causes::{Causes, Count, Device, Finding, Organ, Severity, Side, Size, View, Zone, findings};

/// The two parts of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Two to four sentences about the view, the finding, the device and something that is absent. Each can be understood by
    /// itself.
    pub findings: String,
    /// One or two sentences with every cause of [`Causes::key`].
    pub impression: String,
}

/// Writes a report; the same stream gives the same words.
pub fn write(causes: &Causes, stream: &mut Stream) -> Report {
    let mut prose = Prose { causes, stream };
    let findings = prose.findings();
    Report { findings, impression: prose.impression() }
}

/// Writes the text of one report.
struct Prose<'a> {
    causes: &'a Causes,
    stream: &'a mut Stream,
}

impl Prose<'_> {
    /// A random one of several expressions with the same meaning.
    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.stream.below(words.len())]
    }

    fn impression(&mut self) -> String {
        let (view, part, film, finding) = (self.view(), self.part(), self.film(), self.finding());
        let device = self.causes.device.map(|device| with_article(self.device(device)));
        let absent = self.pick(&["", "", ", no device", ", without hardware"]);
        let tail = |joint: &str| device.as_ref().map_or(absent.to_string(), |device| format!("{joint}{device}"));
        match self.stream.below(4) {
            0 => {
                let joint = self.pick(&[", with ", ", and "]);
                format!("{}: {finding}{}.", capital(&format!("{view} {part} {film}")), tail(joint))
            }
            1 => format!("{} on the {view} {part} {film}{}.", capital(&finding), tail(", with ")),
            2 => format!("{} of the {part}: {finding}{}.", capital(&format!("{view} {film}")), tail(" and ")),
            _ => {
                let first = format!("{} on the {view} {film} of the {part}.", capital(&finding));
                match device {
                    Some(device) => format!("{first} {} is present on the {view} {part} {film}.", capital(&device)),
                    None => first,
                }
            }
        }
    }

    fn findings(&mut self) -> String {
        let mut sentences = vec![self.finding_sentence()];
        sentences.extend(self.device_sentence());
        sentences.extend(self.absence());
        self.stream.shuffle(&mut sentences);
        let technique = self.technique();
        // Most reports begin with the technique; some end with it.
        let place = if self.stream.chance(0.8) { 0 } else { sentences.len() };
        sentences.insert(place, technique);
        sentences.join(" ")
    }

    /// A sentence about the view and the organ.
    fn technique(&mut self) -> String {
        let (view, part, film) = (self.view(), self.part(), self.film());
        match self.stream.below(3) {
            0 => capital(&format!("{view} {film} of the {part}.")),
            1 => format!("A single {view} {part} {film} was obtained."),
            _ => format!("The {part} is shown in {view} projection."),
        }
    }

    fn finding_sentence(&mut self) -> String {
        let (part, finding) = (self.part(), self.finding());
        let (view, film) = (self.view(), self.film());
        let many = self.causes.count.is_some_and(|count| count != Count::One) || finding == "normal findings";
        let (verb, finding) = (if many { "are" } else { "is" }, with_article(finding));
        match self.stream.below(3) {
            0 => format!("The {part} shows {finding}."),
            1 => format!("{} {verb} seen on the {view} {part} {film}.", capital(&finding)),
            _ => format!("On the {part} {film} there {verb} {finding}."),
        }
    }

    /// A sentence about the device, with its side if it is visible; `None` without a device.
    fn device_sentence(&mut self) -> Option<String> {
        let device = self.causes.device?;
        let (name, part) = (with_article(self.device(device)), self.part());
        let place = match (self.causes.organ, self.causes.device_side) {
            (_, Some(side)) => format!("on the {} side of the {part}", side.name()),
            (_, None) => format!("on the {part}"),
        };
        let verb = self.pick(&["is seen", "is present", "projects"]);
        Some(capital(&format!("{name} {verb} {place}.")))
    }

    /// A sentence about something that is absent: a finding, or the device if there is none.
    fn absence(&mut self) -> Option<String> {
        let Causes { organ, view, finding, device, .. } = *self.causes;
        if device.is_none() && self.stream.chance(0.5) {
            let part = self.part();
            let thing = self.pick(&["device", "hardware", "device or hardware"]);
            return Some(format!("No {thing} is seen on the {part}."));
        }
        let others: Vec<Finding> = findings(organ, view)
            .iter()
            .copied()
            .filter(|other| *other != Finding::Normal && *other != finding)
            .collect();
        let other = *self.stream.choose(&others)?;
        let (name, part) = (self.kind(other), self.part());
        let (opening, verb) = (self.pick(&["No ", "There is no "]), self.pick(&["", " visible"]));
        Some(format!("{opening}{name}{verb} on the {part} {}.", self.film()))
    }

    /// The name of the view.
    fn view(&mut self) -> &'static str {
        match (self.causes.view, self.causes.organ) {
            (View::Lateral, _) => "lateral",
            // The word "frontal" could mean the view or the frontal sinus.
            (View::Frontal, Organ::Skull) => "AP",
            (View::Frontal, _) => self.pick(&["frontal", "PA"]),
        }
    }

    /// The organ; for a hand, with its side.
    fn part(&mut self) -> &'static str {
        match (self.causes.organ, self.causes.side) {
            (Organ::Chest, _) => "chest",
            (Organ::Hand, Some(Side::Left)) => "left hand",
            (Organ::Hand, _) => "right hand",
            (Organ::Skull, _) => "skull",
        }
    }

    fn film(&mut self) -> &'static str {
        self.pick(&["radiograph", "film", "view"])
    }

    fn device(&mut self, device: Device) -> String {
        self.pick(match device {
            Device::Pacemaker => &["pacemaker", "cardiac pacemaker"],
            Device::ChestTube => &["chest tube", "chest drain"],
            Device::CentralLine => &["central line", "central venous catheter"],
            Device::Ring => &["ring", "finger ring"],
            Device::Plate => &["plate with screws", "screwed plate"],
            Device::Shunt => &["shunt tube", "shunt catheter"],
        })
        .to_string()
    }

    /// The kind of the finding, in the singular.
    fn kind(&mut self, finding: Finding) -> &'static str {
        self.pick(match finding {
            Finding::Normal => &["abnormality"],
            Finding::Consolidation => &["consolidation", "pneumonia"],
            Finding::Effusion => &["pleural effusion"],
            Finding::Pneumothorax => &["pneumothorax"],
            Finding::Nodule => &["nodule"],
            Finding::Cardiomegaly => &["cardiomegaly", "enlargement of the heart"],
            Finding::Fracture => &["fracture"],
            Finding::LyticLesion => &["lytic lesion"],
            Finding::ForeignBody => &["metallic foreign body"],
            Finding::SinusOpacity => &["sinus opacification"],
        })
    }

    /// The finding with all facts except organ, view and device; without an article.
    fn finding(&mut self) -> String {
        let (organ, finding) = (self.causes.organ, self.causes.finding);
        let side = self.causes.side.filter(|_| organ != Organ::Hand).map_or("", Side::name);
        let (kind, degree) = (self.kind(finding), self.degree());
        let (zone, swap) = (self.zone(), self.stream.chance(0.5));
        match (organ, finding) {
            (_, Finding::Normal) => self.pick(&["no abnormality", "normal findings", "normal appearance"]).to_string(),
            (_, Finding::Consolidation) if swap => format!("{degree} {kind} in the {side} {zone} lung"),
            (_, Finding::Consolidation) => format!("{degree} {side} {zone} lung {kind}"),
            (_, Finding::Nodule) => {
                let place = spaced(&["in the", side, zone, "lung"]);
                format!("{} {place}", self.counted(kind))
            }
            (_, Finding::Effusion | Finding::Pneumothorax) => spaced(&[degree, side, kind]),
            (_, Finding::Cardiomegaly) => format!("{degree} {kind}"),
            (Organ::Hand, Finding::ForeignBody) => format!("{} in the {zone}", self.counted(kind)),
            (Organ::Hand, _) if swap => format!("{degree} {zone} {kind}"),
            (Organ::Hand, _) => format!("{degree} {kind} of the {zone}"),
            (_, Finding::SinusOpacity) if swap => spaced(&[degree, side, zone, kind]),
            (_, Finding::SinusOpacity) => format!("{degree} opacification of the {}", spaced(&[side, zone, "sinus"])),
            (_, Finding::LyticLesion) => {
                let vault = self.pick(&["vault", "calvaria"]);
                format!("{} of the {side} {vault}", self.counted(kind))
            }
            (_, _) if swap => spaced(&[degree, side, zone, kind]),
            (_, _) => format!("{} of the {}", spaced(&[degree, kind]), spaced(&[side, zone])),
        }
    }

    /// The number, size and name of the lesions.
    fn counted(&mut self, kind: &'static str) -> String {
        let degree = self.degree();
        match self.causes.count {
            Some(Count::Two) => spaced(&["two", degree, &plural(kind)]),
            Some(Count::Three) => spaced(&["three", degree, &plural(kind)]),
            _ => spaced(&[self.pick(&["single", "solitary"]), degree, kind]),
        }
    }

    /// The size or severity, in words that fit the finding.
    fn degree(&mut self) -> &'static str {
        use Size::{Large, Moderate, Small};
        let Causes { organ, finding, size, severity, .. } = *self.causes;
        let words: &[&'static str] = match (finding, size, severity) {
            (Finding::Cardiomegaly, Some(Small), _) => &["mild", "slight"],
            (Finding::Cardiomegaly, Some(Large), _) => &["severe", "marked"],
            (Finding::Fracture, Some(Small), _) if organ == Organ::Skull => &["short"],
            (Finding::Fracture, Some(Large), _) if organ == Organ::Skull => &["long"],
            (_, Some(Small), _) => &["small", "tiny"],
            (_, Some(Moderate), _) => &["moderate"],
            (_, Some(Large), _) => &["large", "big"],
            (Finding::Consolidation, _, Some(Severity::Mild)) => &["hazy", "faint"],
            (Finding::Consolidation, _, Some(Severity::Severe)) => &["dense"],
            (Finding::Fracture, _, Some(Severity::Mild)) => &["nondisplaced"],
            (Finding::Fracture, _, Some(Severity::Severe)) => &["displaced"],
            (_, _, Some(Severity::Mild)) => &["partial", "incomplete"],
            (_, _, Some(Severity::Severe)) => &["complete", "total"],
            _ => &[""],
        };
        self.pick(words)
    }

    /// The zone, in words that fit the organ.
    fn zone(&mut self) -> &'static str {
        let Causes { organ, finding, zone, .. } = *self.causes;
        let words: &[&'static str] = match (organ, finding, zone) {
            (_, _, None) => &[""],
            (Organ::Chest, _, Some(Zone::Upper)) => &["upper"],
            (Organ::Chest, _, Some(Zone::Middle)) => &["middle", "mid"],
            (Organ::Chest, _, Some(Zone::Lower)) => &["lower"],
            (Organ::Hand, _, Some(Zone::Upper)) => &["finger"],
            (Organ::Hand, Finding::ForeignBody, Some(Zone::Middle)) => &["palm"],
            (Organ::Hand, _, Some(Zone::Middle)) => &["metacarpal"],
            (Organ::Hand, _, Some(Zone::Lower)) => &["wrist"],
            (Organ::Skull, Finding::SinusOpacity, Some(Zone::Upper)) => &["frontal"],
            (Organ::Skull, Finding::SinusOpacity, Some(_)) => &["maxillary"],
            (Organ::Skull, _, Some(Zone::Upper)) => &["vault", "calvaria"],
            (Organ::Skull, _, Some(_)) => &["jaw", "mandible"],
        };
        self.pick(words)
    }
}

/// Joins words with single spaces; empty words are skipped.
fn spaced(words: &[&str]) -> String {
    words.iter().copied().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn plural(kind: &str) -> String {
    kind.strip_suffix("body").map_or_else(|| format!("{kind}s"), |stem| format!("{stem}bodies"))
}

/// Adds `a` or `an` if the phrase is countable and singular.
fn with_article(phrase: String) -> String {
    const MANY: [&str; 4] = ["no ", "normal ", "two ", "three "];
    const UNCOUNTED: [&str; 5] = ["consolidation", "pneumonia", "cardiomegaly", "enlargement", "opacification"];
    if MANY.iter().any(|word| phrase.starts_with(word)) || UNCOUNTED.iter().any(|word| phrase.contains(word)) {
        return phrase;
    }
    let article = if phrase.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {phrase}")
}

/// The phrase with a capital first letter.
fn capital(phrase: &str) -> String {
    let mut letters = phrase.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phantom::causes_of;
    use ptu_random::{Key, Place};

    /// Words and the values that they mean. This list does not use the lists above, so that an error in them is found.
    const WORDS: [(&str, &str, &[&str]); 36] = [
        ("finding", "normal", &["normal", "abnormality"]),
        ("finding", "consolidation", &["consolidation", "pneumonia"]),
        ("finding", "effusion", &["effusion"]),
        ("finding", "pneumothorax", &["pneumothorax"]),
        ("finding", "nodule", &["nodule", "nodules"]),
        ("finding", "cardiomegaly", &["cardiomegaly", "heart"]),
        ("finding", "fracture", &["fracture"]),
        ("finding", "lytic lesion", &["lytic"]),
        ("finding", "foreign body", &["foreign"]),
        ("finding", "sinus opacity", &["opacification"]),
        ("side", "left", &["left"]),
        ("side", "right", &["right"]),
        ("side", "anterior", &["anterior"]),
        ("side", "posterior", &["posterior"]),
        ("zone", "upper", &["upper", "finger", "sinus-frontal", "fracture-vault"]),
        ("zone", "middle", &["middle", "mid", "metacarpal", "palm"]),
        ("zone", "lower", &["lower", "wrist", "maxillary", "jaw", "mandible"]),
        ("size", "small", &["small", "tiny", "mild", "slight", "short"]),
        ("size", "moderate", &["moderate"]),
        ("size", "large", &["large", "big", "severe", "marked", "long"]),
        ("severity", "mild", &["hazy", "faint", "nondisplaced", "partial", "incomplete"]),
        ("severity", "severe", &["dense", "displaced", "complete", "total"]),
        ("count", "one", &["single", "solitary"]),
        ("count", "two", &["two"]),
        ("count", "three", &["three"]),
        ("device", "pacemaker", &["pacemaker"]),
        ("device", "chest tube", &["drain", "chest-tube"]),
        ("device", "central line", &["central"]),
        ("device", "ring", &["ring"]),
        ("device", "plate", &["plate"]),
        ("device", "shunt", &["shunt"]),
        ("organ", "chest", &["chest"]),
        ("organ", "hand", &["hand"]),
        ("organ", "skull", &["skull"]),
        ("view", "frontal", &["frontal", "pa", "ap"]),
        ("view", "lateral", &["lateral"]),
    ];

    /// The facts (name, value) that a text states.
    fn facts(text: &str) -> Vec<(&'static str, &'static str)> {
        let mut text = text.to_lowercase().replace(['.', ',', ':'], "");
        for (phrase, word) in [
            ("finger ring", "ring"),
            ("chest drain", "drain"),
            ("chest tube", "chest-tube"),
            ("frontal sinus", "sinus-frontal"),
            ("no device", ""),
            ("a single", "a"),
        ] {
            // "A single frontal film" is about the film, "a single nodule" about the finding.
            if phrase != "a single" || text.ends_with("was obtained") {
                text = text.replace(phrase, word);
            }
        }
        if text.contains("fracture") {
            text = text.replace("vault", "fracture-vault").replace("calvaria", "fracture-vault");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let said = |list: &[&str]| list.iter().any(|word| words.contains(word));
        WORDS.iter().filter(|entry| said(entry.2)).map(|entry| (entry.0, entry.1)).collect()
    }

    fn written(index: u64) -> (Causes, Report) {
        let causes = causes_of(Key::new(11), index);
        (causes, write(&causes, &mut Key::new(11).stream(Place::Phantom, index)))
    }

    #[test]
    fn the_impression_states_every_cause_and_no_other() {
        for index in 0..4_000 {
            let (causes, report) = written(index);
            let mut stated = facts(&report.impression);
            if causes.device.is_none() {
                stated.push(("device", "none"));
            }
            let labels = causes.labels();
            let mut expected: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
            expected.retain(|(name, _)| !["cause", "device_side"].contains(name));
            stated.sort_unstable();
            expected.sort_unstable();
            assert_eq!(stated, expected, "{}", report.impression);
        }
    }

    #[test]
    fn every_sentence_of_the_findings_is_true_and_names_the_organ() {
        for index in 0..4_000 {
            let (causes, report) = written(index);
            let labels = causes.labels();
            let sides: Vec<&str> =
                labels.iter().filter(|(name, _)| name.ends_with("side")).map(|l| l.1.as_str()).collect();
            let sentences: Vec<&str> = report.findings.split_inclusive(". ").map(str::trim).collect();
            assert!((2..=4).contains(&sentences.len()), "{}", report.findings);
            for sentence in sentences {
                let absent = (sentence.starts_with("No ") || sentence.contains("There is no "))
                    && !sentence.contains("abnormality");
                for (name, value) in facts(sentence) {
                    let holds = labels.iter().any(|label| (label.0, label.1.as_str()) == (name, value));
                    let holds = if name == "side" { sides.contains(&value) } else { holds };
                    let denied = absent && ["finding", "device"].contains(&name);
                    assert_ne!(holds, denied, "{name}={value}: {sentence}");
                }
                assert!(sentence.contains(causes.organ.name()) && sentence.ends_with('.'), "{sentence}");
            }
        }
    }

    #[test]
    fn wording_varies_and_is_well_formed() {
        let causes = causes_of(Key::new(11), 0);
        let texts: std::collections::HashSet<String> =
            (0..200).map(|index| write(&causes, &mut Key::new(1).stream(Place::Phantom, index)).impression).collect();
        assert!(texts.len() > 20, "{} wordings of one cause", texts.len());
        for index in 0..2_000 {
            let (_, Report { findings, impression }) = written(index);
            for text in [findings, impression] {
                assert!(!text.contains("  ") && !text.contains(" .") && !text.contains(" ,"), "{text}");
                assert!(
                    !["nodules is", "lesions is", "bodies is", "findings is"].iter().any(|slip| text.contains(slip))
                );
                assert!(!text.contains(" a a"), "{text}");
                assert!(text.split_whitespace().count() <= 60, "{text}");
            }
        }
    }
}
