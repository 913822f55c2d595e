//! ChemProt (Krallinger et al., 2017; docs/layouts.md, section 14).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ptu_data::record::{Label, Mark, Record, Section, Split};
use ptu_data::{DataError, shortened};
use ptu_input::text::sentences;

use super::helpers::{line_position, new_record};
use super::{DatasetRows, Description, Details};
use crate::draft::{Draft, RowPosition};
use crate::raw::json_lines::Jsonl;
use crate::raw::lines::Lines;
use crate::raw::{Entry, Raw};

pub const ABOUT: Description = Description {
    name: "chemprot",
    title: "ChemProt: relations of chemicals and proteins",
    what: "Sentences of PubMed abstracts with a chemical and a gene, and their relation: CPR:3, 4, 5, 6, 9 or none (`false`).",
    licence: "public domain mark, according to BigBio; registration is required",
    access: "after registration: BioCreative VI track 5, ChemProt_Corpus.zip; or the copies of BLUE or SciBERT",
    layout: "\
train.tsv  dev.tsv  test.tsv         the form of BLUE: index, sentence, label
or train.txt  dev.txt  test.txt      the form of SciBERT (JSON lines; without `false`)
or ChemProt_Corpus/
  chemprot_training/chemprot_training_{abstracts,entities,gold_standard}.tsv
  chemprot_development/..  chemprot_test_gs/chemprot_test_{abstracts_gs,entities_gs,gold_standard}.tsv",
    records: "one for each pair of a chemical and a gene: the sentence, in which `@CHEMICAL$` and `@GENE$` replace \
              the two and are stored as marks, and the label `relation`",
    splits: "as published, by abstract",
    counts: "4,154 / 2,416 / 3,458 relations; with false 18,035 / 11,268 / 15,745",
    citation: "Krallinger et al., BioCreative VI 2017",
    tars: &[],
};

const SPLITS: [(&str, Split); 3] = [("train", Split::Train), ("dev", Split::Validate), ("test", Split::Test)];

/// The classes of relations.
const GROUPS: [&str; 6] = ["CPR:3", "CPR:4", "CPR:5", "CPR:6", "CPR:9", "false"];

const CHEMICAL: &str = "@CHEMICAL$";
const GENE: &str = "@GENE$";
const BOTH: &str = "@CHEMICAL-GENE$";

pub fn open(raw: &Arc<Raw>) -> Result<DatasetRows, DataError> {
    if raw.find(&["train.tsv"]).is_some() {
        return blue_rows(raw);
    }
    if raw.find(&["train.txt"]).is_some() {
        return scibert_rows(raw);
    }
    if raw.find(&["chemprot_training_abstracts.tsv", "chemprot_training/chemprot_training_abstracts.tsv"]).is_some() {
        return corpus_rows(raw);
    }
    let forms = "`train.tsv` (BLUE), `train.txt` (SciBERT) or `chemprot_training_abstracts.tsv` (ChemProt_Corpus)";
    Err(raw.without(vec![forms.into()]))
}

fn blue_rows(raw: &Raw) -> Result<DatasetRows, DataError> {
    let names = SPLITS.map(|(name, _)| format!("{name}.tsv"));
    raw.require(&names.each_ref().map(|name| [name.as_str()]).each_ref().map(|one| one.as_slice()))?;
    let (mut rows, mut tables) = (vec![], vec![]);
    for (name, (_, split)) in names.iter().zip(SPLITS) {
        let file = raw.need(&[name])?;
        Lines::open(&file)?.each(|line| {
            let position = line_position(&file, line.number);
            match line.fields('\t')[..] {
                ["index", ..] | [""] => {}
                [index, sentence, label] if GROUPS.contains(&label.trim()) => {
                    let sentence = sentence.replace("@CHEM-GENE$", BOTH);
                    rows.push(Draft::read(position, pair_record(index, split, &sentence, label.trim()), None));
                }
                [_, _, label] => {
                    rows.push(Draft::bad(position, format!("`{}` is not a relation", shortened(label, 40))))
                }
                _ => rows.push(Draft::bad(position, "the line does not have three fields")),
            }
        })?;
        tables.push(file);
    }
    Ok(DatasetRows::published_splits(rows, tables, &["splits are those published (the form of BLUE)"]))
}

