//! How well the rules agree with the headings (MeSH) that were given by hand to the reports of Open-i.
//!
//! `cargo run --release -p ptu-findings --example agreement -- reports.jsonl [development | held-out [OBSERVATION]]`
//!
//! `tools/reference/openi_reports.py` makes `reports.jsonl`. The rules were developed on the development half alone.
//! With an observation, the reports on which rules and headings differ are printed.
#![allow(clippy::print_stdout, reason = "an example prints what it measures")]

use std::io::BufRead;

use ptu_findings::{Counts, Observation, Status, read_findings};
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Report {
    id: String,
    findings: String,
    impression: String,
    headings: Vec<String>,
}

impl Report {
    /// Half of the reports, by a hash of the id: even is for development.
    fn is_development(&self) -> bool {
        let digest = Sha256::digest(format!("openi:42:{}", self.id));
        digest[7] % 2 == 0
    }

    /// Whether the headings name an observation; `None` where they leave it open.
    fn truth(&self, observation: Observation) -> Option<bool> {
        if observation == Observation::NoFinding {
            let others = Observation::ALL
                .into_iter()
                .filter(|it| ![Observation::NoFinding, Observation::SupportDevices].contains(it));
            let others: Vec<Option<bool>> = others.map(|it| self.truth(it)).collect();
            return match others.contains(&Some(true)) {
                true => Some(false),
                false => (!others.contains(&None)).then_some(true),
            };
        }
        let (mut named, mut open) = (false, false);
        for heading in self.headings.iter().map(|it| it.to_lowercase()).filter(|it| names(it, observation)) {
            match heading.split('/').any(|part| part == "borderline") {
                true => open = true,
                false => named = true,
            }
        }
        match (named, open) {
            (true, _) => Some(true),
            (false, true) => None,
            (false, false) => Some(false),
        }
    }
}

/// Whether a heading in lower case, with its qualifiers, names an observation.
fn names(heading: &str, observation: Observation) -> bool {
    let mut parts = heading.split('/').map(str::trim);
    let head = parts.next().unwrap_or_default();
    let qualifiers: Vec<&str> = parts.collect();
    let has = |qualifier: &str| qualifiers.contains(&qualifier);
    match observation {
        Observation::NoFinding => false,
        Observation::EnlargedCardiomediastinum => {
            head == "mediastinum" && ["prominent", "enlarged", "widened"].into_iter().any(has)
        }
        Observation::Cardiomegaly => {
            head == "cardiomegaly" || (["cardiac shadow", "heart"].contains(&head) && has("enlarged"))
        }
        Observation::LungOpacity => {
            ["airspace disease", "infiltrate", "lung diseases, interstitial", "pulmonary fibrosis"].contains(&head)
                || (["opacity", "density"].contains(&head) && has("lung"))
                || (head == "markings" && has("interstitial"))
        }
        Observation::LungLesion => {
            ["nodule", "cavitation"].contains(&head)
                || (head == "mass" && has("lung"))
                || (["opacity", "density"].contains(&head) && has("round"))
        }
        Observation::Edema => ["pulmonary edema", "pulmonary congestion", "heart failure"].contains(&head),
        Observation::Consolidation => head == "consolidation",
        Observation::Pneumonia => head.starts_with("pneumonia"),
        Observation::Atelectasis => head == "pulmonary atelectasis",
        Observation::Pneumothorax => ["pneumothorax", "hydropneumothorax"].contains(&head),
        Observation::PleuralEffusion => ["pleural effusion", "hydropneumothorax", "hemothorax"].contains(&head),
        Observation::PleuralOther => {
            (["thickening", "calcinosis", "cicatrix"].contains(&head) && has("pleura")) || head == "pleura"
        }
        Observation::Fracture => head == "fractures, bone",
        Observation::SupportDevices => {
            let devices =
                ["implanted medical device", "catheters, indwelling", "tube, inserted", "medical device", "stents"];
            devices.contains(&head)
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the path of `reports.jsonl`")?;
    let development = match arguments.next().as_deref() {
        None | Some("development") => true,
        Some("held-out") => false,
        Some(other) => return Err(format!("`{other}` is neither `development` nor `held-out`").into()),
    };
    let shown = arguments.next();
    let mut reports: Vec<Report> = vec![];
    for line in std::io::BufReader::new(std::fs::File::open(path)?).lines() {
        reports.push(serde_json::from_str(&line?)?);
    }
    reports.retain(|it| {
        let indexed = !it.headings.is_empty() && !it.headings.iter().any(|heading| heading == "No Indexing");
        it.is_development() == development && indexed && !(it.findings.is_empty() && it.impression.is_empty())
    });
    println!("{} reports with headings and a text", reports.len());
    println!(
        "| finding | headings | rules | both | precision | recall | F1 | F1, uncertain as positive |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for observation in Observation::ALL {
        compare(&reports, observation, shown.as_deref() == Some(observation.name()));
    }
    Ok(())
}

/// Prints a line of the table.
fn compare(reports: &[Report], observation: Observation, shown: bool) {
    let (mut counts, mut with_uncertain) = (Counts::default(), Counts::default());
    for report in reports {
        let Some(truth) = report.truth(observation) else { continue };
        let status = read_findings(&format!("{}\n\n{}", report.findings, report.impression)).status(observation);
        counts.add(status == Status::Positive, truth);
        with_uncertain.add(status >= Status::Uncertain, truth);
        if shown && (status == Status::Positive) != truth {
            println!("{status:?} {}: {} || {} ## {:?}", report.id, report.findings, report.impression, report.headings);
        }
    }
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
    println!(
        "| {} | {} | {} | {} | {} | {} | {} | {} |",
        observation.name(),
        counts.true_positive + counts.false_negative,
        counts.true_positive + counts.false_positive,
        counts.true_positive,
        number(counts.precision()),
        number(counts.recall()),
        number(counts.f1()),
        number(with_uncertain.f1()),
    );
}
