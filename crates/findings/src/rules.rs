//! The rules, as data. `docs/findings.md` describes them; [`crate::phrase`] says how a phrase is written.
//!
//! Words are compared in lower case. Hyphens, slashes and other marks part words: "air-space" is written `air space`.

use crate::observation::Observation::{
    Atelectasis, Cardiomegaly, Consolidation, Edema, EnlargedCardiomediastinum, Fracture, LungLesion, LungOpacity,
    PleuralEffusion, PleuralOther, Pneumonia, Pneumothorax, SupportDevices,
};
use crate::observation::{Observation, Status};

/// Phrases that mention observations.
pub type MentionRule = (&'static [Observation], &'static [&'static str]);

/// Phrases that mention an observation.
pub const MENTIONS: &[MentionRule] = &[
    (
        &[EnlargedCardiomediastinum],
        &["mediastinal|cardiomediastinal widening|enlargement|mass|masses", "widening of .. mediastinum"],
    ),
    (&[Cardiomegaly], &["cardiomegaly", "cardiac|heart enlargement", "megalocardia"]),
    (
        &[LungOpacity],
        &[
            "opacity|opacities|opacification|opacifications|opacified",
            "infiltrate*|infiltration",
            "airspace|alveolar|parenchymal|interstitial disease|process|pattern|abnormality|abnormalities|changes",
            "air space disease|process|pattern",
            "interstitial lung disease*|infiltrate*|pneumonitis",
            "interstitial markings prominent|increased|coarse*|prominence",
            "increased|prominent|prominence|coarse|coarsened|thickened|accentuated .. interstitial \
             markings|pattern|lines",
            "prominence|thickening of .. interstitial|interstitium",
            "increased interstitial lung markings",
            "interstitial thickening|prominence|fibrosis",
            "pulmonary fibrosis",
            "reticular|reticulonodular pattern|markings",
            "irregular|chronic|coarse interstitial markings",
            "area|areas of .. density",
            "reticulation|reticulations|haziness",
            "ground glass",
            "density|densities in|within|over|overlying|at .. lung|lobe|lingula|base|apex|hilum",
            "pulmonary|lung|basilar|basal|parenchymal|lobe|airspace|perihilar|lingular|linear|hazy|streaky|patchy \
             density|densities",
        ],
    ),
    (
        &[LungLesion],
        &[
            "nodule|nodules",
            "nodular density|densities|opacity|opacities|lesion|lesions|focus",
            "mass|masses",
            "pulmonary|lung|cavitary|cavitating lesion|lesions",
            "neoplasm*|malignancy|malignancies|carcinoma*|metasta*|tumor|tumors|tumour|tumours|lymphangitic",
            "lung|bronchogenic cancer",
            "cavitation|cavitations|cavity|cavities",
        ],
    ),
    (
        &[Edema],
        &[
            "edema|oedema",
            "congestion",
            "pulmonary vascular|venous engorgement|redistribution|hypertension",
            "vascular engorgement|redistribution",
            "cephalization|kerley",
            "heart|cardiac failure|decompensation",
            "chf",
            "congestive .. failure",
            "fluid|volume overload",
        ],
    ),
    (&[Consolidation], &["consolidat*"]),
    (
        &[Pneumonia],
        &[
            "pneumonia|pneumonias|bronchopneumonia",
            "infection|infections",
            "infectious|pneumonic process|etiology|infiltrate|infiltrates|consolidation",
        ],
    ),
    (
        &[Atelectasis],
        &[
            "atelecta*",
            "lobar|lobe|lung|lingular|segmental collapse",
            "collapse of .. lobe|lung|segment",
            "collapsed .. lobe|lung",
        ],
    ),
    (
        &[Pneumothorax],
        &["pneumothora*|hydropneumothora*|ptx", "pneumo thorax", "pleural air", "air in .. pleural space"],
    ),
    (
        &[PleuralEffusion],
        &[
            "effusion|effusions|hydropneumothora*|hydrothora*|hemothora*|haemothora*",
            "pleural|fissural|layering|interlobar fluid|fusion",
            "fluid in .. pleural|fissure|fissures",
        ],
    ),
    (
        &[PleuralOther],
        &[
            "pleural|pleuroparenchymal|pleura|fissural .. \
             thickening|scar|scars|scarring|plaque|plaques|calcification*|mass|masses",
            "thickening|scarring|calcification of|in .. pleura|fissure",
            "fibrothorax|empyema|mesothelioma",
        ],
    ),
    (&[Fracture], &["fracture|fractures|fractured", "compression deformity|deformities"]),
    (
        &[SupportDevices],
        &[
            "pacemaker*|pacer*|defibrillator*|icd|aicd",
            "pacing lead|leads|wire|wires|device",
            "catheter*|picc|portacath|mediport|port|cath|hickman",
            "central|venous|subclavian|jugular|ij|picc|arterial|support line|lines",
            "lines and tubes",
            "tubes|tube|tubing|shunt|occluder",
            "monitor|monitoring|ekg|ecg leads|wires",
            "tip .. svc|atrium|atrial|cavoatrial|carina|stomach",
            "valve replacement|repair|prosthesis",
            "stent|stents|drain|drains|tracheostomy",
            "cannula*|swan",
            "balloon pump",
            "prosthetic|mechanical|aortic|mitral|artificial|cardiac valve|valves replacement|prosthesis|prostheses",
            "prosthetic|artificial|mechanical .. valve|valves",
            "device|devices|hardware|prosthesis|arthroplasty",
            "loop recorder",
            "stimulator|generator",
        ],
    ),
];

/// Signs with more than one cause: uncertain where they are present, negative where they are negated.
pub const UNCERTAIN_MENTIONS: &[MentionRule] = &[
    (
        &[PleuralEffusion],
        &["blunt* of .. costophrenic|angle|angles|sulcus|sulci", "angle|angles|sulcus|sulci .. blunt*"],
    ),
    (&[LungOpacity], &["interstitial|lung|perihilar markings|prominence"]),
    (&[Pneumonia], &["pneumonitis"]),
    (&[Fracture], &["wedge|wedging .. vertebra*|deformity|deformities", "rib deformity|deformities"]),
    (
        &[EnlargedCardiomediastinum],
        &["prominence of .. mediastinum|mediastinal", "mediastinal|cardiomediastinal prominence"],
    ),
    (
        &[Edema],
        &[
            "vascular|vasculature|vascularity prominence|indistinctness",
            "vascularity|vasculature|vessels .. prominent|indistinct|accentuated",
            "prominence|prominent .. vasculature|vascularity",
        ],
    ),
];

/// General words that tell something only where they are negated: "no acute osseous abnormality".
pub const ABSENT_ONLY: &[MentionRule] = &[(
    &[Fracture],
    &[
        "osseous|bony|bone|bones|skeletal|rib .. abnormality|abnormalities|findings|finding|injury|injuries",
        "abnormality|abnormalities of .. bones|ribs",
    ],
)];

/// Phrases that look like a mention of an observation, or like a part of the body that belongs to it, and are none.
pub const NO_MENTIONS: &[MentionRule] = &[
    (
        &[Cardiomegaly],
        &[
            "heart|cardiac failure|border|borders|surgery|transplant|disease|biopsy|function",
            "heart|cardiac valve|valves|device|pacemaker",
        ],
    ),
    (&[LungOpacity, Consolidation], &["lung|pulmonary transplant|disease|biopsy|resection|function"]),
    (
        &[LungOpacity, LungLesion],
        &[
            "bone|bony|osseous|lytic|sclerotic|blastic|skeletal lesion|lesions|density|densities|mass|masses",
            "soft tissue lesion|lesions|density|densities|mass|masses",
            "calcified density|densities",
        ],
    ),
    (
        &[LungLesion],
        &[
            "chest wall mass|masses|lesion|lesions",
            "mediastinal|bowel|abdominal|gastric|hilar|body mass|masses",
            "mass effect",
        ],
    ),
    (
        &[Edema],
        &["soft tissue .. edema", "chest wall edema", "subcutaneous|peripheral|ankle|pedal|nasal edema|congestion"],
    ),
    (&[Pneumonia, LungOpacity], &["granulomatous infection|infections|disease|process"]),
    (&[PleuralEffusion], &["pericardial|joint|knee|subdural effusion|effusions|fluid"]),
    (
        &[Fracture],
        &["catheter|lead|wire|leads|wires fracture|fractured|fractures", "fractured .. lead|leads|wire|wires|catheter"],
    ),
    (&[SupportDevices], &["port|drain site", "bronchial|eustachian tube|tubes"]),
];

/// What a cue does to the mentions around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    /// Negates what follows in its clause.
    NegatedAhead,
    /// Negates the list before it.
    NegatedBehind,
    /// Makes what follows in its clause uncertain.
    UncertainAhead,
    /// Makes the list before it uncertain.
    UncertainBehind,
    /// Makes what stands on both of its sides uncertain ("atelectasis versus pneumonia").
    Alternative,
    /// Ends every scope.
    ScopeEnd,
    /// Looks like a negation and is none.
    Nothing,
}

/// Cues. Of those that begin at one word the longest counts, and its words are used up: a gap must not reach over a
/// mention.
pub const CUES: &[(Cue, &[&str])] = &[
    (
        Cue::NegatedAhead,
        &[
            "no|not|none|without|neither|nor|never",
            "no longer",
            "w o",
            "absence|lack of",
            "negative for",
            "free|clear of",
            "denies|denied",
            "rather than",
            "resolution|clearing|clearance|removal of",
            "isn|aren|wasn|weren|doesn|don t",
            "fails|failed to",
        ],
    ),
    (
        Cue::NegatedBehind,
        &[
            "not .. seen|identified|present|visualized|visualised|demonstrated|evident|appreciated|noted|detected",
            "not .. visible|apparent|observed|found|suspected",
            "no longer .. seen|identified|present|visualized|visualised|demonstrated|evident",
            "no longer .. appreciated|noted|detected",
            "no longer .. visible|apparent|observed|found|suspected",
            "absent|negative|resolved|cleared|removed|excluded",
            "completely|fully resolved|cleared|removed",
            "ruled out",
            "within normal limits",
            "within limits of normal",
        ],
    ),
    (
        Cue::UncertainAhead,
        &[
            "possible|possibly|probable|probably|likely|presumed|presumably|questionable|equivocal|borderline",
            "perhaps|potential|potentially|suspect|suspected|apparent|question|possibility",
            "may|might|could|would",
            "may|might|could|would be|represent|reflect|indicate|suggest",
            "suspicious|concerning|worrisome|concern|suspicion|question|possibility for|of|about",
            "suggest|suggests|suggesting|suggestion|suggestive",
            "exclude|excluding",
            "cannot|difficult|not|hard .. exclude|excluding",
            "can not .. exclude",
            "cannot|not rule out",
            "can not rule out",
            "without excluding",
            "rule out",
            "r o",
            "evaluate|evaluation|assess|assessment|eval|correlate|correlation .. for",
            "evaluation|assessment|detection of",
            "detect|detecting|identify|identifying",
            "consider|considered|considerations|consideration|differential|if",
            "history of",
            "h o",
            "less|un|more|most likely",
            "unlikely",
        ],
    ),
    (
        Cue::UncertainBehind,
        &[
            "cannot|not .. excluded",
            "can not .. excluded",
            "cannot|not be ruled out",
            "not ruled out",
            "can not be ruled out",
            "is|are|be|remain|remains .. possible|questionable|suspected|questioned|likely|unlikely|equivocal|probable",
            "is|are|be|remain|remains .. considered|consideration|considerations|possibility",
            "not well|clearly|definitely|adequately seen|visualized|evaluated|assessed",
        ],
    ),
    (Cue::Alternative, &["or|versus|vs", "and or"]),
    (
        Cue::ScopeEnd,
        &[
            "but|however|although|though|yet|nevertheless|whereas|while|except|besides|despite",
            "except for",
            "aside|apart from",
            "other than",
            "there is|are|was|were|has|have",
        ],
    ),
    (
        Cue::Nothing,
        &[
            "no|not|without change|changes|changed|increase|decrease|improvement|worsening|progression",
            "no|not|without \
             interval|significant|significantly|relevant|appreciable|definite|acute|large|major|further|substantial \
             change|changes|changed|increase|increased|decrease|improvement|worsening|progression",
            "no|not|without significant|relevant|appreciable|definite|major|substantial interval \
             change|changes|changed|increase|increased|decrease|improvement|worsening|progression",
            "not only|necessarily",
            "no more than",
            "nearly|almost|partially|partly|incompletely|mostly|largely resolved|cleared",
            "nearly|almost completely|entirely resolved|cleared",
            "ensure|document|until .. resolution|clearing",
        ],
    ),
];

/// Words that part statements: a cue behind a list does not reach over an earlier one.
pub const VERBS: &[&str] = &[
    "is",
    "are",
    "was",
    "were",
    "be",
    "been",
    "has",
    "have",
    "remain",
    "remains",
    "appear",
    "appears",
    "show",
    "shows",
    "demonstrate",
    "demonstrates",
    "seen",
    "noted",
];

/// Words that may stand between a verb and the cue that belongs to it, as in "is another consideration".
pub const ARTICLES: &[&str] = &["a", "an", "the", "another", "also"];

/// Words after which a comma ends a negation: "no effusion seen, dense nodule".
pub const PARTICIPLES: &[&str] =
    &["seen", "identified", "noted", "present", "visualized", "demonstrated", "appreciated", "evident"];

/// Words at which the left side of an alternative ends.
pub const LIST_ENDS: &[&str] = &[",", "and", "with", "without", "represent", "represents", "representing", "reflects"];

/// The largest number of words between the left side of an alternative and its cue.
pub const ALTERNATIVE_REACH: usize = 4;

/// Words before `with` that make it a part of their own phrase; any other `with` ends negation and doubt before it.
pub const BEFORE_WITH: &[&str] = &["consistent", "compatible", "correlate", "correlation", "associated"];

/// Words behind which a full stop does not end a sentence.
pub const ABBREVIATIONS: &[&str] = &["vs", "dr", "approx", "e", "i"];

/// A part of the body whose state is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The heart.
    Heart,
    /// The mediastinum.
    Mediastinum,
    /// Heart and mediastinum in one word.
    Cardiomediastinum,
    /// The lungs.
    Lungs,
    /// Pulmonary vessels.
    Vessels,
    /// Pleural spaces and costophrenic angles.
    Pleura,
    /// Bones.
    Bones,
}

