//! The tasks on the phantom corpus.

use crate::task_lines::Metric;

/// A task on the phantom corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhantomTask {
    QuestionAnswering,
    FindingFromImage,
    FindingFromText,
    Retrieval,
    ReportFromImage,
    ImpressionFromFindings,
}

impl PhantomTask {
    pub const ALL: [Self; 6] = [
        Self::QuestionAnswering,
        Self::FindingFromImage,
        Self::FindingFromText,
        Self::Retrieval,
        Self::ReportFromImage,
        Self::ImpressionFromFindings,
    ];

    /// The task with this name.
    pub fn of(name: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        Self::ALL.into_iter().find(|task| task.name() == name).ok_or_else(|| format!("no task `{name}`: {}", names()))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::QuestionAnswering => "question-answering",
            Self::FindingFromImage => "finding-from-image",
            Self::FindingFromText => "finding-from-text",
            Self::Retrieval => "retrieval",
            Self::ReportFromImage => "report-from-image",
            Self::ImpressionFromFindings => "impression-from-findings",
        }
    }

    pub fn recipe(self) -> &'static str {
        match self {
            Self::QuestionAnswering => "recipes/finetune/phantom-questions.toml",
            Self::FindingFromImage => "recipes/finetune/phantom-finding.toml",
            Self::FindingFromText => "recipes/finetune/phantom-finding-text.toml",
            Self::Retrieval => "recipes/finetune/phantom-retrieval.toml",
            Self::ReportFromImage => "recipes/finetune/phantom-report.toml",
            Self::ImpressionFromFindings => "recipes/finetune/phantom-summary.toml",
        }
    }

    /// Changes to the recipe: retrieval is scored on the texts that quickstart's model is scored on.
    pub fn sets(self) -> &'static [&'static str] {
        if self == Self::Retrieval { &["evaluate.text=\"last\""] } else { &[] }
    }

    /// Number of seeds: three for tasks with a head that starts from random weights.
    pub fn seeds(self) -> u64 {
        match self {
            Self::QuestionAnswering | Self::FindingFromImage | Self::FindingFromText => 3,
            Self::Retrieval | Self::ReportFromImage | Self::ImpressionFromFindings => 1,
        }
    }

    /// Whether the linear probe of the starting model is a baseline.
    pub fn has_probe(self) -> bool {
        matches!(self, Self::FindingFromImage | Self::FindingFromText)
    }

    /// The baselines among the other predictions: what is simple, and what comes without looking at the image.
    pub fn baselines(self) -> &'static [&'static str] {
        match self {
            Self::QuestionAnswering => &["baseline", "missing"],
            Self::FindingFromImage | Self::FindingFromText => &["baseline", "probe"],
            // The search of the model that fine-tuning started from, whose ranks are in another file.
            Self::Retrieval => &[],
            Self::ReportFromImage => &["baseline", "blank"],
            Self::ImpressionFromFindings => &["baseline"],
        }
    }

    pub fn metric(self) -> Metric {
        match self {
            Self::QuestionAnswering | Self::FindingFromImage | Self::FindingFromText => Metric::Accuracy,
            Self::Retrieval => Metric::MeanRecall,
            Self::ReportFromImage => Metric::Bleu4,
            Self::ImpressionFromFindings => Metric::RougeL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PhantomTask;

    #[test]
    fn each_task_has_a_name_and_a_recipe_of_its_own() {
        for task in PhantomTask::ALL {
            assert_eq!(PhantomTask::of(task.name()), Ok(task));
            assert!(!task.name().contains(' '));
            let recipe = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(task.recipe());
            assert!(recipe.exists(), "{}", recipe.display());
        }
        assert!(PhantomTask::of("x").is_err_and(|why| why.contains("question-answering")));
    }
}
