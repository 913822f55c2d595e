//! Invented sentences with the statuses that a reader would give them, one group for each class of rules.

use ptu_findings::{Observation, Status, read_findings};

const COLUMNS: &[(&str, Observation)] = &[
    ("mediastinum", Observation::EnlargedCardiomediastinum),
    ("heart", Observation::Cardiomegaly),
    ("opacity", Observation::LungOpacity),
    ("lesion", Observation::LungLesion),
    ("edema", Observation::Edema),
    ("consolidation", Observation::Consolidation),
    ("pneumonia", Observation::Pneumonia),
    ("atelectasis", Observation::Atelectasis),
    ("pneumothorax", Observation::Pneumothorax),
    ("effusion", Observation::PleuralEffusion),
    ("pleura", Observation::PleuralOther),
    ("fracture", Observation::Fracture),
    ("device", Observation::SupportDevices),
];

/// What is found in a text, in the order of CheXpert: `+` positive, `-` negative, `?` uncertain.
fn found(text: &str) -> String {
    let findings = read_findings(text);
    let mut marks = vec![];
    for (name, observation) in COLUMNS {
        let mark = match findings.status(*observation) {
            Status::Positive => "+",
            Status::Negative => "-",
            Status::Uncertain => "?",
            Status::NotMentioned => continue,
        };
        marks.push(format!("{mark}{name}"));
    }
    marks.join(" ")
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, wanted)| found(text) != *wanted)
        .map(|(text, wanted)| format!("{text}\n    found `{}`, not `{wanted}`", found(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn mentions_of_each_observation() {
    check(&[
        ("Widening of the superior mediastinum.", "+mediastinum"),
        ("Stable cardiomegaly.", "+heart"),
        ("Patchy opacities in both lower lobes.", "+opacity"),
        ("Left perihilar air-space disease.", "+opacity"),
        ("Prominent interstitial markings.", "+opacity"),
        ("A 6 mm nodule in the left upper lobe.", "+lesion"),
        ("Nodular opacity at the right apex.", "+opacity +lesion"),
        ("Moderate interstitial oedema.", "+edema"),
        ("Cephalization of the vessels and Kerley B lines.", "+edema"),
        ("Dense consolidation of the lingula.", "+consolidation"),
        ("Right lower lobe bronchopneumonia.", "+pneumonia"),
        ("Bibasilar subsegmental atelectasis.", "+atelectasis"),
        ("Collapse of the right middle lobe.", "+atelectasis"),
        ("Tiny left apical pneumothorax.", "+pneumothorax"),
        ("Left hydropneumothorax.", "+pneumothorax +effusion"),
        ("Layering fluid on the right.", "+effusion"),
        ("Calcified pleural plaques.", "+pleura"),
        ("Healing fracture of the seventh rib.", "+fracture"),
        ("Dual-lead pacemaker and a right PICC.", "+device"),
        ("Endotracheal tube 4 cm above the carina.", "+device"),
    ]);
}

#[test]
fn negations_before_a_mention() {
    check(&[
        ("No pneumothorax.", "-pneumothorax"),
        ("There is no evidence of edema.", "-edema"),
        ("No effusion, pneumothorax or consolidation.", "-consolidation -pneumothorax -effusion"),
        (
            "No focal consolidation, pleural effusion, or pneumothorax is seen.",
            "-consolidation -pneumothorax -effusion",
        ),
        ("Without focal opacity.", "-opacity"),
        ("Lungs are free of infiltrates.", "-opacity"),
        ("The bases are clear of effusion.", "-effusion"),
        ("Negative for acute fracture.", "-fracture"),
        ("Absence of nodules.", "-lesion"),
        ("No opacity to suggest pneumonia.", "-opacity -pneumonia"),
        ("Neither edema nor effusion.", "-edema -effusion"),
        ("There isn't a pneumothorax.", "-pneumothorax"),
        ("Interval resolution of the right effusion.", "-effusion"),
        ("Interval removal of the chest tube.", "-device"),
        ("The patient denies infection.", "-pneumonia"),
        ("No acute osseous abnormality.", "-fracture"),
        ("Osseous abnormality of the shoulder.", ""),
    ]);
}

#[test]
fn negations_behind_a_mention() {
    check(&[
        ("The pneumothorax has resolved.", "-pneumothorax"),
        ("Pneumothorax: none.", "-pneumothorax"),
        ("Pleural effusion is not seen.", "-effusion"),
        ("Effusion and pneumothorax are not identified.", "-pneumothorax -effusion"),
        ("The edema is no longer present.", "-edema"),
        ("The left chest tube has been removed.", "-device"),
        ("Resolved atelectasis.", "-atelectasis"),
        ("Pneumonia has been ruled out.", "-pneumonia"),
        ("Cardiomegaly is present and effusion is not seen.", "+heart -effusion"),
    ]);
}

#[test]
fn doubt() {
    check(&[
        ("Possible left lower lobe pneumonia.", "?pneumonia"),
        ("Opacity which may represent atelectasis.", "+opacity ?atelectasis"),
        ("Small effusion cannot be excluded.", "?effusion"),
        ("Cannot exclude a small pneumothorax.", "?pneumothorax"),
        ("Pneumonia is difficult to exclude.", "?pneumonia"),
        ("Rule out pneumonia.", "?pneumonia"),
        ("Evaluate for pneumothorax.", "?pneumothorax"),
        ("History of pneumonia.", "?pneumonia"),
        ("Findings are suspicious for a mass.", "?lesion"),
        ("A rib fracture is suspected.", "?fracture"),
        ("Pneumonia is unlikely.", "?pneumonia"),
        ("Early edema would be a consideration.", "?edema"),
        ("Atelectasis versus pneumonia at the left base.", "?pneumonia ?atelectasis"),
        ("Basilar atelectasis or infiltrate.", "?opacity ?atelectasis"),
        ("No effusion, possible pneumonia.", "?pneumonia -effusion"),
        ("Blunting of the left costophrenic angle.", "?effusion"),
        ("No blunting of the costophrenic angles.", "-effusion"),
        ("Wedge deformity of a vertebral body.", "?fracture"),
        ("Borderline cardiomegaly.", "?heart"),
        ("Suggestive of pneumonia with a right effusion.", "?pneumonia +effusion"),
    ]);
}

#[test]
fn negations_that_are_none() {
    check(&[
        ("No change in the right effusion.", "+effusion"),
        ("No significant interval change in cardiomegaly or effusion.", "+heart +effusion"),
        ("Not only atelectasis, there is an effusion.", "+atelectasis +effusion"),
        ("Without change in the pneumothorax.", "+pneumothorax"),
        ("The effusion has almost completely resolved.", "+effusion"),
        ("Recommend follow-up to ensure resolution of the opacity.", "+opacity"),
        ("No effusion or change.", "-effusion"),
    ]);
}

#[test]
fn ends_of_a_scope() {
    check(&[
        ("No effusion but a small pneumothorax.", "+pneumothorax -effusion"),
        ("No pneumothorax; however, atelectasis persists.", "+atelectasis -pneumothorax"),
        ("No effusion, although edema has increased.", "+edema -effusion"),
        ("No pneumothorax, there is a left effusion.", "-pneumothorax +effusion"),
        ("No pneumothorax with stable right effusion.", "-pneumothorax +effusion"),
        ("No findings consistent with pneumonia.", "-pneumonia"),
        ("No edema. Effusion on the left", "-edema +effusion"),
        ("No acute disease except for a nodule.", "+lesion"),
        ("No effusion seen, dense nodule on the left.", "+lesion -effusion"),
        ("No\npneumothorax.\n\nEffusion", "-pneumothorax +effusion"),
    ]);
}

#[test]
fn parts_of_the_body() {
    check(&[
        ("Heart size is normal.", "-heart"),
        ("The heart is not enlarged.", "-heart"),
        ("Mildly enlarged heart.", "+heart"),
        ("Enlargement of the cardiac silhouette.", "+heart"),
        ("The heart may be enlarged.", "?heart"),
        ("Borderline heart size.", "?heart"),
        ("Heart size is at the upper limits of normal.", "-heart"),
        ("Heart size and mediastinal contours are within normal limits.", "-mediastinum -heart"),
        ("Normal heart size and mediastinal contours.", "-mediastinum -heart"),
        ("The heart is enlarged and the mediastinum is unremarkable.", "-mediastinum +heart"),
        ("Enlarged heart and normal mediastinum.", "-mediastinum +heart"),
        ("Unremarkable cardiomediastinal silhouette.", "-mediastinum -heart"),
        ("The cardiomediastinal silhouette is widened.", "+mediastinum"),
        ("The lungs are clear.", "-opacity -consolidation"),
        ("The lungs are not clear.", ""),
        ("Heart size is stable with clear lungs.", "-opacity -consolidation"),
        ("No effusion, the heart is enlarged.", "+heart -effusion"),
        ("Pulmonary vascularity is normal.", "-edema"),
        ("The costophrenic angles are sharp.", "-effusion"),
        ("The bony thorax is intact.", "-fracture"),
    ]);
}

#[test]
fn look_alikes() {
    check(&[
        ("Small pericardial effusion.", ""),
        ("Soft tissue swelling and subcutaneous edema.", ""),
        ("Evidence of old granulomatous infection.", ""),
        ("Nipple shadows. The trachea is midline.", ""),
        ("Lytic lesion of the humerus.", ""),
        ("Fractured pacemaker lead.", "+device"),
        ("A 2.5 cm mass vs. pneumonia.", "?lesion ?pneumonia"),
    ]);
}

#[test]
fn of_several_mentions_the_strongest_counts() {
    check(&[
        ("No effusion on the right. Small effusion on the left.", "+effusion"),
        ("Possible effusion. No effusion on the lateral view.", "?effusion"),
    ]);
}

#[test]
fn no_finding_is_the_absence_of_the_others() {
    let status = |text: &str| read_findings(text).status(Observation::NoFinding);
    assert_eq!(status("No acute disease. The lungs are clear."), Status::Positive);
    assert_eq!(status("Right PICC. No pneumothorax."), Status::Positive, "devices do not count");
    assert_eq!(status("Possible pneumonia."), Status::NotMentioned);
    assert_eq!(status("Cardiomegaly."), Status::NotMentioned);
    assert_eq!(status(" .,\n"), Status::NotMentioned, "a text without words");
}