/// Names of parts of the body.
pub const ANATOMY: &[(Part, &[&str])] = &[
    (
        Part::Heart,
        &[
            "heart|hearts",
            "heart size",
            "cardiac silhouette|silhouettes|size|contour|contours|shadow|shadows",
            "cardiac",
            "heart silhouette|contour|contours|shadow",
        ],
    ),
    (Part::Mediastinum, &["mediastinum", "mediastinal silhouette|silhouettes|contour|contours|structures|size"]),
    (Part::Cardiomediastinum, &["cardiomediastinal|cardiomediastinum", "cardio mediastinal", "cardiopericardial"]),
    (Part::Lungs, &["lung|lungs", "lung fields|field|bases|apices|parenchyma", "lung zones"]),
    (Part::Vessels, &["pulmonary|lung vasculature|vascularity|vessels|vascular", "vasculature|vascularity"]),
    (Part::Pleura, &["costophrenic angles|angle|sulci|sulcus", "pleural spaces|space|surfaces|surface", "pleura"]),
    (
        Part::Bones,
        &[
            "bony|osseous|skeletal structures|thorax|skeleton|elements",
            "bones|ribs",
            "bone|bony structures",
            "visualized bones|skeleton",
        ],
    ),
];

/// How a part of the body looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Normal.
    Normal,
    /// Clear of opacities or fluid.
    Clear,
    /// Enlarged.
    Enlarged,
    /// Between normal and enlarged.
    Borderline,
    /// Without a break.
    Intact,
    /// As before, whatever that was.
    Unchanged,
}

