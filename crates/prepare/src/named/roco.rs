//! ROCO (Pelka et al., 2018) and ROCOv2 (Rückert et al., 2024; docs/layouts.md, section 1).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ptu_data::record::{Label, Section, Split};
use ptu_data::{DataError, shortened};

use super::helpers::{
    PythonRandom, as_strs, collapsed, find_image, line_position, new_record, push_text, usable_text, with_image,
};
use super::{DatasetRows, Description, Details, ROWS_SKIPPED, medicat};
use crate::draft::{Draft, MissingImagePolicy, RowPosition};
use crate::raw::lines::Lines;
use crate::raw::separated::Csv;
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "roco",
    title: "ROCO: Radiology Objects in COntext, version 1 or ROCOv2",
    what: "Radiology figures of PubMed Central with captions and UMLS concepts; of the first version also the sentences that refer \
           to them, as published with MedICaT.",
    licence: "each image under its paper's licence (mostly CC BY, CC BY-NC)",
    access: "open: razorx89/roco-dataset on GitHub (its script fetches the images), or ROCOv2 at Zenodo 10821435",
    layout: "\
data/{train,validation,test}/radiology/      (also `val`, also without `data/`)
  captions.txt                               ROCO_00020<tab>caption
  dlinks.txt  cuis.txt                       optional
  images/ROCO_00020.jpg
roco_references.zip                          optional: sentences that refer to the figures, from MedICaT
or the copy on Kaggle: all_data/{train,validation,test}/radiology/{train,val,test}data.csv and images/
or ROCOv2:
  {train,valid,test}_captions.csv  {train,valid,test}_concepts.csv  {train,valid,test}_images/
(for the copy on Hugging Face, parquet files by split, use `prepare table`)",
    records: "one for each image; references and caption (3 words or more) as texts, concepts as labels; if the \
              image is missing, the record has only the texts. The field `retrieval` numbers the 2,000 captions of \
              the retrieval galleries",
    splits: "as published, by image; images of one paper can be in several splits",
    counts: "version 1: 65,460 / 8,183 / 8,182 images; ROCOv2: 59,958 / 9,904 / 9,927",
    citation: "Pelka et al., LABELS 2018, doi 10.1007/978-3-030-01364-6_20; Rückert et al., Scientific Data 11, 688 (2024)",
    tars: &[],
};

/// Number of captions in a retrieval gallery.
const GALLERY_SIZE: usize = 2_000;

/// Key of sentences that refer to figures that are not in the data set.
const UNKNOWN_REFERENCES: &str = "references-of-unknown-images";

/// An image with its caption; references and the gallery are added later.
struct CaptionedImage {
    id: String,
    caption: String,
    position: RowPosition,
}

/// The captions of one split, of either version.
struct CaptionSet {
    split: Split,
    captions: Vec<CaptionedImage>,
    /// For each line of the file, the index of its caption, if it has one. The galleries are drawn by shuffling the lines.
    lines: Vec<Option<usize>>,
    concepts: HashMap<String, Vec<String>>,
    /// Returns the paths that the file of an image may have, from `folder` and the id of the image.
    files: fn(&str, &str) -> Vec<String>,
    folder: String,
}

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    let (mut tables, mut bad, mut details) = (vec![], vec![], Details::default());
    let is_version2 = raw.find(&["train_captions.csv"]).is_some();
    let is_kaggle_copy = raw.find(&as_strs(&kaggle_names("train"))).is_some();
    let sets = match (is_version2, is_kaggle_copy) {
        (true, _) => version2(raw, &mut tables, &mut bad, &mut details)?,
        (false, true) => kaggle_copy(raw, &mut tables, &mut bad)?,
        (false, false) => version1(raw, &mut tables, &mut bad)?,
    };
    let mut references: HashMap<String, Vec<String>> = HashMap::new();
    if !is_version2 {
        let links = links(raw, &mut tables)?;
        tables.extend(medicat::roco_references(raw, |position, referred| match referred {
            Ok((figure, texts)) => match links.get(&figure) {
                Some(id) => references.entry(id.clone()).or_default().extend(texts),
                None => details.add(
                    UNKNOWN_REFERENCES,
                    position,
                    format!("`dlinks.txt` has no figure `{}`", shortened(&figure, 80)),
                ),
            },
            Err(cause) => details.add(ROWS_SKIPPED, position, cause),
        })?);
    }
    for set in &sets {
        let known: HashSet<&str> = set.captions.iter().map(|one| one.id.as_str()).collect();
        let unknown: BTreeSet<&String> = set.concepts.keys().filter(|id| !known.contains(id.as_str())).collect();
        let cause = "no caption belongs to this image";
        unknown.into_iter().for_each(|id| details.add("concepts-of-unknown-images", shortened(id, 80), cause));
    }
    let mut random = PythonRandom::new(42);
    let mut rows = bad;
    for set in &sets {
        let gallery = gallery(raw, set, &mut random);
        for one in &set.captions {
            let mut record = new_record(ABOUT.name, &one.id, set.split);
            let sentences = references.get(&one.id).into_iter().flatten();
            sentences.for_each(|words| push_text(&mut record, Section::Reference, words));
            push_text(&mut record, Section::Caption, &one.caption);
            if record.texts.is_empty() {
                rows.push(Draft::bad(one.position.clone(), "it has no text of 3 words or more"));
                continue;
            }
            let concepts = set.concepts.get(&one.id).into_iter().flatten();
            record.labels = concepts.map(|concept| Label::new("concept", concept)).collect();
            record
                .fields
                .extend(gallery.get(one.id.as_str()).map(|position| Label::new("retrieval", position.to_string())));
            let names = (set.files)(&set.folder, &one.id);
            let names = as_strs(&names);
            let mut draft = with_image(one.position.clone(), record, find_image(raw, &names));
            draft.missing_image = MissingImagePolicy::KeepTexts;
            rows.push(draft);
        }
    }
    let version = if is_version2 { "ROCOv2" } else { "ROCO, first version" };
    let preprocessing =
        [version, "splits are those published", "white space is collapsed; texts of fewer than 3 words are dropped"];
    Ok(DatasetRows { details, ..DatasetRows::published_splits(rows, tables, &preprocessing) })
}

