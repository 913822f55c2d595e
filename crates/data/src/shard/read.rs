//! Reading of records from shards, at any position and from any thread.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;

use super::schema;
use crate::error::DataError;
use crate::files;
use crate::guard::{catch_panic, check_pages};
use crate::manifest::{Manifest, Shard};
use crate::record::{Record, Split};
use crate::source::Source;

/// The cause of the error for a shard on which the parquet decoder panicked.
const CONTRADICTORY: &str = "its contents contradict each other";

/// The number of records that are in memory at a time when all records are read.
const READ_RECORDS: usize = 16;

/// One split of a folder of shards.
///
/// Opening reads every shard once and compares its hash with the manifest, so the records of a damaged shard are never decoded.
/// After that, reading a record reads one page. If a shard and its manifest were both manipulated, assertions of the decoder can
/// fail; they become errors.
#[derive(Debug)]
pub struct ShardFolder {
    manifest: Manifest,
    split: Split,
    shards: Vec<ShardReader>,
    len: usize,
}

/// A shard whose parquet metadata is in memory. The file is opened for each read, so that threads do not share a file position.
#[derive(Debug)]
struct ShardReader {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Position in the split of the shard's first record.
    start: usize,
    /// For each row group, the position in the shard of its first record; the last entry is the number of records.
    groups: Vec<usize>,
}

impl ShardFolder {
    /// Opens one split of a folder and verifies its shards.
    ///
    /// # Errors
    /// When the folder has no manifest or no record of the split, or when a shard is missing, is damaged or has other columns.
    pub fn open(folder: &Path, split: Split) -> Result<Self, DataError> {
        let manifest = Manifest::read(folder)?;
        let (mut shards, mut len) = (vec![], 0);
        for shard in manifest.shards.iter().filter(|shard| shard.split == split) {
            let reader = ShardReader::open(folder.join(&shard.file), shard, len)?;
            len += reader.len();
            shards.push(reader);
        }
        if len == 0 {
            let others: Vec<&str> = manifest.splits.keys().map(|split| split.name()).collect();
            let cure = format!("it has `{}`; prepare it with a share for this split", others.join("`, `"));
            return Err(DataError::NoRecords { path: folder.to_path_buf(), split, cure });
        }
        Ok(Self { manifest, split, shards, len })
    }

    /// The manifest of the folder.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The ids of all records, in order; other columns are not read.
    ///
    /// # Errors
    /// When a shard cannot be read.
    pub fn ids(&self) -> Result<Vec<String>, DataError> {
        let mut ids = Vec::with_capacity(self.len);
        for shard in &self.shards {
            shard.ids(&mut ids)?;
        }
        Ok(ids)
    }

    /// The split that was opened.
    pub fn split(&self) -> Split {
        self.split
    }
}

impl Source for ShardFolder {
    fn name(&self) -> &str {
        &self.manifest.source
    }

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, index: usize) -> Result<Record, DataError> {
        let after = self.shards.partition_point(|shard| shard.start <= index);
        match after.checked_sub(1).and_then(|place| self.shards.get(place)) {
            Some(shard) if index < self.len => shard.read(index - shard.start, self.split),
            _ => Err(DataError::OutOfRange { source_name: self.name().to_string(), index, len: self.len }),
        }
    }

    /// The image column is not read.
    fn each_without_image(&self, each: &mut dyn FnMut(Record)) -> Result<(), DataError> {
        for shard in &self.shards {
            shard.each(self.split, false, &mut |record| {
                each(record);
                Ok(())
            })?;
        }
        Ok(())
    }
}

impl ShardReader {
    fn open(path: PathBuf, listed: &Shard, start: usize) -> Result<Self, DataError> {
        let wrong = |cause: String| DataError::Shard { path: path.clone(), cause };
        let file = File::open(&path).map_err(DataError::io("open", &path))?;
        let found = files::sha256(&file).map_err(DataError::io("read", &path))?;
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
        let metadata =
            catch_panic(|| ArrowReaderMetadata::load(&file, options)).ok_or_else(|| wrong(CONTRADICTORY.into()))?;
        // The schema is checked first: for a file that is not a shard, its columns say more than a wrong hash.
        if let Ok(metadata) = &metadata {
            schema::check(metadata.schema(), &path)?;
        }
        if found != listed.sha256 {
            return Err(DataError::Hash { path, found, wanted: listed.sha256.clone() });
        }
        let metadata = metadata.map_err(|error| wrong(format!("it is not a parquet file ({error})")))?;
        let pages =
            catch_panic(|| check_pages(&file, metadata.metadata())).ok_or_else(|| wrong(CONTRADICTORY.into()))?;
        pages.map_err(|error| wrong(format!("its pages cannot be read ({error})")))?;
        let mut groups = vec![0usize];
        for group in metadata.metadata().row_groups() {
            let rows =
                usize::try_from(group.num_rows()).map_err(|_| wrong("a row group has a negative length".into()))?;
            let end = groups[groups.len() - 1].checked_add(rows);
            groups.push(end.ok_or_else(|| wrong("its row groups are longer than memory".into()))?);
        }
        let reader = Self { path: path.clone(), metadata, start, groups };
        if reader.len() as u64 != listed.records {
            return Err(wrong(format!("it has {} records, but the manifest says {}", reader.len(), listed.records)));
        }
        Ok(reader)
    }

