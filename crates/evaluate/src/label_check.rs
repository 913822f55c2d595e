//! Checks, before anything is scored, that the data has the requested labels.

use std::collections::{BTreeMap, BTreeSet};

use ptu_data::{ShardFolder, Source};
use ptu_input::text::name_key;

use crate::EvaluateError;
use crate::evaluation_folder::EvaluationFolder;
use crate::options::EvaluateOptions;

/// Largest number of label names that a message lists.
const LISTED: usize = 20;

/// Names of labels, and up to two values of each.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Refuses labels that no record has, and labels for probes with fewer than two values in the training split. Returns a
/// sentence for each label of the recipe that no record has.
///
/// # Errors
/// [`EvaluateError::NoLabel`], [`EvaluateError::Label`], or an error of shards that cannot be read.
pub(super) fn check(options: &EvaluateOptions, folders: &[EvaluationFolder]) -> Result<Vec<String>, EvaluateError> {
    let by_hits = [&options.config.hits, &options.config.by].into_iter().flatten();
    if options.config.labels.is_empty() && by_hits.clone().next().is_none() {
        return Ok(vec![]);
    }
    let mut all = Labels::new();
    let mut train_labels = vec![];
    for folder in folders {
        read(&folder.source, &mut all)?;
        let mut labels = Labels::new();
        if let Some(train) = &folder.train {
            read(train, &mut labels)?;
        }
        labels.iter().for_each(|(name, values)| all.entry(name.clone()).or_default().extend(values.iter().cloned()));
        train_labels.push((folder, labels));
    }
    let exists = |label: &String| all.contains_key(name_key(label).as_ref());
    let absent = |label: &String| EvaluateError::NoLabel {
        paths: options.data.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", "),
        label: label.clone(),
        there: existing_labels(label, &all.keys().collect::<Vec<_>>()),
    };
    if let Some(label) = options.config.labels.iter().chain(&options.requested_labels).find(|label| !exists(label)) {
        return Err(absent(label));
    }
    for label in &options.config.labels {
        let too_few = |labels: &Labels| labels.get(name_key(label).as_ref()).is_none_or(|values| values.len() < 2);
        if let Some((folder, _)) = train_labels.iter().find(|(_, labels)| too_few(labels)) {
            return Err(EvaluateError::Label { path: folder.path.clone(), label: label.clone() });
        }
    }
    Ok(by_hits.filter(|label| !exists(label)).map(|label| absent(label).to_string()).collect())
}

/// Adds the labels of a folder's records.
fn read(folder: &ShardFolder, labels: &mut Labels) -> Result<(), EvaluateError> {
    folder.each_without_image(&mut |record| {
        for label in record.labels {
            let values = labels.entry(name_key(&label.name).into_owned()).or_default();
            if values.len() < 2 {
                values.insert(name_key(&label.value).into_owned());
            }
        }
    })?;
    Ok(())
}

/// A part of a message that lists the existing labels, such as ``there is `a` ``; the names most similar to the requested one
/// first.
pub(crate) fn existing_labels(requested: &str, all: &[&String]) -> String {
    let mut names = all.to_vec();
    names.sort_by_key(|name| (strsim::damerau_levenshtein(requested, name), *name));
    let listed: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "no record has any label".into(),
        1 => format!("there is {}", listed[0]),
        count if count > LISTED => format!("there are {} and {} more", listed.join(", "), count - LISTED),
        _ => format!("there are {}", listed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_most_similar_names_come_first() {
        let existing_labels = |requested: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            super::existing_labels(requested, &names.iter().collect::<Vec<_>>())
        };
        assert_eq!(existing_labels("nolabel", &["label"]), "there is `label`");
        let similar = existing_labels("findng", &["cause", "finding", "side"]);
        assert_eq!(similar, "there are `finding`, `side`, `cause`");
        assert_eq!(existing_labels("x", &[]), "no record has any label");
        let many: Vec<String> = (0..50).map(|number| format!("label{number}")).collect();
        let listed = existing_labels("label7", &many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(listed.starts_with("there are `label7`, ") && listed.ends_with("and 30 more"), "{listed}");
    }
}