/// The retrieval gallery of a split: the ids of its captions with their positions. The lines of the file are shuffled; captions
/// of fewer than 3 words or without an image are skipped. One random generator shuffles all splits, one after another.
fn gallery<'a>(raw: &Raw, set: &'a CaptionSet, random: &mut PythonRandom) -> HashMap<&'a str, usize> {
    let mut order = set.lines.clone();
    random.shuffle(&mut order);
    if set.split == Split::Train {
        return HashMap::new();
    }
    let has_text_and_image = |one: &&CaptionedImage| {
        let names = (set.files)(&set.folder, &one.id);
        usable_text(&one.caption).is_some() && raw.find(&as_strs(&names)).is_some()
    };
    let captions = order.into_iter().flatten().map(|line| &set.captions[line]);
    captions
        .filter(has_text_and_image)
        .take(GALLERY_SIZE)
        .enumerate()
        .map(|(position, one)| (one.id.as_str(), position))
        .collect()
}

const FOLDERS: [(&[&str], Split); 3] =
    [(&["train"], Split::Train), (&["validation", "val"], Split::Validate), (&["test"], Split::Test)];

/// All paths that the file `data/<split>/radiology/<file>` may have.
fn version1_names(splits: &[&str], file: &str) -> Vec<String> {
    let of = |split: &&str| [format!("data/{split}/radiology/{file}"), format!("{split}/radiology/{file}")];
    splits.iter().flat_map(of).collect()
}

fn version1(raw: &Raw, tables: &mut Vec<Entry>, bad: &mut Vec<Draft>) -> Result<Vec<CaptionSet>, DataError> {
    let captions = FOLDERS.map(|(splits, _)| version1_names(splits, "captions.txt"));
    let captions = captions.each_ref().map(|names| as_strs(names));
    raw.require(&captions.each_ref().map(|names| names.as_slice()))?;
    let mut sets = vec![];
    for ((splits, split), names) in FOLDERS.into_iter().zip(captions) {
        let file = raw.need(&names)?;
        let (mut all, mut lines) = (vec![], vec![]);
        Lines::open(&file)?.each(|line| {
            let position = line_position(&file, line.number);
            lines.push(None);
            match line.text.split_once('\t') {
                Some((id, caption)) if !id.trim().is_empty() => {
                    lines.pop();
                    lines.push(Some(all.len()));
                    all.push(CaptionedImage { id: id.trim().into(), caption: caption.into(), position });
                }
                _ if line.text.trim().is_empty() => {}
                _ => bad.push(Draft::bad(position, "the line is not an id, a tab and a caption")),
            }
        })?;
        tables.push(file);
        let mut concepts = HashMap::new();
        let cuis = version1_names(splits, "cuis.txt");
        if let Some(file) = raw.find(&as_strs(&cuis)) {
            Lines::open(&file)?.each(|line| {
                let mut fields = line.text.split('\t').map(str::trim);
                let id = fields.next().unwrap_or_default().to_string();
                concepts.insert(id, fields.filter(|field| !field.is_empty()).map(str::to_string).collect());
            })?;
            tables.push(file);
        }
        let folder = splits.join("|");
        sets.push(CaptionSet { split, captions: all, lines, concepts, files: version1_image_files, folder });
    }
    Ok(sets)
}

/// The paths that the captions of a split may have in the copy on Kaggle.
fn kaggle_names(split: &str) -> Vec<String> {
    let csv = format!("{split}data.csv");
    let folders = FOLDERS.into_iter().flat_map(|(folders, _)| folders).filter(|folder| folder.starts_with(split));
    let within = folders.flat_map(|folder| [format!("{folder}/radiology/{csv}"), format!("{folder}/radiology{csv}")]);
    within.chain([format!("radiology/{csv}"), format!("radiology{csv}")]).collect()
}