    fn len(&self) -> usize {
        self.groups[self.groups.len() - 1]
    }

    fn ids(&self, into: &mut Vec<String>) -> Result<(), DataError> {
        catch_panic(|| self.read_ids(into)).unwrap_or_else(|| Err(self.contradictory()))
    }

    fn contradictory(&self) -> DataError {
        DataError::Shard { path: self.path.clone(), cause: CONTRADICTORY.into() }
    }

    fn read_ids(&self, into: &mut Vec<String>) -> Result<(), DataError> {
        let wrong = |cause: String| DataError::Shard { path: self.path.clone(), cause };
        let file = File::open(&self.path).map_err(DataError::io("open", &self.path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let ids_only = ProjectionMask::columns(builder.parquet_schema(), ["id"]);
        for batch in builder.with_projection(ids_only).build().map_err(|error| wrong(error.to_string()))? {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            let ids = batch.column_by_name("id").and_then(|column| column.as_any().downcast_ref::<StringArray>());
            let ids = ids.ok_or_else(|| wrong("it has no ids".into()))?;
            into.extend(ids.iter().flatten().map(str::to_string));
        }
        Ok(())
    }

    /// Calls `each` with all records in order, with or without their images.
    fn each(
        &self,
        split: Split,
        images: bool,
        each: &mut dyn FnMut(Record) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let wrong = |cause: String| DataError::Shard { path: self.path.clone(), cause };
        let file = File::open(&self.path).map_err(DataError::io("open", &self.path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let names = schema::schema();
        let wanted = names.fields().iter().map(|field| field.name().as_str()).filter(|name| images || *name != "image");
        let columns = ProjectionMask::columns(builder.parquet_schema(), wanted);
        let batches = catch_panic(|| builder.with_projection(columns).with_batch_size(READ_RECORDS).build());
        let mut batches = batches.ok_or_else(|| self.contradictory())?.map_err(|error| wrong(error.to_string()))?;
        while let Some(batch) = catch_panic(|| batches.next()).ok_or_else(|| self.contradictory())? {
            let batch = batch.map_err(|error| wrong(error.to_string()))?;
            for row in 0..batch.num_rows() {
                let record = catch_panic(|| schema::to_record(&batch, row, split)).flatten();
                each(record.ok_or_else(|| wrong("a record cannot be read".into()))?)?;
            }
        }
        Ok(())
    }

    /// Reads the record at `row` of this shard, and only its pages.
    fn read(&self, row: usize, split: Split) -> Result<Record, DataError> {
        catch_panic(|| self.read_record(row, split)).unwrap_or_else(|| Err(self.contradictory()))
    }

    fn read_record(&self, row: usize, split: Split) -> Result<Record, DataError> {
        let wrong = |cause: String| DataError::Shard { path: self.path.clone(), cause };
        let group = self.groups.partition_point(|first| *first <= row) - 1;
        let before = row - self.groups[group];
        let selection = RowSelection::from(vec![RowSelector::skip(before), RowSelector::select(1)]);
        let file = File::open(&self.path).map_err(DataError::io("open", &self.path))?;
        let batch: Option<RecordBatch> =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_row_selection(selection)
                .with_batch_size(1)
                .build()
                .map_err(|error| wrong(error.to_string()))?
                .next()
                .transpose()
                .map_err(|error| wrong(error.to_string()))?;
        let record = batch.filter(|batch| batch.num_rows() == 1).and_then(|batch| schema::to_record(&batch, 0, split));
        record.ok_or_else(|| wrong(format!("record {row} cannot be read")))
    }
}

/// Checks the hash of one shard and calls `each` with all its records in order.
///
/// # Errors
/// When the shard is missing or damaged, or when `each` returns an error.
pub fn read_shard(
    folder: &Path,
    listed: &Shard,
    each: &mut dyn FnMut(Record) -> Result<(), DataError>,
) -> Result<(), DataError> {
    ShardReader::open(folder.join(&listed.file), listed, 0)?.each(listed.split, true, each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::MANIFEST_FILE;
    use crate::shard::{ShardWriter, WriterOptions};
    use crate::tests::{record, write_folder};

    #[test]
    fn every_record_can_be_read_from_several_threads() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let mut records: Vec<Record> = (0..700).map(|place| record(&format!("r{place}"))).collect();
        records[300].image = None;
        records[301].texts = vec![];
        records[302].image.as_mut().unwrap().bytes = vec![7; 100_000];
        let mut writer =
            ShardWriter::create(&out, WriterOptions { shard_bytes: 40_000, ..WriterOptions::new("test") }).unwrap();
        records.iter().for_each(|record| writer.write(record.clone()).unwrap());
        assert!(writer.finish().unwrap().shards.len() > 1);
        let folder = ShardFolder::open(&out, Split::Train).unwrap();
        assert_eq!((folder.len(), folder.name(), folder.split()), (700, "test", Split::Train));
        let features = folder.shards[0].metadata.schema().metadata().get("huggingface").cloned();
        assert_eq!(features.unwrap(), r#"{"info":{"features":{"image":{"_type":"Image"}}}}"#);
        std::thread::scope(|scope| {
            for part in 0..3 {
                let (folder, records) = (&folder, &records);
                scope.spawn(move || {
                    for index in (0..700).filter(|index| index % 3 == part) {
                        assert_eq!(folder.get(index).unwrap(), records[index]);
                    }
                });
            }
        });
        assert!(matches!(folder.get(700), Err(DataError::OutOfRange { index: 700, len: 700, .. })));
        let error = ShardFolder::open(&out, Split::Test).unwrap_err().to_string();
        assert!(error.contains("no records in split `test`: it has `train`"), "{error}");
    }

    #[test]
    fn damaged_and_other_files_are_errors() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let manifest = write_folder(&out, (0..20).map(|place| record(&format!("r{place}"))).collect());
        let file = out.join(&manifest.shards[0].file);
        let good = std::fs::read(&file).unwrap();
        let open = || ShardFolder::open(&out, Split::Train).map(|_| ()).map_err(|error| error.to_string());
        let mut bad = good.clone();
        bad[100] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let error = open().unwrap_err();
        assert!(error.contains("train-00000.parquet` is damaged"), "{error}");
        std::fs::write(&file, "not a parquet").unwrap();
        assert!(open().unwrap_err().contains("is damaged"));
        std::fs::remove_file(&file).unwrap();
        assert!(open().unwrap_err().contains("cannot open"));
        std::fs::write(&file, &good).unwrap();
        open().unwrap();
        let path = out.join(MANIFEST_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = serde_json::from_str::<Manifest>(&text).map(|mut manifest| {
            manifest.shards[0].records = 21;
            serde_json::to_string(&manifest).unwrap()
        });
        std::fs::write(&path, changed.unwrap()).unwrap();
        assert!(open().unwrap_err().contains("it has 20 records, but the manifest says 21"));
    }

    /// Found by the fuzz target `shard`: a column that starts before the start of the file.
    #[test]
    fn a_manipulated_shard_is_an_error() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let mut manifest = write_folder(&out, vec![record("a")]);
        let bytes = include_bytes!("../../tests/fixtures/crafted.parquet");
        std::fs::write(out.join(&manifest.shards[0].file), bytes).unwrap();
        manifest.shards[0].sha256 = files::sha256(bytes.as_slice()).unwrap();
        manifest.shards[0].records = 6;
        std::fs::write(out.join(MANIFEST_FILE), serde_json::to_string(&manifest).unwrap()).unwrap();
        let error = ShardFolder::open(&out, Split::Train).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("its contents contradict each other; run `prepare` again"), "{error}");
    }

    /// Any change in a shard is found by its hash. What is parsed before that for the message neither panics nor allocates
    /// much memory.
    #[test]
    fn every_changed_byte_is_detected() {
        let here = tempfile::tempdir().unwrap();
        let out = here.path().join("out");
        let manifest = write_folder(&out, (0..20).map(|place| record(&format!("r{place}"))).collect());
        let file = out.join(&manifest.shards[0].file);
        let good = std::fs::read(&file).unwrap();
        let mut stream = ptu_random::Key::new(1).stream(ptu_random::Place::Sample, 0);
        for round in 0..1_000 {
            let mut bad = good.clone();
            // Every second time, the change is in the metadata at the end of the file, which is parsed.
            let from = if round % 2 == 0 { 0 } else { bad.len() - 2_000 };
            for _ in 0..1 + stream.below(3) {
                let place = from + stream.below(bad.len() - from);
                bad[place] ^= 1 << stream.below(8);
            }
            if bad != good {
                std::fs::write(&file, &bad).unwrap();
                let error = ShardFolder::open(&out, Split::Train).unwrap_err();
                assert!(matches!(error, DataError::Hash { .. } | DataError::Schema { .. }), "{error}");
            }
        }
    }
}
