//! Computes the scores of a task from predictions.

use ptu_infer::task::{LabelState, Predicted, Target, TaskOutput};
use ptu_metrics::{
    Answer, BinaryScore, MacroAverage, Resampling, argmax, balanced_accuracy, bootstrap, bootstrap_difference,
    bootstrap_mean, bootstrap_mean_difference, f1_by_class, f1_by_label, macro_average, majority_share, mean,
};

use super::TaskMetric;
use super::texts::{TextCounts, text_values};
use crate::scores::Score;

/// The predictions of one model for the records of a split.
#[derive(Clone, Copy)]
pub struct TaskScorer<'a> {
    /// What the outputs mean.
    pub output: &'a TaskOutput,
    /// The predictions.
    pub predicted: &'a [Predicted],
}

/// A metric, ready to be computed on samples of the records.
enum Statistic<'a> {
    /// The mean of a value of each record; `None` for records that do not count.
    Mean(Vec<Option<f64>>),
    /// A score of generated texts, from what it counts for each record.
    Text { counts: TextCounts, metric: TaskMetric },
    /// The mean of a score over labels, or over classes against the rest.
    Labels(KnownLabels),
    /// A score of the classes or labels that the model chose.
    Chosen { scorer: &'a TaskScorer<'a>, metric: TaskMetric },
}

/// For each of some labels, or classes against the rest, the score of each record and whether it is positive; `None` where that is not known.
struct KnownLabels {
    score: BinaryScore,
    labels: Vec<Vec<Option<(f32, bool)>>>,
}

impl KnownLabels {
    /// The average over the labels on some records, which may repeat.
    fn average(&self, records: &[usize]) -> MacroAverage {
        let known = |label: &Vec<Option<_>>| records.iter().filter_map(|&record| label[record]).collect();
        macro_average(self.score, self.labels.iter().map(known))
    }
}

impl Statistic<'_> {
    /// The value on some records, which may repeat.
    fn of(&self, records: &[usize]) -> Option<f64> {
        match self {
            Self::Mean(values) => mean(records.iter().map(|&record| values[record])),
            Self::Text { counts, metric } => counts.value(*metric, records),
            Self::Labels(known) => known.average(records).mean,
            Self::Chosen { scorer, metric } => scorer.of_chosen(*metric, records),
        }
    }
}