/// The record of a chemical and a gene in a sentence. Their marks are found in the sentence.
fn pair_record(index: &str, split: Split, sentence: &str, label: &str) -> Record {
    let mut record = new_record(ABOUT.name, format!("{split}/{index}"), split);
    record.patient = index.split('.').next().unwrap_or(index).to_string();
    record.labels.push(Label::new("relation", label));
    for (kind, mark) in [("CHEMICAL", CHEMICAL), ("GENE", GENE), ("CHEMICAL-GENE", BOTH)] {
        record.marks.extend(sentence.match_indices(mark).map(|(start, found)| {
            let start = sentence[..start].chars().count() as u32;
            Mark { kind: kind.into(), start, end: start + found.chars().count() as u32 }
        }));
    }
    record.marks.sort_by_key(|mark| mark.start);
    record.texts.push(sentence.trim().to_string());
    record.sections.push(Section::Text);
    record
}

fn scibert_rows(raw: &Raw) -> Result<DatasetRows, DataError> {
    let names = SPLITS.map(|(name, _)| format!("{name}.txt"));
    raw.require(&names.each_ref().map(|name| [name.as_str()]).each_ref().map(|one| one.as_slice()))?;
    let (mut rows, mut tables) = (vec![], vec![]);
    for (name, (_, split)) in names.iter().zip(SPLITS) {
        let file = raw.need(&[name])?;
        let mut lines = Jsonl::open(&file)?;
        while let Some(object) = lines.object()? {
            let position = line_position(&file, lines.line());
            let record = object.map_err(|bad| bad.cause).and_then(|object| {
                let object = serde_json::Value::Object(object);
                let (text, label) =
                    (super::helpers::string_value(&object, "text"), super::helpers::string_value(&object, "label"));
                let group = relation_group(&label).ok_or(format!("`{}` is not a relation", shortened(&label, 40)))?;
                let mut record = pair_record(&lines.line().to_string(), split, "", group);
                (record.texts[0], record.marks) =
                    parse_marked_text(&text).ok_or("an entity is not marked by `<< >>` and `[[ ]]`")?;
                record.fields.push(Label::new("relation-name", label));
                Ok(record)
            });
            rows.push(match record {
                Ok(record) => Draft::read(position, record, None),
                Err(cause) => Draft::bad(position, cause),
            });
        }
        tables.push(file);
    }
    let preprocessing = [
        "splits are those published (the form of SciBERT)",
        "this form has no pairs without a relation, so no record has the relation `false`",
    ];
    Ok(DatasetRows::published_splits(rows, tables, &preprocessing))
}

/// The class of a relation, from its name in the corpus.
fn relation_group(name: &str) -> Option<&'static str> {
    Some(match name {
        "UPREGULATOR" | "ACTIVATOR" | "INDIRECT-UPREGULATOR" => "CPR:3",
        "DOWNREGULATOR" | "INHIBITOR" | "INDIRECT-DOWNREGULATOR" => "CPR:4",
        "AGONIST" | "AGONIST-ACTIVATOR" | "AGONIST-INHIBITOR" => "CPR:5",
        "ANTAGONIST" => "CPR:6",
        "SUBSTRATE" | "PRODUCT-OF" | "SUBSTRATE_PRODUCT-OF" => "CPR:9",
        _ => return None,
    })
}

