//! Findings in the text of a chest radiograph's report: for each of the 14 observations of CheXpert (Irvin et al.,
//! 2019) whether the report says that it is present, absent or uncertain, or does not mention it.
//!
//! The rules are tables of phrases with a negation and an uncertainty scope, after the published descriptions of NegEx
//! (Chapman et al., 2001), NegBio (Peng et al., 2018) and the labeler of CheXpert. They were written for this project
//! and give labels that are similar to those of the published programs, not equal to them. `docs/findings.md`
//! describes them and says how well they agree with headings given by hand.
//!
//! ```
//! use ptu_findings::{FindingAgreement, Observation, Status, read_findings};
//!
//! let found = read_findings("The heart is mildly enlarged. No effusion or pneumothorax. Possible pneumonia.");
//! assert_eq!(found.status(Observation::Cardiomegaly), Status::Positive);
//! assert_eq!(found.status(Observation::PleuralEffusion), Status::Negative);
//! assert_eq!(found.status(Observation::Pneumonia), Status::Uncertain);
//! assert_eq!(found.status(Observation::Fracture), Status::NotMentioned);
//!
//! let mut agreement = FindingAgreement::default();
//! agreement.add(&read_findings("Cardiomegaly. Small effusion."), &found);
//! assert_eq!(agreement.micro_f1(&Observation::ALL), Some(2.0 / 3.0));
//! ```

mod agreement;
mod anatomy;
mod context;
mod observation;
mod phrase;
mod read;
mod rules;
mod text;

pub use agreement::{Counts, FindingAgreement, MacroF1};
pub use observation::{Findings, Observation, Status};
pub use read::read_findings;
