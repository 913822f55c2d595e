//! Search over embedded vectors by an image, a text or both, among the rows that a filter keeps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::slice;

use ptu_data::picture::PictureLocation;
use ptu_data::vectors::{Modality, Space, VectorReader, VectorRow, VectorsHeader};
use ptu_data::{DataError, RecordImage};
use ptu_index::Exact;
use ptu_input::{Image, ImageFile, Input, Text};
use ptu_kernels::ComputePrecision;
use ptu_model::Bundle;

use crate::filter::FilterNotes;
use crate::{Embedder, Filter, InferError, Matcher};

/// Number of digits of a model's fingerprint that are shown.
const SHOWN: usize = 12;

/// Number of pairs that go through the fusion together.
const BATCH: usize = 16;

/// A file of vectors in memory.
pub struct VectorIndex {
    path: PathBuf,
    header: VectorsHeader,
    rows: Vec<VectorRow>,
    /// Names of the labels and fields of all rows.
    names: BTreeSet<String>,
    vectors: Exact,
}

/// The query of a search.
#[derive(Clone, Debug)]
pub struct Query {
    /// An image, a text or both.
    pub input: Input,
    /// Precision of the model's matrix products when it embeds the query.
    pub precision: ComputePrecision,
}

impl Query {
    /// A query that is embedded in f32.
    pub fn new(input: impl Into<Input>) -> Self {
        Self { input: input.into(), precision: ComputePrecision::F32 }
    }
}

/// Which rows are searched, and how many hits are returned.
#[derive(Clone, Debug)]
pub struct SearchOptions {
    /// Search only rows of this modality; `None` for all rows.
    pub modality: Option<Modality>,
    /// Search only rows that this filter keeps; `None` for all rows.
    pub filter: Option<Filter>,
    /// Largest number of hits.
    pub most: usize,
}

/// How many rows a search considers, and notes about the filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchCounts {
    /// Number of all vectors.
    pub vectors: usize,
    /// Number of vectors of the searched modality.
    pub of_modality: usize,
    /// Number of those that the filter keeps.
    pub kept: usize,
    /// Notes about values that do not fit the filter's comparisons.
    pub filter_notes: FilterNotes,
}

/// A result of a search.
#[derive(Clone, Copy, Debug)]
pub struct Hit<'a> {
    /// The row, without its vector.
    pub row: &'a VectorRow,
    /// Cosine similarity with the query.
    pub similarity: f32,
    /// ITM score (log-odds that the image and the text belong together) of the row and the query; `None` if the hits were not
    /// ranked by it.
    pub matching: Option<f32>,
}

impl VectorIndex {
    /// Reads a file of embedded vectors.
    ///
    /// # Errors
    /// If the file cannot be read, holds no vector, or holds a vector that is not finite.
    pub fn open(path: &Path) -> Result<Self, InferError> {
        let reader = VectorReader::open(path)?;
        let header = reader.header().clone();
        if header.space == Space::Encoder {
            let cause =
                "they are of an encoder alone, for probes and other programs; embed with `--space contrast` to search"
                    .into();
            return Err(InferError::Vectors { path: path.into(), cause });
        }
        let (mut rows, mut values, mut names) = (vec![], vec![], BTreeSet::new());
        for batch in reader {
            for mut row in batch? {
                if !row.vector.iter().all(|value| value.is_finite()) {
                    let cause = format!(
                        "the vector of `{}` is not finite; embed again with a model whose weights are finite",
                        row.id
                    );
                    return Err(InferError::Vectors { path: path.into(), cause });
                }
                values.append(&mut row.vector);
                row.vector = vec![];
                for label in row.labels.iter().chain(&row.fields) {
                    if !names.contains(&label.name) {
                        names.insert(label.name.clone());
                    }
                }
                rows.push(row);
            }
        }
        if rows.is_empty() {
            return Err(InferError::Vectors { path: path.into(), cause: "it holds no vector".into() });
        }
        Ok(Self { path: path.into(), vectors: Exact::new(header.width, values), header, rows, names })
    }

    /// The header of the file: model, kind of vectors, inputs.
    pub fn header(&self) -> &VectorsHeader {
        &self.header
    }

    /// All rows, without their vectors.
    pub fn rows(&self) -> &[VectorRow] {
        &self.rows
    }

    /// Refuses a model that did not make the vectors; `fingerprint` is [`Bundle::fingerprint`] of the folder `model`.
    ///
    /// # Errors
    /// If the vectors were made with another model.
    pub fn check_model(&self, model: &Path, fingerprint: &str) -> Result<(), InferError> {
        if self.header.model == fingerprint {
            return Ok(());
        }
        let short = |hash: &str| hash.chars().take(SHOWN).collect();
        let (found, wanted) = (short(&self.header.model), short(fingerprint));
        Err(InferError::OtherModel { vectors: self.path.clone(), found, model: model.into(), wanted })
    }