impl TaskScorer<'_> {
    /// The value of a metric and its chance level, without an interval.
    pub fn value(&self, metric: TaskMetric) -> Score {
        Score::new(self.statistic(metric).of(&self.all()), None, self.chance(metric))
    }

    /// The value of a metric with its interval by patient.
    pub fn score(&self, metric: TaskMetric, resampling: &Resampling) -> Score {
        let (patients, statistic) = (self.patients(), self.statistic(metric));
        let interval = match &statistic {
            Statistic::Mean(values) => bootstrap_mean(values, &patients, resampling),
            other => bootstrap(&patients, |records| other.of(records), resampling),
        };
        Score::new(statistic.of(&self.all()), interval, self.chance(metric))
    }

    /// The paired difference to the predictions of `other` for the same records, with its interval by patient; `None` if the two
    /// are not about the same records.
    pub fn difference(&self, other: &Self, metric: TaskMetric, resampling: &Resampling) -> Option<Score> {
        let positions = |scorer: &Self| scorer.predicted.iter().map(|one| one.position).collect::<Vec<_>>();
        if positions(self) != positions(other) {
            return None;
        }
        let (patients, both) = (self.patients(), [self.statistic(metric), other.statistic(metric)]);
        let interval = match &both {
            [Statistic::Mean(own), Statistic::Mean(others)] => {
                bootstrap_mean_difference(own, others, &patients, resampling)
            }
            [own, others] => {
                bootstrap_difference(&patients, |records| own.of(records), |records| others.of(records), resampling)
            }
        };
        let [own, others] = both.map(|statistic| statistic.of(&self.all()));
        let value = own.zip(others).map(|(own, other)| own - other);
        Some(Score::new(value, interval, Some(0.0)))
    }

    /// All records.
    fn all(&self) -> Vec<usize> {
        (0..self.predicted.len()).collect()
    }

    /// Patient of each prediction.
    pub fn patients(&self) -> Vec<&str> {
        self.predicted.iter().map(|one| one.record.patient.as_str()).collect()
    }

    /// Whether the class or answer of a record is right; `None` for multi-label tasks.
    pub fn is_right(&self, record: usize) -> Option<bool> {
        let Predicted { target, logits, .. } = &self.predicted[record];
        match target {
            Target::Class(class) => Some(argmax(logits) == *class),
            Target::OtherClass => Some(false),
            Target::Answer(answer) => Some(*answer == Some(argmax(logits))),
            Target::Labels(_) | Target::Text(_) => None,
        }
    }

    /// Whether the question of a record is closed; false for records without a question.
    fn is_closed(&self, record: usize) -> bool {
        self.predicted[record].record.questions.first().is_some_and(|question| question.closed)
    }

    /// For a metric that is a mean of right and wrong answers, the value of each record; `None` for records that do not count.
    fn rights(&self, metric: TaskMetric) -> Option<Vec<Option<f64>>> {
        let counts: fn(&Self, usize) -> bool = match metric {
            TaskMetric::Accuracy => |_, _| true,
            TaskMetric::ClosedAccuracy => |scorer, record| scorer.is_closed(record),
            TaskMetric::OpenAccuracy => |scorer, record| !scorer.is_closed(record),
            _ => return None,
        };
        let value = |record| self.is_right(record).filter(|_| counts(self, record));
        Some((0..self.predicted.len()).map(|record| value(record).map(|right| f64::from(u8::from(right)))).collect())
    }

    /// A metric, ready to be computed on samples of the records.
    fn statistic(&self, metric: TaskMetric) -> Statistic<'_> {
        if let Some(values) = self.rights(metric).or_else(|| text_values(metric, self.predicted)) {
            return Statistic::Mean(values);
        }
        if let Some(known) = self.known_labels(metric) {
            return Statistic::Labels(known);
        }
        match TextCounts::of(metric, self.predicted) {
            Some(counts) => Statistic::Text { counts, metric },
            None => Statistic::Chosen { scorer: self, metric },
        }
    }

    /// For a mean over labels, or over classes against the rest, what is known of them.
    fn known_labels(&self, metric: TaskMetric) -> Option<KnownLabels> {
        let all = 0..self.output.names().len();
        let (score, labels) = match metric {
            TaskMetric::MeanAuroc => (BinaryScore::Auroc, all),
            TaskMetric::MeanAveragePrecision => (BinaryScore::AveragePrecision, all),
            TaskMetric::Auroc(label) => (BinaryScore::Auroc, label..label + 1),
            _ => return None,
        };
        let of_record = |one: &Predicted| -> Vec<Option<(f32, bool)>> {
            match &one.target {
                Target::Labels(states) => {
                    let known = |(logit, state): (&f32, &LabelState)| Some((*logit, state.truth()?));
                    one.logits.iter().zip(states).map(known).collect()
                }
                target => {
                    let right = self.class(target);
                    let known = |(class, score)| Some((score, right? == class));
                    log_probabilities(&one.logits).into_iter().enumerate().map(known).collect()
                }
            }
        };
        let records: Vec<_> = self.predicted.iter().map(of_record).collect();
        let of_label = |label: usize| records.iter().map(|known| known[label]).collect();
        Some(KnownLabels { score, labels: labels.map(of_label).collect() })
    }

    /// The value of a metric of chosen classes or labels on some records, which may repeat.
    fn of_chosen(&self, metric: TaskMetric, records: &[usize]) -> Option<f64> {
        match metric {
            TaskMetric::BalancedAccuracy => balanced_accuracy(self.classes(), &self.answers(records)),
            TaskMetric::MacroF1 => self.macro_f1(records),
            // All others are means over records or labels, or counted in texts.
            _ => None,
        }
    }

    /// The number of classes; records whose class the model does not know count as one more class.
    fn classes(&self) -> usize {
        let has_others = self.predicted.iter().any(|one| one.target == Target::OtherClass);
        self.output.names().len() + usize::from(has_others)
    }

    /// The predicted and the right class of some records.
    fn answers(&self, records: &[usize]) -> Vec<Answer<usize>> {
        let answer = |&record: &usize| {
            let Predicted { target, logits, .. } = &self.predicted[record];
            self.class(target).map(|right| Answer { given: argmax(logits), right })
        };
        records.iter().filter_map(answer).collect()
    }

    /// The number of the right class; all classes that the model does not know have the number behind its last class.
    fn class(&self, target: &Target) -> Option<usize> {
        match target {
            Target::Class(right) => Some(*right),
            Target::OtherClass => Some(self.output.names().len()),
            Target::Labels(_) | Target::Answer(_) | Target::Text(_) => None,
        }
    }

    /// Macro F1 of the classes, or of the labels. A logit above 0 is a probability above one half.
    fn macro_f1(&self, records: &[usize]) -> Option<f64> {
        let outputs = self.output.names().len();
        if let TaskOutput::Classification { .. } = self.output {
            return f1_by_class(self.classes(), &self.answers(records)).macro_mean;
        }
        let mut answers = vec![];
        for &record in records {
            if let Predicted { target: Target::Labels(states), logits, .. } = &self.predicted[record] {
                let answer = |(logit, state): (&f32, &LabelState)| {
                    state.truth().map(|right| Answer { given: *logit > 0.0, right })
                };
                answers.extend(logits.iter().zip(states).map(answer));
            }
        }
        f1_by_label(outputs, &answers).macro_mean
    }

    /// The chance level of a metric: of accuracies the share of the most frequent class or answer among the same records.
    fn chance(&self, metric: TaskMetric) -> Option<f64> {
        match metric {
            TaskMetric::MeanAuroc | TaskMetric::Auroc(_) => Some(0.5),
            TaskMetric::MeanAveragePrecision => {
                self.known_labels(metric).and_then(|known| known.average(&self.all()).chance)
            }
            // F1 of a guess depends on how often it says yes, so there is no single chance level.
            TaskMetric::MacroF1 => None,
            // What a text scores without looking is the baseline's score.
            TaskMetric::Bleu(_)
            | TaskMetric::BleuSum
            | TaskMetric::Rouge(_)
            | TaskMetric::RougeL
            | TaskMetric::RougeSum
            | TaskMetric::CaptionRougeL
            | TaskMetric::Meteor
            | TaskMetric::Cider
            | TaskMetric::FindingF1 => None,
            TaskMetric::BalancedAccuracy => {
                let mut classes: Vec<usize> = self.answers(&self.all()).iter().map(|answer| answer.right).collect();
                classes.sort_unstable();
                classes.dedup();
                (!classes.is_empty()).then(|| 1.0 / classes.len() as f64)
            }
            TaskMetric::Accuracy | TaskMetric::ClosedAccuracy | TaskMetric::OpenAccuracy => {
                let rights = self.rights(metric)?;
                let counted = (0..self.predicted.len()).filter(|record| rights[*record].is_some());
                // The answers outside of the set are different ones, and none of them can be given.
                let (mut truths, mut outside) = (vec![], 0usize);
                for record in counted {
                    match &self.predicted[record].target {
                        Target::Class(right) | Target::Answer(Some(right)) => {
                            truths.push(Answer { given: *right, right: *right });
                        }
                        Target::Answer(None) | Target::OtherClass => outside += 1,
                        Target::Labels(_) | Target::Text(_) => {}
                    }
                }
                let all = truths.len() + outside;
                majority_share(&truths).map(|share| share * truths.len() as f64 / all as f64)
            }
        }
    }

    /// For each label the number of records to which it applies and of those to which it does not; for classes and answers the
    /// number of records of each class, and of all others.
    pub fn counts(&self) -> Vec<[usize; 2]> {
        let mut counts = vec![[0; 2]; self.output.names().len()];
        for Predicted { target, .. } in self.predicted {
            for (label, count) in counts.iter_mut().enumerate() {
                let truth = match target {
                    Target::Class(right) | Target::Answer(Some(right)) => Some(*right == label),
                    Target::Answer(None) | Target::OtherClass => Some(false),
                    Target::Labels(states) => states.get(label).copied().and_then(LabelState::truth),
                    Target::Text(_) => None,
                };
                if let Some(truth) = truth {
                    count[usize::from(!truth)] += 1;
                }
            }
        }
        counts
    }
}

