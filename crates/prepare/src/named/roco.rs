//! ROCO (Pelka et al., 2018) and ROCOv2 (Rückert et al., 2024; docs/layouts.md, section 1).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use ptu_data::record::{Label, Section, Split};
use ptu_data::{DataError, shortened};

use super::parts::{PythonRandom, at, collapsed, image, push, record, strs, text, with_image};
use super::{Description, Details, Opened, ROWS_PASSED_OVER, medicat};
use crate::draft::{Draft, Place, WithoutImage};
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
or, as Kaggle has it: all_data/{train,validation,test}/radiology/{train,val,test}data.csv and images/
or, of ROCOv2:
  {train,valid,test}_captions.csv  {train,valid,test}_concepts.csv  {train,valid,test}_images/
(the copy on Hugging Face, parquet by split, is read by `prepare table`)",
    records: "one an image; references and caption (3 words or more) as texts, concepts as labels; an image that is not there \
              leaves its texts. The field `retrieval` numbers the 2,000 captions of the retrieval galleries",
    splits: "as published, by image; papers are not kept apart",
    counts: "version 1: 65,460 / 8,183 / 8,182 images; ROCOv2: 59,958 / 9,904 / 9,927",
    citation: "Pelka et al., LABELS 2018, doi 10.1007/978-3-030-01364-6_20; Rückert et al., Scientific Data 11, 688 (2024)",
    tars: &[],
};

/// Captions of a retrieval gallery.
const GALLERY: usize = 2_000;

/// Sentences that refer to figures that are none of the images.
const UNKNOWN: &str = "references-of-unknown-images";

/// An image with its caption, before references and galleries.
struct Captioned {
    id: String,
    caption: String,
    place: Place,
}

/// One split of either version.
struct Part {
    split: Split,
    captions: Vec<Captioned>,
    /// For each line of the file, the caption that it is; the shuffle of the galleries goes over lines.
    lines: Vec<Option<usize>>,
    concepts: HashMap<String, Vec<String>>,
    /// Names of the image's file by the id.
    files: fn(&str, &str) -> Vec<String>,
    folder: String,
}

pub fn open(raw: &Arc<Raw>) -> Result<Opened, DataError> {
    let (mut tables, mut bad, mut details) = (vec![], vec![], Details::default());
    let second = raw.find(&["train_captions.csv"]).is_some();
    let kaggle = raw.find(&strs(&kaggle_names("train"))).is_some();
    let parts = match (second, kaggle) {
        (true, _) => version2(raw, &mut tables, (&mut bad, &mut details))?,
        (false, true) => kaggle_copy(raw, &mut tables, &mut bad)?,
        (false, false) => version1(raw, &mut tables, &mut bad)?,
    };
    let mut references: HashMap<String, Vec<String>> = HashMap::new();
    if !second {
        let links = links(raw, &mut tables)?;
        tables.extend(medicat::roco_references(raw, |place, referred| match referred {
            Ok((figure, texts)) => match links.get(&figure) {
                Some(id) => references.entry(id.clone()).or_default().extend(texts),
                None => details.add(UNKNOWN, place, format!("`dlinks.txt` has no figure `{}`", shortened(&figure, 80))),
            },
            Err(cause) => details.add(ROWS_PASSED_OVER, place, cause),
        })?);
    }
    for part in &parts {
        let known: HashSet<&str> = part.captions.iter().map(|one| one.id.as_str()).collect();
        let unknown: BTreeSet<&String> = part.concepts.keys().filter(|id| !known.contains(id.as_str())).collect();
        let cause = "no caption has this image";
        unknown.into_iter().for_each(|id| details.add("concepts-of-unknown-images", shortened(id, 80), cause));
    }
    let mut random = PythonRandom::new(42);
    let mut rows = bad;
    for part in &parts {
        let gallery = gallery(raw, part, &mut random);
        for one in &part.captions {
            let mut record = record(ABOUT.name, &one.id, part.split);
            let said = references.get(&one.id).into_iter().flatten();
            said.for_each(|words| push(&mut record, Section::Reference, words));
            push(&mut record, Section::Caption, &one.caption);
            if record.texts.is_empty() {
                rows.push(Draft::bad(one.place.clone(), "it has no text of 3 words"));
                continue;
            }
            let concepts = part.concepts.get(&one.id).into_iter().flatten();
            record.labels = concepts.map(|concept| Label::new("concept", concept)).collect();
            record.fields.extend(gallery.get(one.id.as_str()).map(|place| Label::new("retrieval", place.to_string())));
            let names = (part.files)(&part.folder, &one.id);
            let names = strs(&names);
            let mut draft = with_image(one.place.clone(), record, image(raw, &names));
            draft.without_image = WithoutImage::TextsKept;
            rows.push(draft);
        }
    }
    let version = if second { "ROCOv2" } else { "ROCO, first version" };
    let told =
        [version, "splits are those published", "white space is collapsed; texts of fewer than 3 words are dropped"];
    Ok(Opened { details, ..Opened::published(rows, tables, &told) })
}