    /// Parses a filter. It may use the names of the labels and fields of this file.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn filter(&self, filter: &str) -> Result<Filter, InferError> {
        Filter::parse(filter, &self.names)
    }

    /// How many rows a search with these options considers, and notes about the filter for the user.
    pub fn looked(&self, options: &SearchOptions) -> SearchCounts {
        let of_modality =
            || self.rows.iter().filter(|row| options.modality.is_none_or(|modality| row.modality == modality));
        let kept = of_modality().filter(|row| options.filter.as_ref().is_none_or(|filter| filter.keeps(row))).count();
        let filter_notes =
            options.filter.as_ref().map_or_else(FilterNotes::default, |filter| filter.notes(of_modality()));
        SearchCounts { vectors: self.rows.len(), of_modality: of_modality().count(), kept, filter_notes }
    }

    /// The nearest rows, nearest first.
    ///
    /// # Panics
    /// If the query has another width than the vectors of the file.
    pub fn nearest(&self, query: &[f32], options: &SearchOptions) -> Vec<Hit<'_>> {
        let keep = |place: usize| {
            let row = &self.rows[place];
            options.modality.is_none_or(|modality| row.modality == modality)
                && options.filter.as_ref().is_none_or(|filter| filter.keeps(row))
        };
        let neighbours = self.vectors.nearest(query, options.most, keep).into_iter();
        neighbours
            .map(|one| Hit { row: &self.rows[one.position], similarity: one.similarity, matching: None })
            .collect()
    }
}

/// The vector of a query, in the space of the vectors that are searched. For an image with a text in the contrastive space it
/// is the sum of both vectors, which has the direction of their mean.
///
/// # Errors
/// If inputs do not fit the model, or the model has no ITC head and the space is the contrastive one.
pub fn query_vector(bundle: &Bundle, space: Space, query: &Query) -> Result<Vec<f32>, InferError> {
    let embedder = Embedder { precision: query.precision, ..Embedder::new(&bundle.model) };
    let mut modalities = vec![];
    match space {
        Space::Encoder => return Err(InferError::OneModality),
        Space::Features => modalities.extend(
            embedder.features(slice::from_ref(&query.input), 1, &mut |_| {})?.values.into_iter().map(f64::from),
        ),
        Space::Contrast => {
            let images: Vec<&Image> = query.input.image().into_iter().collect();
            let texts: Vec<&Text> = query.input.text().into_iter().collect();
            let vectors = [embedder.images(&images, 1, &mut |_| {})?, embedder.texts(&texts, 1, &mut |_| {})?];
            for vector in vectors.iter().flat_map(|vectors| vectors.rows()) {
                modalities.resize(vector.len(), 0.0);
                modalities.iter_mut().zip(vector).for_each(|(sum, value)| *sum += f64::from(*value));
            }
        }
    }
    Ok(modalities.into_iter().map(|value| value as f32).collect())
}

/// Reads the encoded picture of a row again from its location; `None` if it no longer exists.
pub type ReadPicture<'a> = &'a mut dyn FnMut(&PictureLocation) -> Result<Option<RecordImage>, DataError>;

