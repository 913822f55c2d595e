//! The tasks on real data.

use crate::task_lines::Metric;

/// A task on real data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealTask {
    /// Questions about images of VQA-RAD that no training question is about.
    VqaRadDisjoint,
    /// Normal, bacterial or viral: chest films of children.
    Kermany,
    /// Labels of chest films that at least 50 patients have.
    Nih,
    /// COVID-19 or not, by five folds of patients.
    Covid,
    /// The modality of a figure, which its caption names.
    RocoModality,
    /// Search of clinical notes by films and of films by notes, without fine-tuning.
    CovidNotes,
    /// The impression of a report, written from its findings.
    OpeniImpression,
    /// The body part of an image by sentences, without fine-tuning.
    VqaOrgan,
    /// The published split of VQA-RAD, in which questions of both parts are about the same images: for the comparison with the literature.
    VqaRad,
}

/// How a task is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Fine-tuning with this recipe.
    Finetune(&'static str),
    /// The pre-trained model as it is.
    ZeroShot,
}

/// What fine-tuning starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The model of `real-pairs`.
    Pretrained,
    /// As the model of `real-pairs`, but without the statements of VQA-RAD, whose images its published test asks about.
    WithoutVqaRad,
    /// The published encoders, with a network of the same shape whose other weights are random.
    Encoders,
    /// The same network with random weights in all parts (`--compare`).
    Random,
}

impl Start {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrained => "pretrained",
            Self::WithoutVqaRad => "without-vqa-rad",
            Self::Encoders => "encoders",
            Self::Random => "random",
        }
    }
}

impl RealTask {
    /// Tasks that are not among all, and are done only by name.
    const BY_NAME: [Self; 1] = [Self::VqaRad];
    pub const ALL: [Self; 8] = [
        Self::VqaRadDisjoint,
        Self::Kermany,
        Self::Nih,
        Self::Covid,
        Self::RocoModality,
        Self::CovidNotes,
        Self::OpeniImpression,
        Self::VqaOrgan,
    ];

    /// The task with this name.
    pub fn of(name: &str) -> Result<Self, String> {
        let all = || Self::ALL.into_iter().chain(Self::BY_NAME);
        let names = || all().map(Self::name).collect::<Vec<_>>().join(", ");
        all().find(|task| task.name() == name).ok_or_else(|| format!("no task `{name}`: {}", names()))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::VqaRadDisjoint => "vqa-rad-disjoint",
            Self::Kermany => "kermany",
            Self::Nih => "nih",
            Self::Covid => "covid",
            Self::RocoModality => "roco-modality",
            Self::CovidNotes => "covid-notes",
            Self::OpeniImpression => "openi-impression",
            Self::VqaOrgan => "vqa-organ",
            Self::VqaRad => "vqa-rad",
        }
    }

    pub fn protocol(self) -> Protocol {
        match self {
            Self::VqaRadDisjoint => Protocol::Finetune("recipes/finetune/real-questions.toml"),
            Self::VqaRad => Protocol::Finetune("recipes/finetune/real-vqa-rad.toml"),
            Self::Kermany => Protocol::Finetune("recipes/finetune/real-kermany.toml"),
            Self::Nih => Protocol::Finetune("recipes/finetune/real-nih.toml"),
            Self::Covid => Protocol::Finetune("recipes/finetune/real-covid.toml"),
            Self::RocoModality => Protocol::Finetune("recipes/finetune/real-modality.toml"),
            Self::OpeniImpression => Protocol::Finetune("recipes/finetune/real-impression.toml"),
            Self::CovidNotes | Self::VqaOrgan => Protocol::ZeroShot,
        }
    }

    /// What the score of the task starts from. The model of `real-pairs` has learned from notes of patients of every fold of `covid`.
    pub fn start(self) -> Start {
        match self {
            Self::Covid => Start::Encoders,
            Self::VqaRad => Start::WithoutVqaRad,
            _ => Start::Pretrained,
        }
    }

    /// Number of seeds of the start whose score counts. Other starts have one.
    pub fn seeds(self) -> u64 {
        match self {
            Self::OpeniImpression => 1,
            _ => 3,
        }
    }

    /// Number of folds; 1 for a task with a fixed split.
    pub fn folds(self) -> usize {
        if self == Self::Covid { 5 } else { 1 }
    }

    /// Whether images alone are read, so that a linear probe of the image encoder is a baseline.
    pub fn reads_images_alone(self) -> bool {
        matches!(self, Self::Kermany | Self::Nih | Self::Covid | Self::RocoModality)
    }

    pub fn metric(self) -> Metric {
        match self {
            Self::VqaRadDisjoint | Self::VqaRad | Self::Kermany | Self::RocoModality | Self::VqaOrgan => {
                Metric::Accuracy
            }
            Self::Nih | Self::Covid => Metric::Auroc,
            Self::CovidNotes => Metric::MeanRecall,
            Self::OpeniImpression => Metric::RougeL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_has_a_name_and_its_recipe_is_there() {
        for task in RealTask::ALL.into_iter().chain(RealTask::BY_NAME) {
            assert_eq!(RealTask::of(task.name()), Ok(task));
            if let Protocol::Finetune(recipe) = task.protocol() {
                let recipe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(recipe);
                assert!(recipe.exists(), "{}", recipe.display());
            }
        }
        assert!(RealTask::of("x").is_err_and(|why| why.contains("kermany")));
    }
}
