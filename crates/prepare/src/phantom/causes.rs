//! What a phantom picture shows: the possible causes, and how a combination of causes is sampled.
//!
//! Only what is visible in a picture is a cause. A lateral view has no left and right; several lesions are not in a single zone.
//! The fields that do not apply are `None`.

use ptu_random::Stream;

/// Declares an enum whose values have a canonical name, which is used in keys and labels.
macro_rules! named {
    ($(#[$about:meta])* $set:ident { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $set { $($(#[$doc])* $value,)+ }

        impl $set {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The canonical name, as in keys and labels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)+ }
            }
        }
    };
}

pub(super) use named;

/// How often a normal picture is sampled, relative to each finding. Normal pictures differ in only few facts, so they
/// are sampled less often.
pub(super) const NORMAL_WEIGHT: f64 = 0.6;

/// The chance that there is a device.
pub(super) const DEVICE_CHANCE: f64 = 0.6;

named! {
    /// The part of the body.
    Organ {
        /// Thorax.
        Chest = "chest",
        /// Hand and wrist.
        Hand = "hand",
        /// Head.
        Skull = "skull",
    }
}

named! {
    /// The direction of the beam.
    View {
        /// From back to front or front to back.
        Frontal = "frontal",
        /// From the side; the patient faces the left of the picture.
        Lateral = "lateral",
    }
}

named! {
    /// The horizontal position of a finding. As in radiology, left is the patient's left, which is the right of the picture.
    Side {
        /// The patient's left; for a hand, the left hand.
        Left = "left",
        /// The patient's right; for a hand, the right hand.
        Right = "right",
        /// Front half of a lateral view.
        Anterior = "anterior",
        /// Back half of a lateral view.
        Posterior = "posterior",
    }
}

named! {
    /// The vertical position of a finding; reports use different words for it in each organ.
    Zone {
        /// Upper lung, fingers, skull vault, frontal sinus.
        Upper = "upper",
        /// Middle of the lung, palm.
        Middle = "middle",
        /// Lower lung, wrist, jaw, maxillary sinus.
        Lower = "lower",
    }
}

named! {
    /// The main finding.
    Finding {
        /// Nothing abnormal.
        Normal = "normal",
        /// White patch in a zone of a lung.
        Consolidation = "consolidation",
        /// White fluid from the base of a lung upwards.
        Effusion = "effusion",
        /// Black air around a collapsed lung.
        Pneumothorax = "pneumothorax",
        /// Round white spots in a lung.
        Nodule = "nodule",
        /// Wide heart.
        Cardiomegaly = "cardiomegaly",
        /// Broken bone: a dark line or gap.
        Fracture = "fracture",
        /// Round dark holes in bone.
        LyticLesion = "lytic lesion",
        /// Brilliant white pellets.
        ForeignBody = "foreign body",
        /// White instead of black sinus.
        SinusOpacity = "sinus opacity",
    }
}

named! {
    /// Extent of a finding.
    Size {
        /// Small, mild, short.
        Small = "small",
        /// Moderate.
        Moderate = "moderate",
        /// Large, severe, long.
        Large = "large",
    }
}

named! {
    /// Degree of a finding: hazy or dense, in line or displaced, partial or complete.
    Severity {
        /// The lesser degree.
        Mild = "mild",
        /// The greater degree.
        Severe = "severe",
    }
}

named! {
    /// Number of lesions.
    Count {
        /// One.
        One = "one",
        /// Two.
        Two = "two",
        /// Three.
        Three = "three",
    }
}

named! {
    /// An artificial object in or on the body.
    Device {
        /// Box on the upper chest with a lead to the heart.
        Pacemaker = "pacemaker",
        /// Thick tube from the flank to the top of a lung.
        ChestTube = "chest tube",
        /// Thin line from the neck to the heart.
        CentralLine = "central line",
        /// Band around the ring finger.
        Ring = "ring",
        /// Bar with screws on a bone.
        Plate = "plate",
        /// Tube from the skull vault down the neck.
        Shunt = "shunt",
    }
}