/// The text without `<< >>` and `[[ ]]`, and the positions of the two marked entities in it. `None` if not exactly two entities
/// are marked.
fn parse_marked_text(text: &str) -> Option<(String, Vec<Mark>)> {
    let (mut plain, mut marks, mut rest) = (String::new(), vec![], text);
    while let Some(start) = ["<< ", "[[ "].iter().filter_map(|open| rest.find(open)).min() {
        let (kind, close) = if rest[start..].starts_with('<') { ("first", " >>") } else { ("second", " ]]") };
        plain.push_str(&rest[..start]);
        let inner = &rest[start + 3..];
        let end = inner.find(close)?;
        let from = plain.chars().count() as u32;
        plain.push_str(&inner[..end]);
        marks.push(Mark { kind: kind.into(), start: from, end: plain.chars().count() as u32 });
        rest = &inner[end + 3..];
    }
    plain.push_str(rest);
    (marks.len() == 2).then_some((plain, marks))
}

/// A chemical or a gene in an abstract; positions are in characters.
#[derive(Clone)]
struct Entity {
    id: String,
    chemical: bool,
    start: usize,
    end: usize,
}

/// An abstract of the corpus.
struct AbstractText<'a> {
    pmid: &'a str,
    split: Split,
    /// Title and text.
    whole: &'a str,
}

/// What is done to the files of the corpus.
const PREPROCESSING: [&str; 2] = [
    "splits are those published",
    "this program splits texts into sentences, so counts differ a little from BLUE's; all chemicals and genes of a \
     sentence form pairs",
];

fn corpus_rows(raw: &Raw) -> Result<DatasetRows, DataError> {
    let folders = [("training", "", Split::Train), ("development", "", Split::Validate), ("test", "_gs", Split::Test)];
    let names = |folder: &str, gs: &str, kind: &str| {
        let gs_of = if kind == "gold_standard" { "" } else { gs };
        let name = format!("chemprot_{folder}_{kind}{gs_of}.tsv");
        [format!("chemprot_{folder}{gs}/{name}"), name]
    };
    let kinds = ["abstracts", "entities", "gold_standard"];
    let wanted: Vec<[String; 2]> =
        folders.iter().flat_map(|(folder, gs, _)| kinds.map(|kind| names(folder, gs, kind))).collect();
    let wanted: Vec<[&str; 2]> = wanted.iter().map(|two| [two[0].as_str(), two[1].as_str()]).collect();
    raw.require(&wanted.iter().map(|names| names.as_slice()).collect::<Vec<_>>())?;
    let (mut rows, mut tables, mut details) = (vec![], vec![], Details::default());
    for (folder, gs, split) in folders {
        let mut file = |kind: &str| {
            let names = names(folder, gs, kind);
            let file = raw.need(&[&names[0], &names[1]])?;
            tables.push(file.clone());
            Ok::<Entry, DataError>(file)
        };
        let [abstracts, entities_file, gold] = [file(kinds[0])?, file(kinds[1])?, file(kinds[2])?];
        let mut entities: HashMap<String, Vec<Entity>> = HashMap::new();
        Lines::open(&entities_file)?.each(|line| match line.fields('\t')[..] {
            [pmid, id, kind, start, end, _] => match (start.trim().parse(), end.trim().parse()) {
                (Ok(start), Ok(end)) if start <= end => {
                    let one = Entity { id: id.into(), chemical: kind == "CHEMICAL", start, end };
                    entities.entry(pmid.to_string()).or_default().push(one);
                }
                _ => rows.push(Draft::bad(
                    line_position(&entities_file, line.number),
                    format!("`{start}` to `{end}` is not a range of a text"),
                )),
            },
            _ => rows.push(Draft::bad(line_position(&entities_file, line.number), "the line does not have six fields")),
        })?;
        let mut relations: BTreeMap<[String; 3], Vec<String>> = BTreeMap::new();
        Lines::open(&gold)?.each(|line| match line.fields('\t')[..] {
            [pmid, group, first, second] => {
                let id = |argument: &str| argument.trim().rsplit(':').next().unwrap_or_default().to_string();
                let groups = relations.entry([pmid.to_string(), id(first), id(second)]).or_default();
                if GROUPS.contains(&group) && !groups.iter().any(|one| one == group) {
                    groups.push(group.to_string());
                }
            }
            _ => rows.push(Draft::bad(line_position(&gold, line.number), "the line does not have four fields")),
        })?;
        Lines::open(&abstracts)?.each(|line| match line.fields('\t')[..] {
            [pmid, title, text] => {
                let whole = format!("{title} {text}");
                let entities = entities.remove(pmid).unwrap_or_default();
                let text = AbstractText { pmid, split, whole: &whole };
                add_pairs(&text, &entities, &relations, &mut rows, &mut details);
            }
            _ => rows.push(Draft::bad(line_position(&abstracts, line.number), "the line does not have three fields")),
        })?;
    }
    Ok(DatasetRows { details, ..DatasetRows::published_splits(rows, tables, &PREPROCESSING) })
}

