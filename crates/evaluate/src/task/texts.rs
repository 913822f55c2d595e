//! Scores of generated texts, counted for each record, so that they can be resampled.

use std::ops::Add;

use ptu_findings::{FindingAgreement, Findings, Observation, read_findings};
use ptu_infer::task::{Predicted, Target};
use ptu_metrics::text::{
    BleuCounts, Compared, MeteorCounts, cider, meteor_counts, ptb_tokens, rouge_l, rouge_l_caption, rouge_n,
    rouge_tokens,
};

use super::TaskMetric;

/// What a metric of the whole corpus counts for each record; `None` for records without a text or a reference.
pub enum TextCounts {
    /// BLEU.
    Bleu(Vec<Option<BleuCounts>>),
    /// METEOR.
    Meteor(Vec<Option<MeteorCounts>>),
    /// Findings in the generated text and in the reference.
    Findings(Vec<Option<[Findings; 2]>>),
}

/// The generated text and its reference of each record.
fn texts(predicted: &[Predicted]) -> impl Iterator<Item = Option<[&str; 2]>> {
    predicted.iter().map(|one| match (&one.text, &one.target) {
        (Some(generated), Target::Text(reference)) => Some([generated.text.as_str(), reference.as_str()]),
        _ => None,
    })
}

/// The tokens of each generated text and of its reference.
struct Tokens {
    hypotheses: Vec<Vec<String>>,
    references: Vec<Vec<Vec<String>>>,
}

impl Tokens {
    /// A record without a text or a reference has no reference here, so that it has no score.
    fn of(predicted: &[Predicted], tokenize: impl Fn(&str) -> Vec<String>) -> Self {
        let (mut hypotheses, mut references) = (vec![], vec![]);
        for pair in texts(predicted) {
            hypotheses.push(pair.map_or(vec![], |[generated, _]| tokenize(generated)));
            references.push(pair.map_or(vec![], |[_, reference]| vec![tokenize(reference)]));
        }
        Self { hypotheses, references }
    }

    fn compared(&self) -> Vec<Compared<'_, String>> {
        let both = self.hypotheses.iter().zip(&self.references);
        both.map(|(hypothesis, references)| Compared { hypothesis, references }).collect()
    }
}

/// For a metric that is a mean over texts, the value of each record; `None` for other metrics.
pub fn text_values(metric: TaskMetric, predicted: &[Predicted]) -> Option<Vec<Option<f64>>> {
    let rouge = || Tokens::of(predicted, |text| rouge_tokens(text, true));
    let ptb = || Tokens::of(predicted, ptb_tokens);
    Some(match metric {
        TaskMetric::Rouge(words) => rouge_n(&rouge().compared(), words).texts,
        TaskMetric::RougeL => rouge_l(&rouge().compared()).texts,
        TaskMetric::RougeSum => {
            let tokens = rouge();
            let compared = tokens.compared();
            let [one, two, longest] = [rouge_n(&compared, 1), rouge_n(&compared, 2), rouge_l(&compared)];
            let each = one.texts.into_iter().zip(two.texts).zip(longest.texts);
            each.map(|((one, two), longest)| Some(one? + two? + longest?)).collect()
        }
        TaskMetric::CaptionRougeL => rouge_l_caption(&ptb().compared()).texts,
        TaskMetric::Cider => cider(&ptb().compared()).texts,
        _ => return None,
    })
}

impl TextCounts {
    /// The counts of a metric of the whole corpus; `None` for other metrics.
    pub fn of(metric: TaskMetric, predicted: &[Predicted]) -> Option<Self> {
        let ptb = || Tokens::of(predicted, ptb_tokens);
        Some(match metric {
            TaskMetric::Bleu(_) | TaskMetric::BleuSum => {
                Self::Bleu(ptb().compared().iter().map(BleuCounts::of).collect())
            }
            TaskMetric::Meteor => Self::Meteor(meteor_counts(&ptb().compared())),
            TaskMetric::FindingF1 => {
                Self::Findings(texts(predicted).map(|pair| pair.map(|pair| pair.map(read_findings))).collect())
            }
            _ => return None,
        })
    }

    /// The value of the metric on some records, which may repeat; `None` if it is undefined on them.
    pub fn value(&self, metric: TaskMetric, records: &[usize]) -> Option<f64> {
        match self {
            Self::Bleu(counts) => {
                let sum = records.iter().filter_map(|record| counts[*record]).reduce(BleuCounts::add)?;
                let scores = sum.scores();
                Some(if let TaskMetric::Bleu(words) = metric { scores[words - 1] } else { scores.iter().sum() })
            }
            Self::Meteor(counts) => {
                let sum = records.iter().filter_map(|record| counts[*record]).reduce(MeteorCounts::add)?;
                Some(sum.score())
            }
            Self::Findings(found) => {
                let mut agreement = FindingAgreement::default();
                for [generated, reference] in records.iter().filter_map(|record| found[*record].as_ref()) {
                    agreement.add(generated, reference);
                }
                agreement.micro_f1(&Observation::ALL)
            }
        }
    }
}
