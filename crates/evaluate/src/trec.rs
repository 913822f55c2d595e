//! Rankings as files: TREC run files and relevance judgements (qrels), which `trec_eval`, `ranx` and `pytrec_eval` read, and the rank of
//! each query.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use ptu_model::files::write_bytes;
use serde::Serialize;

use crate::EvaluateError;
use crate::gallery::{Pair, Query};
use crate::retrieval::Ranking;
use crate::run::Evaluated;
use crate::scores::names;

/// The file with the rank of each query.
pub const RANKS: &str = "ranks.jsonl";

/// Largest number of candidates of a query in a run file, as in TREC.
const DEPTH: usize = 1000;

/// The ending of the directions of reranked results in [`RANKS`].
const RERANKED: &str = "-reranked";

/// The last column of a run file.
const TAG: &str = "ptunifier";

/// The rank of one query.
#[derive(Serialize)]
struct RankLine<'a> {
    gallery: &'a str,
    /// The direction: `image-to-text` or `text-to-image`; with `-reranked` after reranking by matching.
    direction: &'a str,
    id: &'a str,
    patient: &'a str,
    /// Rank of the best hit, from 1; null if the gallery has no hit.
    rank: Option<usize>,
    /// Number of hits in the gallery.
    hits: usize,
}

/// Writes the retrieval results of galleries into a folder, which is created if it does not exist. Each gallery and direction gives a
/// run file (`QUERY Q0 CANDIDATE RANK SCORE TAG`, the first 1,000 candidates) and a file of relevance judgements (`QUERY 0 CANDIDATE
/// 1`); [`RANKS`] has the rank of each query. Galleries without retrieval results are skipped. Spaces and percent signs in ids are
/// percent-encoded, because columns are separated by spaces.
///
/// R@k and MRR of this crate are `hit_rate@k` and `mrr` of `ranx`, up to candidates with equal scores: here a hit counts behind wrong
/// candidates with the same score, and programs that read the files may order them otherwise.
///
/// # Errors
/// If a file cannot be written, or the folder holds something else than earlier rankings.
pub fn write_rankings(evaluated: &[Evaluated], folder: &Path) -> Result<(), EvaluateError> {
    check_folder(folder)?;
    let failed = |source| ptu_model::ModelError::File { action: "create", path: folder.into(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (mut ranks, mut stems): (Vec<u8>, Vec<String>) = (vec![], vec![]);
    for one in evaluated {
        let stem = stem(&one.name, &stems);
        for (direction, query) in [(names::IMAGE_TO_TEXT, Query::Image), (names::TEXT_TO_IMAGE, Query::Text)] {
            let Some(files) = Files::of(one, direction, query) else { continue };
            write_bytes(&folder.join(format!("{stem}-{direction}.run")), files.run.as_bytes())?;
            write_bytes(&folder.join(format!("{stem}-{direction}.qrels")), files.judgements.as_bytes())?;
            ranks.extend(files.ranks);
        }
        stems.push(stem);
    }
    Ok(write_bytes(&folder.join(RANKS), &ranks)?)
}

/// Refuses a folder with files of somebody else. Rankings that were written before are replaced: each run file ends its lines with our
/// tag.
///
/// # Errors
/// [`EvaluateError::NotRankings`].
pub fn check_folder(folder: &Path) -> Result<(), EvaluateError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let has_ending = |path: &Path, ending: &str| path.extension().is_some_and(|found| found == ending);
    let is_ours = |path: &Path| {
        let line = std::fs::File::open(path).ok().and_then(|file| BufReader::new(file).lines().next()?.ok());
        line.is_some_and(|line| line.ends_with(TAG))
    };
    let runs: Vec<&PathBuf> = paths.iter().filter(|path| has_ending(path, "run")).collect();
    let is_known = |path: &PathBuf| {
        has_ending(path, "run") || has_ending(path, "qrels") || path.file_name().is_some_and(|name| name == RANKS)
    };
    let holds_rankings = !runs.is_empty() && runs.iter().all(|path| is_ours(path)) && paths.iter().all(is_known);
    if paths.is_empty() || holds_rankings { Ok(()) } else { Err(EvaluateError::NotRankings { path: folder.into() }) }
}

/// The content of the files of one gallery and direction.
#[derive(Default)]
struct Files {
    run: String,
    judgements: String,
    ranks: Vec<u8>,
}

impl Files {
    /// `None` if the gallery has no retrieval results.
    fn of(evaluated: &Evaluated, direction: &str, query: Query) -> Option<Self> {
        let (gallery, ranking) = (&evaluated.gallery, evaluated.retrieval.as_ref()?.of(query));
        let ids: Vec<String> = gallery.records.iter().map(|pair| encoded(&pair.id)).collect();
        let (mut files, mut counts) = (Self::default(), vec![]);
        for (row, scores) in ranking.similarity.chunks_exact(ids.len()).enumerate() {
            let hits: Vec<bool> = (0..ids.len()).map(|item| gallery.is_hit(query, row, item)).collect();
            counts.push(hits.iter().filter(|hit| **hit).count());
            let mut items: Vec<usize> = (0..ids.len()).collect();
            // A hit comes after wrong candidates with the same score, as its rank counts them.
            items.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(hits[*a].cmp(&hits[*b])));
            for (place, &item) in items.iter().take(DEPTH).enumerate() {
                let (rank, score) = (place + 1, scores[item]);
                line(&mut files.run, format_args!("{} Q0 {} {rank} {score} {TAG}", ids[row], ids[item]));
            }
            for item in (0..ids.len()).filter(|item| hits[*item]) {
                line(&mut files.judgements, format_args!("{} 0 {} 1", ids[row], ids[item]));
            }
        }
        files.ranks = rank_lines(evaluated, direction, ranking, &counts);
        if let Some(reranked) = &evaluated.reranked {
            let direction = format!("{direction}{RERANKED}");
            files.ranks.extend(rank_lines(evaluated, &direction, reranked.of(query), &counts));
        }
        Some(files)
    }
}