/// Reranks hits by image-text matching. The fusion sees the query's image with each row's text, or the query's text with each
/// row's picture, which `read` gives.
///
/// # Errors
/// If the model has no ITM head, the query does not have the needed modality, hits are of both modalities, or the picture of a
/// row cannot be read any more.
pub fn rank_by_matching<'a>(
    bundle: &Bundle,
    query: &Query,
    hits: Vec<Hit<'a>>,
    read: ReadPicture<'_>,
) -> Result<Vec<Hit<'a>>, InferError> {
    let missing = |hits: &str, needed: &str| {
        InferError::Query(format!("matching compares an image with a text: to rank {hits} by it, search with {needed}"))
    };
    let texts_found = match hits.first() {
        None => return Ok(hits),
        Some(hit) => hit.row.modality == Modality::Text,
    };
    let (mut images, mut texts) = (vec![], vec![]);
    let processor = bundle.processor();
    let failed = |source: ptu_input::InputError| InferError::Query(source.to_string());
    for hit in &hits {
        match (hit.row.modality, &hit.row.text, &hit.row.picture) {
            (Modality::Text, Some(text), _) if texts_found => texts.push(processor.text(text).map_err(failed)?),
            (Modality::Image, _, Some(at)) if !texts_found => {
                let image = read(at)?;
                let lost = || InferError::Query(format!("the picture of record `{}` no longer exists", hit.row.id));
                let image = image.ok_or_else(lost)?;
                let file = ImageFile { bytes: &image.bytes, name: &hit.row.id };
                images.push(processor.image(file).map_err(failed)?);
            }
            _ => return Err(InferError::Query("matching ranks images or texts, not both; search one of them".into())),
        }
    }
    match texts_found {
        true => images.push(query.input.image().cloned().ok_or_else(|| missing("texts", "an image"))?),
        false => texts.push(query.input.text().cloned().ok_or_else(|| missing("images", "a text"))?),
    }
    let (image_refs, text_refs): (Vec<&Image>, Vec<&Text>) = (images.iter().collect(), texts.iter().collect());
    let matcher = Matcher::new(Embedder::new(&bundle.model), &image_refs, &text_refs, BATCH)?;
    let pairs: Vec<(usize, usize)> =
        (0..hits.len()).map(|place| if texts_found { (0, place) } else { (place, 0) }).collect();
    let mut ranked: Vec<Hit<'a>> = hits;
    ranked.iter_mut().zip(matcher.scores(&pairs, BATCH)).for_each(|(hit, score)| hit.matching = Some(score));
    ranked.sort_by(|one, other| other.matching.unwrap_or(f32::MIN).total_cmp(&one.matching.unwrap_or(f32::MIN)));
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use ptu_data::record::Label;
    use ptu_data::vectors::VectorWriter;

    use super::*;

    fn write(path: &Path, vectors: &[(&str, Modality, [f32; 2])]) {
        let header = VectorsHeader {
            model: "ab".into(),
            space: Space::Contrast,
            width: 2,
            inputs: String::new(),
            version: String::new(),
        };
        let mut writer = VectorWriter::create(path, &header).unwrap();
        for (id, modality, vector) in vectors {
            let labels = vec![Label { name: "finding".into(), value: id[..1].into() }];
            let (patient, source, vector) = ("p".into(), "s".into(), vector.to_vec());
            let (id, split, text, picture, path) = (id.to_string(), None, None, None, None);
            let (modality, fields) = (*modality, vec![Label::new("age", &id[1..])]);
            let row = VectorRow { id, modality, patient, source, split, labels, fields, text, picture, path, vector };
            writer.write(row).unwrap();
        }
        writer.finish(&[]).unwrap();
    }

    #[test]
    fn the_nearest_rows_that_the_filter_keeps_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let (image, text) = (Modality::Image, Modality::Text);
        write(
            &path,
            &[
                ("a1", image, [1.0, 0.1]),
                ("a2", text, [1.0, 0.0]),
                ("b1", image, [1.0, 0.0]),
                ("a3", image, [0.0, 2.0]),
            ],
        );
        let index = VectorIndex::open(&path).unwrap();
        let ids = |modality, filter: Option<&str>| {
            let filter = filter.map(|filter| index.filter(filter).unwrap());
            let hits = index.nearest(&[3.0, 0.0], &SearchOptions { modality, filter, most: 3 });
            hits.iter().map(|hit| hit.row.id.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(ids(None, None), ["a2", "b1", "a1"]);
        assert_eq!(ids(Some(image), Some("finding = 'a'")), ["a1", "a3"]);
        assert!(ids(Some(Modality::Pair), None).is_empty());
        let counts = |modality, filter: &str| {
            index.looked(&SearchOptions { modality, filter: Some(index.filter(filter).unwrap()), most: 1 })
        };
        let filter_notes = FilterNotes { no_numbers: [("finding".to_string(), 3)].into(), ..FilterNotes::default() };
        assert_eq!(
            counts(Some(image), "age < 3 and finding != 7"),
            SearchCounts { vectors: 4, of_modality: 3, kept: 2, filter_notes }
        );
        assert_eq!(counts(None, "age = 2").kept, 1);
        assert_eq!(counts(Some(Modality::Pair), "age = 2").of_modality, 0);
        assert!(index.filter("side = 'left'").unwrap_err().to_string().contains("`finding`"));
        index.check_model(Path::new("m"), "ab").unwrap();
        let error = index.check_model(Path::new("m"), "cd").unwrap_err().to_string();
        assert!(
            error.contains("v.parquet") && error.contains("another model (ab)") && error.contains("(cd)"),
            "{error}"
        );
    }

    #[test]
    fn files_without_usable_vectors_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.parquet");
        let fails = |vectors: &[(&str, Modality, [f32; 2])], with: &str| {
            write(&path, vectors);
            let error = VectorIndex::open(&path).err().unwrap().to_string();
            assert!(error.contains(with) && error.contains("v.parquet"), "{error}");
        };
        fails(
            &[("a", Modality::Image, [1.0, 0.0]), ("b", Modality::Image, [f32::NAN, 0.0])],
            "the vector of `b` is not finite",
        );
        fails(&[], "no vector");
    }
}