/// The captions of the retrieval gallery of a split, by id, with their places: lines in a shuffled order, of which those
/// without 3 words or an image are passed over. All splits are shuffled, one after another, by one generator.
fn gallery<'a>(raw: &Raw, part: &'a Part, random: &mut PythonRandom) -> HashMap<&'a str, usize> {
    let mut order = part.lines.clone();
    random.shuffle(&mut order);
    if part.split == Split::Train {
        return HashMap::new();
    }
    let there = |one: &&Captioned| {
        let names = (part.files)(&part.folder, &one.id);
        text(&one.caption).is_some() && raw.find(&strs(&names)).is_some()
    };
    let captions = order.into_iter().flatten().map(|line| &part.captions[line]);
    captions.filter(there).take(GALLERY).enumerate().map(|(place, one)| (one.id.as_str(), place)).collect()
}

const FOLDERS: [(&[&str], Split); 3] =
    [(&["train"], Split::Train), (&["validation", "val"], Split::Validate), (&["test"], Split::Test)];

/// `data/<split>/radiology/<file>` under all names that it may have.
fn names1(splits: &[&str], file: &str) -> Vec<String> {
    let of = |split: &&str| [format!("data/{split}/radiology/{file}"), format!("{split}/radiology/{file}")];
    splits.iter().flat_map(of).collect()
}

fn version1(raw: &Raw, tables: &mut Vec<Entry>, bad: &mut Vec<Draft>) -> Result<Vec<Part>, DataError> {
    let captions = FOLDERS.map(|(splits, _)| names1(splits, "captions.txt"));
    let captions = captions.each_ref().map(|names| strs(names));
    raw.require(&captions.each_ref().map(|names| names.as_slice()))?;
    let mut parts = vec![];
    for ((splits, split), names) in FOLDERS.into_iter().zip(captions) {
        let file = raw.need(&names)?;
        let (mut all, mut lines) = (vec![], vec![]);
        Lines::open(&file)?.each(|line| {
            let place = at(&file, line.number);
            lines.push(None);
            match line.text.split_once('\t') {
                Some((id, caption)) if !id.trim().is_empty() => {
                    lines.pop();
                    lines.push(Some(all.len()));
                    all.push(Captioned { id: id.trim().into(), caption: caption.into(), place });
                }
                _ if line.text.trim().is_empty() => {}
                _ => bad.push(Draft::bad(place, "the line is no id, tab and caption")),
            }
        })?;
        tables.push(file);
        let mut concepts = HashMap::new();
        let cuis = names1(splits, "cuis.txt");
        if let Some(file) = raw.find(&strs(&cuis)) {
            Lines::open(&file)?.each(|line| {
                let mut fields = line.text.split('\t').map(str::trim);
                let id = fields.next().unwrap_or_default().to_string();
                concepts.insert(id, fields.filter(|field| !field.is_empty()).map(str::to_string).collect());
            })?;
            tables.push(file);
        }
        let folder = splits.join("|");
        parts.push(Part { split, captions: all, lines, concepts, files: files1, folder });
    }
    Ok(parts)
}