/// Adds the pairs of an abstract to `rows`, and its relations between two sentences, which are not used, to `details`.
fn add_pairs(
    text: &AbstractText<'_>,
    entities: &[Entity],
    relations: &BTreeMap<[String; 3], Vec<String>>,
    rows: &mut Vec<Draft>,
    details: &mut Details,
) {
    let AbstractText { pmid, split, whole } = *text;
    let mut within = HashSet::new();
    let mut from = 0;
    for sentence in sentences(whole) {
        // The sentences are substrings of the whole text, in order.
        let Some(at) = whole[from..].find(sentence).map(|at| at + from) else { continue };
        from = at + sentence.len();
        let start = whole[..at].chars().count();
        let end = start + sentence.chars().count();
        let inside: Vec<&Entity> = entities.iter().filter(|one| one.start >= start && one.end <= end).collect();
        for chemical in inside.iter().filter(|one| one.chemical) {
            for gene in inside.iter().filter(|one| !one.chemical) {
                let key = [pmid.to_string(), chemical.id.clone(), gene.id.clone()];
                let known = relations.get(&key);
                within.insert(key.clone());
                let groups = known.cloned().filter(|groups| !groups.is_empty()).unwrap_or(vec!["false".into()]);
                let masked = mask_entities(sentence, start, chemical, gene);
                for (number, group) in groups.iter().enumerate() {
                    let more = if number == 0 { String::new() } else { format!(".{number}") };
                    let index = format!("{pmid}.{}.{}{more}", chemical.id, gene.id);
                    rows.push(Draft::read(
                        RowPosition::Named(index.clone()),
                        pair_record(&index, split, &masked, group),
                        None,
                    ));
                }
            }
        }
    }
    for (key, groups) in relations.iter().filter(|(key, _)| key[0] == pmid && !within.contains(*key)) {
        for group in groups {
            let cause =
                format!("{group}: {} and {} are not in one sentence", shortened(&key[1], 40), shortened(&key[2], 40));
            details.add("relations-over-two-sentences-left-out", format!("abstract {pmid}"), cause);
        }
    }
}

/// The sentence, which starts at character `start` of the abstract, with both entities replaced by their marks, or by one common
/// mark if they overlap.
fn mask_entities(sentence: &str, start: usize, chemical: &Entity, gene: &Entity) -> String {
    let characters: Vec<char> = sentence.chars().collect();
    let cut = |one: &Entity| (one.start - start, one.end - start);
    let (c, g) = (cut(chemical), cut(gene));
    let mut places = match c.0 < g.1 && g.0 < c.1 {
        true => vec![(c.0.min(g.0), c.1.max(g.1), BOTH)],
        false => vec![(c.0, c.1, CHEMICAL), (g.0, g.1, GENE)],
    };
    places.sort();
    let (mut text, mut from) = (String::new(), 0);
    for (start, end, mark) in places {
        text.extend(&characters[from.min(start)..start]);
        text.push_str(mark);
        from = end;
    }
    text.extend(&characters[from..]);
    text
}