/// Words for the state of a part of the body.
pub const STATES: &[(State, &[&str])] = &[
    (
        State::Normal,
        &[
            "normal|unremarkable|negative",
            "within .. normal limits",
            "within limits of normal",
            "upper|top .. normal",
            "upper .. normal limits",
            "high normal",
        ],
    ),
    (State::Clear, &["clear|sharp"]),
    (State::Enlarged, &["enlarged|enlargement|widened|dilated", "increased in size", "large|increased", "big"]),
    (State::Borderline, &["borderline|prominent", "borderline enlarged|enlargement|prominent|large|normal"]),
    (State::Intact, &["intact"]),
    (State::Unchanged, &["stable|unchanged|similar|obscured"]),
];

/// What a state of a part of the body says.
pub struct Statement {
    /// The part.
    pub part: Part,
    /// Its state.
    pub state: State,
    /// Observations with their status.
    pub says: &'static [(Observation, Status)],
}

/// What the states of the parts of the body say.
pub const STATEMENTS: &[Statement] = &[
    statement(Part::Heart, State::Normal, &[(Cardiomegaly, Status::Negative)]),
    statement(Part::Heart, State::Enlarged, &[(Cardiomegaly, Status::Positive)]),
    statement(Part::Heart, State::Borderline, &[(Cardiomegaly, Status::Uncertain)]),
    statement(Part::Mediastinum, State::Normal, &[(EnlargedCardiomediastinum, Status::Negative)]),
    statement(Part::Mediastinum, State::Enlarged, &[(EnlargedCardiomediastinum, Status::Positive)]),
    statement(Part::Mediastinum, State::Borderline, &[(EnlargedCardiomediastinum, Status::Uncertain)]),
    statement(
        Part::Cardiomediastinum,
        State::Normal,
        &[(EnlargedCardiomediastinum, Status::Negative), (Cardiomegaly, Status::Negative)],
    ),
    statement(Part::Cardiomediastinum, State::Enlarged, &[(EnlargedCardiomediastinum, Status::Positive)]),
    statement(Part::Cardiomediastinum, State::Borderline, &[(EnlargedCardiomediastinum, Status::Uncertain)]),
    statement(Part::Lungs, State::Clear, &[(LungOpacity, Status::Negative), (Consolidation, Status::Negative)]),
    statement(Part::Lungs, State::Normal, &[(LungOpacity, Status::Negative), (Consolidation, Status::Negative)]),
    statement(Part::Vessels, State::Normal, &[(Edema, Status::Negative)]),
    statement(Part::Pleura, State::Clear, &[(PleuralEffusion, Status::Negative)]),
    statement(Part::Pleura, State::Normal, &[(PleuralEffusion, Status::Negative)]),
    statement(Part::Bones, State::Intact, &[(Fracture, Status::Negative)]),
    statement(Part::Bones, State::Normal, &[(Fracture, Status::Negative)]),
];