/// The lines of [`RANKS`] for one direction; `hits` has the number of hits of each query.
fn rank_lines(evaluated: &Evaluated, direction: &str, ranking: &Ranking, hits: &[usize]) -> Vec<u8> {
    let line = |((pair, rank), &hits): ((&Pair, &Option<usize>), &usize)| {
        let (gallery, rank) = (&evaluated.name, rank.map(|rank| rank + 1));
        let rank = RankLine { gallery, direction, id: &pair.id, patient: &pair.patient, rank, hits };
        let mut line = serde_json::to_vec(&rank).expect("a line is plain data");
        line.push(b'\n');
        line
    };
    evaluated.gallery.records.iter().zip(&ranking.ranks).zip(hits).flat_map(line).collect()
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes any text");
}

/// The id without spaces.
fn encoded(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for letter in id.chars() {
        if letter == '%' || letter.is_whitespace() || letter.is_control() {
            let mut bytes = [0; 4];
            letter.encode_utf8(&mut bytes).bytes().for_each(|byte| {
                write!(text, "%{byte:02X}").expect("a string takes any text");
            });
        } else {
            text.push(letter);
        }
    }
    text
}

/// The beginning of the names of a gallery's files: its name, with `-` for everything but letters and digits; a number is added if
/// another gallery has the same.
fn stem(name: &str, others: &[String]) -> String {
    let plain: String =
        name.chars().map(|letter| if letter.is_alphanumeric() || letter == '_' { letter } else { '-' }).collect();
    let numbered = (2..).map(|number| format!("{plain}-{number}"));
    let mut names = std::iter::once(plain.clone()).chain(numbered);
    names.find(|name| !others.contains(name)).expect("there are more numbers than galleries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_fit_into_columns_and_file_names() {
        assert_eq!(encoded("a b%\u{a0}c/\u{e9}"), "a%20b%25%C2%A0c/\u{e9}");
        assert_eq!(stem("phantom ct/1", &[]), "phantom-ct-1");
        assert_eq!(stem("phantom ct/1", &["phantom-ct-1".into(), "phantom-ct-1-2".into()]), "phantom-ct-1-3");
    }
}
