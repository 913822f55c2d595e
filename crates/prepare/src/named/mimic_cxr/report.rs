//! Finds the sections of a report of MIMIC-CXR by its headings (docs/layouts.md, section 3).

/// Headings of an impression, with the misspellings in the reports.
const IMPRESSION_HEADINGS: [&str; 16] = [
    "impression",
    "impressions",
    "conclusion",
    "findings and impression",
    "findings/impression",
    "impresson",
    "imprression",
    "imoression",
    "impressoin",
    "imprssion",
    "impresion",
    "imperssion",
    "mpression",
    "impession",
    "ndication",
    "impression and findings",
];
/// Headings of findings, with the misspellings in the reports.
const FINDINGS_HEADINGS: [&str; 9] = [
    "findings",
    "finding",
    "findins",
    "findindgs",
    "findgings",
    "findngs",
    "findnings",
    "finidngs",
    "chest, two views",
];

/// Names of views: a section whose heading contains one of them is taken as findings.
const VIEW_HEADINGS: [&str; 22] = [
    "chest",
    "portable",
    "pa and lat",
    "lateral and pa",
    "lateral and ap",
    "ap and lateral",
    "frontal and",
    "frontal view",
    "frontal upright",
    "frontal semi-upright",
    "two views",
    "one view",
    "two view",
    "one views",
    "pa view",
    "ap view",
    "lateral view",
    "bone window",
    "ribs",
    "lower extremity",
    "single view",
    "upright",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Impression,
    Findings,
    Other,
}

/// Impression and findings of a report; empty if the report has no such section. If there are several sections of a kind, the
/// last one that is not empty is used.
pub fn sections(report: &str) -> [String; 2] {
    let mut found = [String::new(), String::new()];
    let mut keep = |kind: Kind, text: &str| {
        let index = match kind {
            Kind::Impression => 0,
            Kind::Findings => 1,
            Kind::Other => return,
        };
        if !text.trim().is_empty() {
            found[index] = text.trim().to_string();
        }
    };
    let (mut kind, mut text, mut after_heading) = (Kind::Other, String::new(), false);
    for line in report.lines() {
        match heading(line) {
            // The line after a heading without text belongs to that heading, even if it looks like a heading itself.
            Some((name, rest)) if !after_heading => {
                keep(kind, &text);
                (kind, text) = (kind_of(&name), rest.to_string());
                after_heading = rest.is_empty();
            }
            _ => {
                text.push('\n');
                text.push_str(line);
                after_heading = false;
            }
        }
    }
    keep(kind, &text);
    found
}

/// The name of a heading, in lower case, and the rest of its line. A heading is one blank, capital letters (also
/// ` ()/,-`), a colon and white space.
fn heading(line: &str) -> Option<(String, &str)> {
    let (name, rest) = line.strip_prefix(' ')?.split_once(':')?;
    let is_name = name.chars().all(|one| one.is_ascii_uppercase() || " ()/,-".contains(one));
    let is_heading = is_name && name.chars().any(|one| one.is_ascii_uppercase());
    (is_heading && (rest.is_empty() || rest.starts_with(char::is_whitespace)))
        .then(|| (name.trim().to_lowercase(), rest))
}

fn kind_of(name: &str) -> Kind {
    if IMPRESSION_HEADINGS.contains(&name) {
        Kind::Impression
    } else if FINDINGS_HEADINGS.contains(&name) {
        Kind::Findings
    } else if name.contains("impression") {
        Kind::Impression
    } else if name.contains("findings") {
        Kind::Findings
    } else if ["history", "comparison", "addendum"].iter().any(|word| name.contains(word)) {
        Kind::Other
    } else if VIEW_HEADINGS.iter().any(|view| name.contains(view)) {
        Kind::Findings
    } else {
        Kind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_found_by_their_headings() {
        let report = "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  Cough, \
                      invented.\n \n FINDINGS: \n \n Lungs are clear.\n Heart: normal.\n \n IMPRESSION: \n \n Nothing acute.\n";
        assert_eq!(sections(report), ["Nothing acute.", "Lungs are clear.\n Heart: normal."]);
        assert_eq!(sections(" IMPRESSOIN: First.\n IMPRESSION: Second one."), ["Second one.", ""]);
        assert_eq!(
            sections(" PORTABLE CHEST: Tube in place.\n WET READ: Line.\n NOTIFICATION: Told."),
            ["", "Tube in place."]
        );
        assert_eq!(sections(" IMPRESSION: Kept.\n IMPRESSION:\n"), ["Kept.", ""]);
        assert_eq!(sections("no headings at all"), ["", ""]);
        assert_eq!(sections(" HISTORY OF CHEST PAIN: None."), ["", ""]);
    }
}
