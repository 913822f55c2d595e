use std::collections::BTreeMap;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use ptu_data::inputs::SkippedInput;
use ptu_data::picture::PictureLocation;

use super::*;
use crate::PictureReader;
use crate::tests::{png, write_folder};

/// The ids of the inputs that can be read, and the inputs that are skipped.
fn read(names: &[&Path], from: u64) -> (Vec<String>, Vec<SkippedInput>) {
    let names: Vec<PathBuf> = names.iter().map(|name| name.to_path_buf()).collect();
    let inputs = InputFiles::find(&names, &[]).unwrap();
    assert_eq!(inputs.stream(0).count() as u64, inputs.count());
    let (mut ids, mut skipped) = (vec![], vec![]);
    for pending in inputs.stream(from) {
        match pending.unwrap().load() {
            Ok(loaded) => ids.push(loaded.record.id.rsplit('/').next().unwrap().to_string()),
            Err(input) => skipped.push(input),
        }
    }
    (ids, skipped)
}

fn folder() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = here.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    (0..3).for_each(|number| write(&format!("in/b{number}.png"), &png(number)));
    write("in/a/note.TXT", b" Clear lungs. \n");
    write("in/a/empty.txt", b"\n");
    write("in/.hidden.png", b"");
    write("in/readme.md", b"no input");
    write("s.csv", b"text,split\nOne.,dev\n");
    write("t.csv", b"id,image,text,age\nr1,in/b0.png,One.,7\nr2,in/absent.png,Two.,8\nr3,,Three.,9\n");
    write_folder(&here.path().join("shards"), &["s1", "s2", "s3"]);
    here
}

#[test]
fn files_tables_and_shards_come_in_order_from_any_place() {
    let here = folder();
    let names = ["in", "t.csv", "shards"].map(|name| here.path().join(name));
    let names: Vec<&Path> = names.iter().map(PathBuf::as_path).collect();
    let (ids, skipped) = read(&names, 0);
    assert_eq!(ids, ["note.TXT", "b0.png", "b1.png", "b2.png", "r1", "r3", "s1", "s2", "s3"]);
    assert!(skipped[0].name.ends_with("empty.txt") && skipped[0].cause == "is empty", "{skipped:?}");
    assert!(skipped[1].name.ends_with("t.csv, line 3") && skipped[1].cause.contains("absent.png"), "{skipped:?}");
    assert_eq!((read(&names, 3).0, read(&names, 6).0.len()), (ids[2..].to_vec(), 4));
    assert_eq!((read(&names, 8).0, read(&names, 11).0), (ids[6..].to_vec(), vec![]));
}

#[test]
fn fields_splits_and_image_locations_are_loaded() {
    let here = folder();
    let load = |name: &str| {
        let inputs = InputFiles::find(&[here.path().join(name)], &[Split::Train]).unwrap();
        inputs.stream(0).next().unwrap().unwrap().load().unwrap()
    };
    let row = load("t.csv");
    assert_eq!((row.record.fields[0].name.as_str(), row.split), ("age", None));
    assert_eq!(row.picture, Some(PictureLocation::File(here.path().join("in/b0.png"))));
    let with_split = load("s.csv");
    let table = here.path().join("s.csv").display().to_string();
    assert_eq!((with_split.split, with_split.path), (Some(Split::Validate), Some(table)));
    assert_eq!(row.path, Some(here.path().join("in/b0.png").display().to_string()));
    let shard = load("shards");
    assert_eq!(shard.path, None, "these records have no path");
    let at = PictureLocation::Shards { folder: here.path().join("shards"), split: Split::Train, record: 0 };
    assert_eq!((shard.picture, shard.split), (Some(at), Some(Split::Train)));
}

#[test]
fn a_pattern_uses_every_file_that_it_matches() {
    let here = folder();
    fs::write(here.path().join("in/text.png"), "words").unwrap();
    let (ids, skipped) = read(&[&here.path().join("in/*.png")], 0);
    assert_eq!((ids.len(), skipped.len()), (4, 0), "the files of a pattern are checked later, by the decoder");
}