fn kaggle_copy(raw: &Raw, tables: &mut Vec<Entry>, bad: &mut Vec<Draft>) -> Result<Vec<CaptionSet>, DataError> {
    let names = ["train", "val", "test"].map(kaggle_names);
    let names = names.each_ref().map(|names| as_strs(names));
    raw.require(&names.each_ref().map(|names| names.as_slice()))?;
    let mut sets = vec![];
    for ((folders, split), names) in FOLDERS.into_iter().zip(names) {
        let file = raw.need(&names)?;
        let captions = csv_captions(&file, ["id", "caption"], bad)?;
        tables.push(file);
        let lines = (0..captions.len()).map(Some).collect();
        sets.push(CaptionSet {
            split,
            captions,
            lines,
            concepts: HashMap::new(),
            files: version1_image_files,
            folder: folders.join("|"),
        });
    }
    Ok(sets)
}

/// The captions of a CSV file; `columns` are the names of the columns of ids and captions.
fn csv_captions(file: &Entry, columns: [&str; 2], bad: &mut Vec<Draft>) -> Result<Vec<CaptionedImage>, DataError> {
    let mut csv = Csv::open(file)?;
    let [id, caption] = csv.need(columns)?;
    let mut all = vec![];
    while let Some(row) = csv.next()? {
        let position = line_position(file, row.line);
        match &row.cells {
            Err(error) => bad.push(Draft::bad(position, error.cause.clone())),
            Ok(_) if row.get(id).is_empty() => bad.push(Draft::bad(position, format!("it has no `{}`", columns[0]))),
            Ok(_) => {
                all.push(CaptionedImage { id: row.get(id).into(), caption: collapsed(row.get(caption)), position })
            }
        }
    }
    Ok(all)
}

fn version1_image_files(folder: &str, id: &str) -> Vec<String> {
    let splits: Vec<&str> = folder.split('|').collect();
    version1_names(&splits, &format!("images/{id}.jpg"))
}

/// The id of each image, by its name in MedICaT: `<PMC id>_<file>`.
fn links(raw: &Raw, tables: &mut Vec<Entry>) -> Result<HashMap<String, String>, DataError> {
    let mut links = HashMap::new();
    for (splits, _) in FOLDERS {
        let names = version1_names(splits, "dlinks.txt");
        let Some(file) = raw.find(&as_strs(&names)) else { continue };
        Lines::open(&file)?.each(|line| {
            if let [id, command, name, ..] = line.fields('\t')[..] {
                let archive = command.split_whitespace().find(|word| word.contains("/oa_package/")).unwrap_or_default();
                let paper = archive.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
                links.insert(format!("{paper}_{}", name.trim()), id.trim().to_string());
            }
        })?;
        tables.push(file);
    }
    Ok(links)
}

fn version2(
    raw: &Raw,
    tables: &mut Vec<Entry>,
    bad: &mut Vec<Draft>,
    details: &mut Details,
) -> Result<Vec<CaptionSet>, DataError> {
    let splits = [("train", Split::Train), ("valid", Split::Validate), ("test", Split::Test)];
    let names = splits.map(|(name, _)| format!("{name}_captions.csv"));
    raw.require(&names.each_ref().map(|name| [name.as_str()]).each_ref().map(|one| one.as_slice()))?;
    let mut sets = vec![];
    for ((name, split), captions) in splits.into_iter().zip(names) {
        let file = raw.need(&[&captions])?;
        let all = csv_captions(&file, ["ID", "Caption"], bad)?;
        tables.push(file);
        let mut concepts: HashMap<String, Vec<String>> = HashMap::new();
        if let Some(file) = raw.find(&[&format!("{name}_concepts.csv")]) {
            let mut csv = Csv::open(&file)?;
            let [id, cuis] = csv.need(["ID", "CUIs"])?;
            while let Some(row) = csv.next()? {
                if let Err(error) = &row.cells {
                    details.add(ROWS_SKIPPED, line_position(&file, row.line), error.cause.clone());
                    continue;
                }
                let found = row.get(cuis).split(';').map(str::trim).filter(|cui| !cui.is_empty());
                concepts.insert(row.get(id).into(), found.map(str::to_string).collect());
            }
            tables.push(file);
        }
        let files = |name: &str, id: &str| {
            let inner = [format!("{name}_images/{name}/{id}.jpg"), format!("{name}_images/{id}.jpg")];
            inner.into_iter().chain([format!("{name}/{id}.jpg")]).collect()
        };
        let lines = (0..all.len()).map(Some).collect();
        sets.push(CaptionSet { split, captions: all, lines, concepts, files, folder: name.into() });
    }
    Ok(sets)
}