/// Everything that a picture shows, and everything that its report may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Causes {
    /// The part of the body.
    pub organ: Organ,
    /// The direction of the beam.
    pub view: View,
    /// The main finding.
    pub finding: Finding,
    /// Side of the finding; for a hand, which hand it is.
    pub side: Option<Side>,
    /// Zone of the finding.
    pub zone: Option<Zone>,
    /// Extent of the finding.
    pub size: Option<Size>,
    /// Degree of the finding.
    pub severity: Option<Severity>,
    /// Number of lesions.
    pub count: Option<Count>,
    /// The device, if there is one.
    pub device: Option<Device>,
    /// Side of the device, if the view shows it and the device has one. Only the findings of the report state it, not the
    /// impression.
    pub device_side: Option<Side>,
}

impl Causes {
    /// Samples causes that fit together; all values of a cause are about equally frequent.
    pub fn draw(stream: &mut Stream) -> Self {
        let organ = [Organ::Chest, Organ::Hand, Organ::Skull][stream.weighted(&[0.4, 0.3, 0.3]).unwrap_or(0)];
        let view = one(stream, View::ALL);
        let possible = findings(organ, view);
        let weight = |kind: &Finding| if *kind == Finding::Normal { NORMAL_WEIGHT } else { 1.0 };
        let weights: Vec<f64> = possible.iter().map(weight).collect();
        let finding = possible[stream.weighted(&weights).unwrap_or(0)];
        let mut causes = Self {
            organ,
            view,
            finding,
            side: None,
            zone: None,
            size: None,
            severity: None,
            count: None,
            device: None,
            device_side: None,
        };
        causes.draw_places(stream);
        causes.draw_degrees(stream);
        causes.draw_device(stream);
        causes
    }

    /// The causes of the same picture without its finding.
    pub fn healthy(self) -> Self {
        let side = self.side.filter(|_| self.organ == Organ::Hand);
        Self { finding: Finding::Normal, side, zone: None, size: None, severity: None, count: None, ..self }
    }

    /// Canonical text of all causes that the impression states. In retrieval, pictures with the same key are correct results for
    /// each other.
    pub fn key(&self) -> String {
        let stated = self.named().into_iter().filter(|(name, _)| *name != "device_side");
        stated.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Each cause that applies, as (name, value); the last one is the key, named `cause`.
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let mut labels: Vec<_> = self.named().into_iter().map(|(name, value)| (name, value.to_string())).collect();
        labels.push(("cause", self.key()));
        labels
    }

    /// The causes that apply, in a fixed order; without a device, `device` is `none`.
    fn named(&self) -> Vec<(&'static str, &'static str)> {
        let device = self.device.map_or("none", Device::name);
        let always = [("organ", self.organ.name()), ("view", self.view.name()), ("finding", self.finding.name())];
        let sometimes = [
            ("side", self.side.map(Side::name)),
            ("zone", self.zone.map(Zone::name)),
            ("size", self.size.map(Size::name)),
            ("severity", self.severity.map(Severity::name)),
            ("count", self.count.map(Count::name)),
            ("device", Some(device)),
            ("device_side", self.device_side.map(Side::name)),
        ];
        always.into_iter().chain(sometimes.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
    }

    /// Samples count, zone and side, if the view shows them.
    fn draw_places(&mut self, stream: &mut Stream) {
        use Finding::*;
        let (organ, view) = (self.organ, self.view);
        self.count = match (organ, self.finding) {
            (_, Nodule | ForeignBody) | (Organ::Skull, LyticLesion) => Some(one(stream, Count::ALL)),
            _ => None,
        };
        self.zone = match (organ, self.finding) {
            (Organ::Chest, Consolidation) | (Organ::Hand, Fracture | LyticLesion | ForeignBody) => {
                Some(one(stream, Zone::ALL))
            }
            (Organ::Chest, Nodule) if self.count == Some(Count::One) => Some(one(stream, Zone::ALL)),
            (Organ::Skull, Fracture | SinusOpacity) => Some(one(stream, &[Zone::Upper, Zone::Lower])),
            _ => None,
        };
        let across = match view {
            View::Frontal => &[Side::Left, Side::Right],
            View::Lateral => &[Side::Anterior, Side::Posterior],
        };
        self.side = match (organ, view, self.finding) {
            (Organ::Hand, ..) => Some(one(stream, &[Side::Left, Side::Right])),
            (_, _, Normal | Cardiomegaly) | (_, View::Lateral, Effusion | SinusOpacity) => None,
            (Organ::Skull, View::Lateral, Fracture) if self.zone == Some(Zone::Lower) => None,
            _ => Some(one(stream, across)),
        };
    }

    /// Samples size and severity.
    fn draw_degrees(&mut self, stream: &mut Stream) {
        use Finding::*;
        self.size = match (self.organ, self.finding) {
            (_, Effusion | Pneumothorax | Nodule | Cardiomegaly | LyticLesion) => Some(one(stream, Size::ALL)),
            (Organ::Skull, Fracture) if self.zone == Some(Zone::Upper) => {
                Some(one(stream, &[Size::Small, Size::Large]))
            }
            _ => None,
        };
        self.severity = match (self.organ, self.finding) {
            (Organ::Hand, Fracture) | (_, Consolidation | SinusOpacity) => Some(one(stream, Severity::ALL)),
            _ => None,
        };
    }

    /// Samples the device and its side.
    fn draw_device(&mut self, stream: &mut Stream) {
        self.device = stream.chance(DEVICE_CHANCE).then(|| one(stream, devices(self.organ)));
        let shown = self.view == View::Frontal && self.organ != Organ::Hand && self.device.is_some();
        self.device_side = shown.then(|| one(stream, &[Side::Left, Side::Right]));
    }
}

/// The findings that a view of an organ can show.
pub fn findings(organ: Organ, view: View) -> &'static [Finding] {
    use Finding::*;
    match (organ, view) {
        (Organ::Chest, View::Frontal) => &[Normal, Consolidation, Effusion, Pneumothorax, Nodule, Cardiomegaly],
        (Organ::Chest, View::Lateral) => &[Normal, Consolidation, Effusion, Nodule],
        (Organ::Hand, _) => &[Normal, Fracture, LyticLesion, ForeignBody],
        (Organ::Skull, _) => &[Normal, Fracture, LyticLesion, SinusOpacity],
    }
}