#[test]
fn errors_name_the_missing_input() {
    let here = folder();
    let fails = |name: &str, with: &str| {
        let path = here.path().join(name);
        let error = InputFiles::find(std::slice::from_ref(&path), &[]).err().unwrap().to_string();
        assert!(error.contains(with) && error.contains(&path.display().to_string()), "{error}");
    };
    fails("nowhere", "is not there");
    fails("in/*.jpg", "matches no file");
    fs::create_dir(here.path().join("void")).unwrap();
    fails("void", "contains no image");
    assert!(InputFiles::find(&[here.path().join("shards")], &[Split::Test]).is_err());
    assert!(InputFiles::find(&[], &[]).err().unwrap().to_string().contains("none is given"));
}

#[test]
fn changed_files_change_the_hash() {
    let here = folder();
    let hash = || InputFiles::find(&[here.path().join("in")], &[]).unwrap().hash().unwrap();
    let first = hash();
    assert_eq!(first, hash());
    fs::write(here.path().join("in/b1.png"), png(9)).unwrap();
    assert_ne!(first, hash());
}

/// Makes all folders below a folder readable again, so that they can be deleted.
#[cfg(unix)]
fn make_readable(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;

    for entry in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.file_type().unwrap().is_dir()) {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[cfg(not(unix))]
fn make_readable(_: &Path) {}

/// The names of the inputs that can be read, the reasons of the skipped inputs by name, and the notes.
type SearchResult = (Vec<String>, BTreeMap<String, String>, Vec<String>);

/// Creates a folder with these files and reads it as inputs.
fn search_folder(files: &[(&str, &[u8])], prepare: &dyn Fn(&Path)) -> SearchResult {
    let here = tempfile::tempdir().unwrap();
    let folder = here.path().join("in");
    fs::create_dir(&folder).unwrap();
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    prepare(&folder);
    let (ids, skipped) = read(&[&folder], 0);
    let name =
        |skipped: &SkippedInput| skipped.name.strip_prefix(&format!("{}/", folder.display())).unwrap().to_string();
    let notes = InputFiles::find(std::slice::from_ref(&folder), &[]).unwrap().notes().to_vec();
    make_readable(&folder);
    (ids, skipped.iter().map(|skipped| (name(skipped), skipped.cause.clone())).collect(), notes)
}

#[test]
fn an_image_is_recognised_by_its_content_whatever_its_name() {
    let jpeg = [b"\xFF\xD8\xFF\xE0\0\x10JFIF\0".as_slice(), &[0; 9]].concat();
    let (ids, skipped, notes) = search_folder(
        &[("a", &png(1)), ("b.jfif", &jpeg), ("c.PNG", &png(2)), ("d.dat", &png(3)), ("sub/1.2.840", &png(4))],
        &|_| {},
    );
    assert_eq!(ids, ["a", "b.jfif", "c.PNG", "d.dat", "1.2.840"]);
    assert!(skipped.is_empty() && notes.is_empty(), "{skipped:?} {notes:?}");
}

#[test]
fn unreadable_files_of_a_folder_are_skipped_with_a_reason() {
    let dicom = [&[0; 128], b"DICM".as_slice(), &[2, 0]].concat();
    let cases: [(&str, &[u8], &str); 13] = [
        ("a.dcm", &dicom, "is DICOM, which is not supported (PNG, JPEG, TIFF and WebP are): save its picture as PNG"),
        ("b", &dicom, "is DICOM"),
        ("c.ima", b"\x08\0\x05\0\x0a\0\0\0ISO", "is DICOM"),
        (
            "d.gif",
            b"GIF89a\x01\0\x01\0\x80\0\0",
            "is GIF, which is not supported (PNG, JPEG, TIFF and WebP are): save it as",
        ),
        ("e.bmp", b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", "is BMP"),
        ("f.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC"),
        ("g.nii.gz", b"\x1f\x8b\x08\0", "is NIfTI"),
        ("h.mha", b"ObjectType = Image\nNDims = 3\n\0\x01", "is MetaImage"),
        (
            "i.docx",
            b"PK\x03\x04\x14\0\0\0word/document.xml",
            "is a Word document (.docx), which is not supported: save its text",
        ),
        ("j.zip", b"PK\x03\x04\x14\0\0\0\0\0a.png", "is a ZIP archive"),
        ("k.report", b"The lungs are clear.", "is text without the ending `.txt`"),
        ("l", b"\0\x01\x02\x03", "is in an unknown format"),
        ("m", b"", "is empty (0 bytes)"),
    ];
    let files: Vec<(&str, &[u8])> = cases.iter().map(|(name, bytes, _)| (*name, *bytes)).collect();
    let (ids, skipped, notes) = search_folder(&files, &|_| {});
    assert!(ids.is_empty() && notes.is_empty() && skipped.len() == cases.len(), "{ids:?} {notes:?}");
    for (name, _, cause) in cases {
        let found = &skipped[name];
        assert!(found.starts_with(cause) && found.contains(':') | (name == "m"), "{name}: {found}");
    }
}

#[test]
fn other_files_of_a_folder_are_reported_and_are_not_inputs() {
    let (ids, skipped, notes) = search_folder(
        &[
            ("0.png", &png(1)),
            ("t.csv", b"image,text\n0.png,One.\n"),
            ("rows.json", b" [{\"text\": \"One.\"}]"),
            ("u.tsv.gz", b"\x1f\x8b\x08\0"),
            ("0.json", b"{\"Modality\": \"MR\"}"),
            ("sub/1.json", b"{\"Modality\": \"CT\"}"),
            ("README.md", b"Notes."),
            ("LICENSE", b"MIT"),
            (".DS_Store", b"\0"),
            ("sub/Thumbs.db", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"),
            (".cache/1.png", b""),
        ],
        &|folder| {
            write_folder(&folder.join("shards"), &["s"]);
        },
    );
    assert_eq!((ids, skipped.len(), notes.len()), (vec!["0.png".to_string()], 0, 3), "{skipped:?} {notes:?}");
    for name in
        ["in/rows.json`, ", "in/t.csv`, ", "in/u.tsv.gz`", "name it as the input, for example `", "in/rows.json`"]
    {
        assert!(notes[0].contains(name), "{name}: {}", notes[0]);
    }
    assert!(notes[1].contains("folders of shards") && notes[1].contains("in/shards`"), "{}", notes[1]);
    assert!(notes[2].ends_with("which are not read: 2 .json, 1 .md, 1 LICENSE, 3 hidden"), "{}", notes[2]);
    // An image is recognised even if it has the extension of an accompanying file.
    assert_eq!(search_folder(&[("a.json", &png(1)), ("b.md", &png(2))], &|_| {}).0, ["a.json", "b.md"]);
}

#[test]
fn the_error_for_a_folder_without_images_names_its_tables() {
    let here = folder();
    fs::create_dir(here.path().join("tables")).unwrap();
    fs::copy(here.path().join("t.csv"), here.path().join("tables/t.csv")).unwrap();
    let fails = |name: &str| InputFiles::find(&[here.path().join(name)], &[]).err().unwrap().to_string();
    let error = fails("tables");
    assert!(
        error.contains("contains no image") && error.contains("only if you name them as the input, for example `"),
        "{error}"
    );
    assert!(error.contains("tables/t.csv"), "{error}");
}

#[cfg(unix)]
#[test]
fn unreadable_entries_of_a_folder_do_not_affect_the_others() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let prepare = |folder: &Path| {
        symlink("nowhere.png", folder.join("dangling.png")).unwrap();
        symlink("nowhere", folder.join(".hidden")).unwrap();
        symlink("self.png", folder.join("self.png")).unwrap();
        symlink(folder, folder.join("sub/round")).unwrap();
        symlink(folder.join("sub"), folder.join("linked")).unwrap();
        fs::set_permissions(folder.join("locked"), fs::Permissions::from_mode(0o0)).unwrap();
    };
    let (ids, mut skipped, notes) = search_folder(
        &[("0.png", &png(1)), ("sub/1.png", &png(2)), ("locked/2.png", &png(3)), ("z.png", &png(4))],
        &prepare,
    );
    // The root user can read the locked folder.
    let is_root = ids.contains(&"2.png".to_string());
    if !is_root {
        let cause = skipped.remove("locked").unwrap();
        assert!(cause.contains("cannot be read") && cause.contains("allow this user"), "{cause}");
    }
    let wanted: &[&str] =
        if is_root { &["0.png", "1.png", "2.png", "1.png", "z.png"] } else { &["0.png", "1.png", "1.png", "z.png"] };
    assert_eq!(ids, wanted);
    let names: Vec<&str> = skipped.keys().map(String::as_str).collect();
    assert_eq!(names, ["dangling.png", "linked/round", "self.png", "sub/round"]);
    let dangling = "a link to a file that does not exist: correct or remove the link";
    assert!(skipped["dangling.png"].contains(dangling), "{skipped:?}");
    assert!(skipped["self.png"].contains("a link that cannot be followed"), "{skipped:?}");
    assert!(skipped["sub/round"].contains("a folder that contains the link: remove the link"), "{skipped:?}");
    assert!(notes[0].ends_with("1 hidden"), "{notes:?}");
}

#[cfg(unix)]
#[test]
fn folders_and_broken_links_that_a_pattern_matches_are_reported() {
    let here = folder();
    std::os::unix::fs::symlink("nowhere", here.path().join("in/x.png")).unwrap();
    let name = here.path().join("in/*");
    let (ids, skipped) = read(&[&name], 0);
    assert_eq!(ids, ["b0.png", "b1.png", "b2.png", "readme.md"], "the decoder refuses the last file later");
    assert!(skipped.len() == 1 && skipped[0].name.ends_with("x.png"), "{skipped:?}");
    assert!(skipped[0].cause.contains("does not exist: correct or remove the link"), "{skipped:?}");
    let notes = InputFiles::find(&[name], &[]).unwrap().notes().to_vec();
    assert!(notes[0].contains("matches folders too (1), which are not searched"), "{notes:?}");
    let notes = InputFiles::find(&[here.path().join("in/**/*.*")], &[]).unwrap().notes().to_vec();
    assert!(notes.is_empty(), "{notes:?}");
    let error = InputFiles::find(&[here.path().join("*n")], &[]).err().unwrap().to_string();
    assert!(error.contains("only folders (1)"), "{error}");
    let error = InputFiles::find(&[here.path().join("in/x.png")], &[]).err().unwrap().to_string();
    assert!(error.contains("is a link to a file that does not exist"), "{error}");
}

#[test]
fn a_missing_modality_is_known_before_reading() {
    let here = folder();
    let lacks = |name: &str, modality| InputFiles::find(&[here.path().join(name)], &[]).unwrap().lacks(modality);
    assert!(
        lacks("in/b0.png", Modality::Text)
            && lacks("in/b0.png", Modality::Pair)
            && !lacks("in/b0.png", Modality::Image)
    );
    assert!(
        lacks("in/a/note.TXT", Modality::Image)
            && !lacks("in/a/note.TXT", Modality::Text)
            && lacks("in", Modality::Pair)
    );
    assert!(!lacks("in", Modality::Text) && !lacks("t.csv", Modality::Pair) && !lacks("shards", Modality::Text));
}

/// Writes a parquet file that contains images, with two rows in each row group.
fn write_image_table(path: &Path, pictures: &[Option<Vec<u8>>]) {
    let images = BinaryArray::from_iter(pictures);
    let texts = StringArray::from_iter_values((0..pictures.len()).map(|row| format!("Report {row}.")));
    let splits = StringArray::from_iter_values(pictures.iter().map(|_| "test"));
    let columns: Vec<(&str, ArrayRef)> =
        vec![("image", Arc::new(images)), ("text", Arc::new(texts)), ("split", Arc::new(splits))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn images_within_a_table_are_read_again_by_their_row() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("t.parquet");
    let pictures = [Some(png(0)), Some(png(1)), None, Some(png(3)), Some(png(4))];
    write_image_table(&path, &pictures);
    let inputs = InputFiles::find(std::slice::from_ref(&path), &[]).unwrap();
    let found: Vec<Option<PictureLocation>> =
        inputs.stream(0).map(|pending| pending.unwrap().load().unwrap().picture).collect();
    assert_eq!(found[3], Some(PictureLocation::Table { table: path.clone(), row: 4 }));
    let mut read = PictureReader::default();
    let mut bytes = |at: &PictureLocation| read.read(at).unwrap().map(|image| image.bytes);
    for (at, picture) in found.iter().zip(&pictures) {
        assert_eq!(at.as_ref().map(|at| bytes(at).unwrap()), *picture);
    }
    // Rows that do not exist, or have no image.
    for row in [0, 3, 6, u64::MAX] {
        assert_eq!(bytes(&PictureLocation::Table { table: path.clone(), row }), None, "{row}");
    }
    fs::remove_file(&path).unwrap();
    let gone = PictureReader::default().read(&PictureLocation::Table { table: path, row: 1 }).unwrap_err().to_string();
    assert!(gone.contains("t.parquet"), "{gone}");
}