const fn statement(part: Part, state: State, says: &'static [(Observation, Status)]) -> Statement {
    Statement { part, state, says }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A phrase that begins with a gap, or has a character that no word has, would never be found.
    #[test]
    fn phrases_are_written_as_they_are_read() {
        let mentions =
            [MENTIONS, UNCERTAIN_MENTIONS, ABSENT_ONLY, NO_MENTIONS].into_iter().flatten().flat_map(|(_, all)| *all);
        let cues = CUES.iter().flat_map(|(_, all)| *all);
        let anatomy = ANATOMY.iter().flat_map(|(_, all)| *all).chain(STATES.iter().flat_map(|(_, all)| *all));
        for phrase in mentions.chain(cues).chain(anatomy) {
            let pieces: Vec<&str> = phrase.split_whitespace().collect();
            assert!(![pieces[0], pieces[pieces.len() - 1]].contains(&".."), "{phrase}");
            for word in pieces.iter().filter(|piece| **piece != "..").flat_map(|piece| piece.split('|')) {
                let word = word.strip_suffix('*').unwrap_or(word);
                assert!(!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase()), "{phrase}: `{word}`");
            }
        }
    }

    #[test]
    fn every_state_but_unchanged_says_something() {
        for (state, _) in STATES.iter().filter(|(state, _)| *state != State::Unchanged) {
            assert!(STATEMENTS.iter().any(|it| it.state == *state), "{state:?}");
        }
        for (part, _) in ANATOMY {
            assert!(STATEMENTS.iter().any(|it| it.part == *part), "{part:?}");
        }
    }
}