/// The devices that a part of the body can have; they are equally frequent.
pub(super) fn devices(organ: Organ) -> &'static [Device] {
    match organ {
        Organ::Chest => &[Device::Pacemaker, Device::ChestTube, Device::CentralLine],
        Organ::Hand => &[Device::Ring, Device::Plate],
        Organ::Skull => &[Device::Plate, Device::Shunt],
    }
}

/// A random item of a list, which must not be empty.
fn one<T: Copy>(stream: &mut Stream, items: &[T]) -> T {
    items[stream.below(items.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ptu_random::{Key, Place};
    use std::collections::HashMap;

    fn draws(count: u64) -> impl Iterator<Item = Causes> {
        (0..count).map(|index| Causes::draw(&mut Key::new(3).stream(Place::Phantom, index)))
    }

    #[test]
    fn few_of_two_hundred_share_a_key() {
        let mut counts: HashMap<String, usize> = HashMap::new();
        draws(20_000).for_each(|causes| *counts.entry(causes.key()).or_default() += 1);
        let pairs: usize = counts.values().map(|count| count * (count - 1)).sum();
        let others = pairs as f64 / (20_000.0 * 19_999.0) * 199.0;
        assert!(others < 1.0, "{others} other records of 200 share a record's key");
        assert!(counts.len() > 400, "{} keys", counts.len());
    }

    #[test]
    fn every_value_is_common_enough_to_learn() {
        let mut counts: HashMap<(&str, String), usize> = HashMap::new();
        for label in draws(10_000).flat_map(|causes| causes.labels()).filter(|label| label.0 != "cause") {
            *counts.entry(label).or_default() += 1;
        }
        let rarest = counts.iter().min_by_key(|(_, count)| **count).unwrap();
        assert!(*rarest.1 > 250, "{rarest:?} of 10,000");
        for finding in Finding::ALL {
            assert!(counts.contains_key(&("finding", finding.name().to_string())), "{finding:?} never drawn");
        }
    }

    #[test]
    fn keys_state_what_applies_and_nothing_else() {
        for causes in draws(2_000) {
            let key = causes.key();
            assert_eq!(key.contains("zone="), causes.zone.is_some());
            assert_eq!(key.contains("; side="), causes.side.is_some());
            assert!(!key.contains("device_side") && key.contains("device="));
            assert!(findings(causes.organ, causes.view).contains(&causes.finding));
            let depth = matches!(causes.side, Some(Side::Anterior | Side::Posterior));
            assert!(!depth || causes.view == View::Lateral);
            assert_eq!(causes.healthy().healthy(), causes.healthy());
        }
    }
}