/// The logarithms of the softmax of logits. They order records as the probabilities do, also where these are equal in 32 bits.
fn log_probabilities(logits: &[f32]) -> Vec<f32> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - largest).exp()).sum();
    logits.iter().map(|logit| (f64::from(*logit) - largest - sum.ln()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use ptu_data::{Question, Record};
    use ptu_infer::task::BinaryLabel;
    use ptu_random::Key;

    use super::*;

    fn predicted(position: usize, target: Target, logits: &[f32]) -> Predicted {
        let record = Record { patient: position.to_string(), ..Record::default() };
        Predicted {
            position,
            record,
            target,
            logits: logits.to_vec(),
            text: None,
            image_hash: None,
            text_hash: None,
            cut: false,
        }
    }

    #[test]
    fn answers_outside_of_the_set_are_wrong() {
        let output = TaskOutput::Vqa { answers: vec!["no".into(), "yes".into()], collected_from: "train".into() };
        let mut rows = vec![
            predicted(0, Target::Answer(Some(1)), &[0.0, 1.0]),
            predicted(1, Target::Answer(Some(1)), &[1.0, 0.0]),
            predicted(2, Target::Answer(None), &[1.0, 0.0]),
            predicted(3, Target::Answer(Some(0)), &[1.0, 1.0]),
        ];
        for row in &mut rows {
            row.record.questions = vec![Question { closed: row.position != 2, ..Question::default() }];
        }
        let scorer = TaskScorer { output: &output, predicted: &rows };
        let value = |metric| scorer.value(metric);
        assert_eq!((value(TaskMetric::Accuracy).value, value(TaskMetric::Accuracy).chance), (Some(0.5), Some(0.5)));
        assert_eq!(value(TaskMetric::OpenAccuracy).value, Some(0.0));
        assert_eq!(value(TaskMetric::ClosedAccuracy).value, Some(2.0 / 3.0));
        assert_eq!(scorer.counts(), [[1, 3], [2, 2]]);
        let better = [1, 1, 1, 0].map(|right| if right == 1 { [0.0, 1.0] } else { [1.0, 0.0] });
        let better: Vec<Predicted> =
            rows.iter().zip(better).map(|(row, logits)| Predicted { logits: logits.to_vec(), ..row.clone() }).collect();
        let better = TaskScorer { output: &output, predicted: &better };
        let resampling = Resampling::new(Key::new(1));
        let difference = better.difference(&scorer, TaskMetric::Accuracy, &resampling).unwrap();
        assert_eq!(difference.value, Some(0.25));
        assert!(difference.low < Some(0.25) && difference.high > Some(0.25));
        let fewer = TaskScorer { output: &output, predicted: &rows[..3] };
        assert!(better.difference(&fewer, TaskMetric::Accuracy, &resampling).is_none());
    }

    #[test]
    fn classes_that_the_model_does_not_know_are_wrong() {
        let output = TaskOutput::Classification { label: "x".into(), classes: vec!["a".into(), "b".into()] };
        let rows = [
            predicted(0, Target::Class(0), &[2.0, 0.0]),
            predicted(1, Target::Class(1), &[0.0, 1.0]),
            predicted(2, Target::OtherClass, &[0.0, 3.0]),
            predicted(3, Target::Class(1), &[0.5, 0.0]),
        ];
        let scorer = TaskScorer { output: &output, predicted: &rows };
        let value = |metric| scorer.value(metric).value;
        // scikit-learn 1.9.1, y_true [a, b, c, b], y_pred [a, b, b, a]: accuracy_score 0.5, balanced_accuracy_score 0.5,
        // f1_score(average="macro") 0.388889; roc_auc_score of softmax(logits)[:, 0] against y_true == a: 1, [:, 1] against b: 0.5.
        assert_eq!((value(TaskMetric::Accuracy), value(TaskMetric::BalancedAccuracy)), (Some(0.5), Some(0.5)));
        assert!((value(TaskMetric::MacroF1).unwrap() - 7.0 / 18.0).abs() < 1e-12);
        assert_eq!((value(TaskMetric::Auroc(0)), value(TaskMetric::Auroc(1))), (Some(1.0), Some(0.5)));
        assert_eq!(value(TaskMetric::MeanAuroc), Some(0.75));
        assert_eq!(scorer.value(TaskMetric::Accuracy).chance, Some(0.5));
        assert_eq!(scorer.counts(), [[1, 3], [2, 2]]);
    }

    #[test]
    fn a_label_without_positives_is_left_out_of_the_mean() {
        let label = |name: &str| BinaryLabel { label: name.into(), value: None, uncertain: LabelState::Ignore };
        let output = TaskOutput::Multilabel { labels: vec![label("a"), label("b")], unmentioned: LabelState::Negative };
        use LabelState::{Ignore, Negative, Positive};
        let rows = [
            predicted(0, Target::Labels(vec![Positive, Negative]), &[3.0, 0.0]),
            predicted(1, Target::Labels(vec![Negative, Negative]), &[2.0, 0.0]),
            predicted(2, Target::Labels(vec![Positive, Ignore]), &[1.0, 0.0]),
        ];
        let scorer = TaskScorer { output: &output, predicted: &rows };
        assert_eq!(scorer.value(TaskMetric::Auroc(1)).value, None);
        assert_eq!(scorer.value(TaskMetric::Auroc(0)).value, Some(0.5));
        assert_eq!(scorer.value(TaskMetric::MeanAuroc).value, Some(0.5));
        assert_eq!(scorer.counts(), [[2, 1], [0, 2]]);
    }
}
