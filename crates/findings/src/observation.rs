//! The observations, and what a report says of each.

/// One of the 14 observations of CheXpert (Irvin et al., 2019, table 1), in the order of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Observation {
    /// No other observation is present or uncertain, devices aside.
    NoFinding,
    /// The mediastinum or the cardiomediastinal silhouette is wide.
    EnlargedCardiomediastinum,
    /// The heart is enlarged.
    Cardiomegaly,
    /// An opacity, an infiltrate, airspace disease or an interstitial pattern.
    LungOpacity,
    /// A nodule, a mass or another circumscribed lesion of the lung.
    LungLesion,
    /// Pulmonary edema or vascular congestion.
    Edema,
    /// A consolidation.
    Consolidation,
    /// Pneumonia or another infection of the lung.
    Pneumonia,
    /// Atelectasis, or the collapse of a lobe or a lung.
    Atelectasis,
    /// A pneumothorax.
    Pneumothorax,
    /// Fluid in the pleural space.
    PleuralEffusion,
    /// Thickening, plaques or scars of the pleura.
    PleuralOther,
    /// A fracture of a bone.
    Fracture,
    /// A line, tube, pacemaker or another device.
    SupportDevices,
}

impl Observation {
    /// All of them, in order.
    pub const ALL: [Observation; 14] = [
        Observation::NoFinding,
        Observation::EnlargedCardiomediastinum,
        Observation::Cardiomegaly,
        Observation::LungOpacity,
        Observation::LungLesion,
        Observation::Edema,
        Observation::Consolidation,
        Observation::Pneumonia,
        Observation::Atelectasis,
        Observation::Pneumothorax,
        Observation::PleuralEffusion,
        Observation::PleuralOther,
        Observation::Fracture,
        Observation::SupportDevices,
    ];

    /// The five observations of the CheXpert competition (Irvin et al., 2019, section 5).
    pub const COMPETITION: [Observation; 5] = [
        Observation::Atelectasis,
        Observation::Cardiomegaly,
        Observation::Consolidation,
        Observation::Edema,
        Observation::PleuralEffusion,
    ];

    /// The name in the files of CheXpert, such as `Pleural Effusion`.
    pub fn name(self) -> &'static str {
        match self {
            Observation::NoFinding => "No Finding",
            Observation::EnlargedCardiomediastinum => "Enlarged Cardiomediastinum",
            Observation::Cardiomegaly => "Cardiomegaly",
            Observation::LungOpacity => "Lung Opacity",
            Observation::LungLesion => "Lung Lesion",
            Observation::Edema => "Edema",
            Observation::Consolidation => "Consolidation",
            Observation::Pneumonia => "Pneumonia",
            Observation::Atelectasis => "Atelectasis",
            Observation::Pneumothorax => "Pneumothorax",
            Observation::PleuralEffusion => "Pleural Effusion",
            Observation::PleuralOther => "Pleural Other",
            Observation::Fracture => "Fracture",
            Observation::SupportDevices => "Support Devices",
        }
    }
}

/// What a report says of an observation. The order is that of precedence: of several mentions the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Status {
    /// It is not mentioned (blank in the files of CheXpert).
    #[default]
    NotMentioned,
    /// It is said to be absent (0).
    Negative,
    /// It is mentioned without a decision (-1).
    Uncertain,
    /// It is said to be present (1).
    Positive,
}

/// The status of each observation in one report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Findings {
    statuses: [Status; 14],
}

impl Findings {
    /// The status of an observation.
    pub fn status(&self, observation: Observation) -> Status {
        self.statuses[observation as usize]
    }

    /// Each observation with its status, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Observation, Status)> + '_ {
        Observation::ALL.into_iter().map(|observation| (observation, self.status(observation)))
    }

    /// Adds a mention: of several statuses of an observation the greatest counts.
    pub(crate) fn mention(&mut self, observation: Observation, status: Status) {
        let known = &mut self.statuses[observation as usize];
        *known = status.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_are_those_of_the_list() {
        for (place, observation) in Observation::ALL.into_iter().enumerate() {
            assert_eq!(observation as usize, place, "{}", observation.name());
        }
    }

    #[test]
    fn of_several_mentions_the_greatest_counts() {
        let mut found = Findings::default();
        assert_eq!(found.status(Observation::Edema), Status::NotMentioned);
        for (status, wanted) in [
            (Status::Negative, Status::Negative),
            (Status::Uncertain, Status::Uncertain),
            (Status::Negative, Status::Uncertain),
            (Status::Positive, Status::Positive),
            (Status::Uncertain, Status::Positive),
        ] {
            found.mention(Observation::Edema, status);
            assert_eq!(found.status(Observation::Edema), wanted);
        }
    }
}