/// Where Kaggle's copy may have the captions of a split.
fn kaggle_names(split: &str) -> Vec<String> {
    let csv = format!("{split}data.csv");
    let folders = FOLDERS.into_iter().flat_map(|(folders, _)| folders).filter(|folder| folder.starts_with(split));
    let within = folders.flat_map(|folder| [format!("{folder}/radiology/{csv}"), format!("{folder}/radiology{csv}")]);
    within.chain([format!("radiology/{csv}"), format!("radiology{csv}")]).collect()
}

fn kaggle_copy(raw: &Raw, tables: &mut Vec<Entry>, bad: &mut Vec<Draft>) -> Result<Vec<Part>, DataError> {
    let names = ["train", "val", "test"].map(kaggle_names);
    let names = names.each_ref().map(|names| strs(names));
    raw.require(&names.each_ref().map(|names| names.as_slice()))?;
    let mut parts = vec![];
    for ((folders, split), names) in FOLDERS.into_iter().zip(names) {
        let file = raw.need(&names)?;
        let captions = csv_captions(&file, ["id", "caption"], bad)?;
        tables.push(file);
        let lines = (0..captions.len()).map(Some).collect();
        parts.push(Part { split, captions, lines, concepts: HashMap::new(), files: files1, folder: folders.join("|") });
    }
    Ok(parts)
}

/// The captions of a CSV with these columns of ids and captions.
fn csv_captions(file: &Entry, columns: [&str; 2], bad: &mut Vec<Draft>) -> Result<Vec<Captioned>, DataError> {
    let mut csv = Csv::open(file)?;
    let [id, caption] = csv.need(columns)?;
    let mut all = vec![];
    while let Some(row) = csv.next()? {
        let place = at(file, row.line);
        match &row.cells {
            Err(wrong) => bad.push(Draft::bad(place, wrong.cause.clone())),
            Ok(_) if row.get(id).is_empty() => bad.push(Draft::bad(place, format!("it has no `{}`", columns[0]))),
            Ok(_) => all.push(Captioned { id: row.get(id).into(), caption: collapsed(row.get(caption)), place }),
        }
    }
    Ok(all)
}

fn files1(folder: &str, id: &str) -> Vec<String> {
    let splits: Vec<&str> = folder.split('|').collect();
    names1(&splits, &format!("images/{id}.jpg"))
}

/// Ids of images by the names that MedICaT has for them: `<PMC id>_<file>`.
fn links(raw: &Raw, tables: &mut Vec<Entry>) -> Result<HashMap<String, String>, DataError> {
    let mut links = HashMap::new();
    for (splits, _) in FOLDERS {
        let names = names1(splits, "dlinks.txt");
        let Some(file) = raw.find(&strs(&names)) else { continue };
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
    (bad, details): (&mut Vec<Draft>, &mut Details),
) -> Result<Vec<Part>, DataError> {
    let splits = [("train", Split::Train), ("valid", Split::Validate), ("test", Split::Test)];
    let names = splits.map(|(name, _)| format!("{name}_captions.csv"));
    raw.require(&names.each_ref().map(|name| [name.as_str()]).each_ref().map(|one| one.as_slice()))?;
    let mut parts = vec![];
    for ((name, split), captions) in splits.into_iter().zip(names) {
        let file = raw.need(&[&captions])?;
        let all = csv_captions(&file, ["ID", "Caption"], bad)?;
        tables.push(file);
        let mut concepts: HashMap<String, Vec<String>> = HashMap::new();
        if let Some(file) = raw.find(&[&format!("{name}_concepts.csv")]) {
            let mut csv = Csv::open(&file)?;
            let [id, cuis] = csv.need(["ID", "CUIs"])?;
            while let Some(row) = csv.next()? {
                if let Err(wrong) = &row.cells {
                    details.add(ROWS_PASSED_OVER, at(&file, row.line), wrong.cause.clone());
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
        parts.push(Part { split, captions: all, lines, concepts, files, folder: name.into() });
    }
    Ok(parts)
}
