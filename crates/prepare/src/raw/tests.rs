use std::io::Write;

use super::*;

/// Writes a zip file with these members.
fn zip(path: &Path, members: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for (name, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn open(path: &Path, scratch: &Path) -> Raw {
    Raw::open(path, &["set"], scratch).unwrap()
}

fn read(raw: &Raw, name: &str) -> Option<String> {
    raw.find(&[name]).map(|entry| String::from_utf8(entry.bytes(1 << 20).unwrap()).unwrap())
}

#[test]
fn the_files_of_a_layout_are_found_in_folders_and_archives() {
    let here = tempfile::tempdir().unwrap();
    let files: [(&str, &[u8]); 3] =
        [("Set1.0/train.json", b"[1]"), ("Set1.0/images/A.JPG", b"picture"), ("Set1.0/more/deep.txt", b"text")];
    let at = |name: &str| here.path().join(name);
    for (name, bytes) in files {
        let path = at("unpacked").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::create_dir_all(at("zipped")).unwrap();
    zip(&at("zipped/Set1.0.zip"), &files);
    fs::create_dir_all(at("tarred")).unwrap();
    let mut tar = tar::Builder::new(vec![]);
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    fs::write(at("tarred/set.tar.gz"), gzip(&tar.into_inner().unwrap())).unwrap();
    let roots = ["unpacked", "unpacked/Set1.0", "zipped", "zipped/Set1.0.zip", "tarred", "tarred/set.tar.gz"];
    for root in roots {
        let raw = open(&at(root), &at("scratch"));
        assert_eq!(read(&raw, "train.json").as_deref(), Some("[1]"), "{root}");
        assert_eq!(read(&raw, "images/a.jpg").as_deref(), Some("picture"), "{root}");
        assert_eq!(raw.list("more", ".txt").keys().collect::<Vec<_>>(), ["deep.txt"], "{root}");
        assert_eq!(raw.list("images", ".txt").len(), 0, "{root}");
        let error = raw.require(&[&["train.json"], &["a.csv", "b.csv"], &["c.csv"]]).unwrap_err().to_string();
        assert!(error.contains("does not contain `a.csv` or `b.csv`, `c.csv`; `prepare --describe`"), "{error}");
    }
}

#[test]
fn zips_within_zips_and_gzipped_tables_are_read() {
    let here = tempfile::tempdir().unwrap();
    let inner = here.path().join("inner.zip");
    zip(&inner, &[("inner/x.tsv", b"1\t2")]);
    let root = here.path().join("root");
    fs::create_dir_all(&root).unwrap();
    zip(&root.join("Corpus.zip"), &[("Corpus/inner.zip", &fs::read(&inner).unwrap()), ("Corpus/README", b"")]);
    fs::write(root.join("t.csv.gz"), gzip(b"a,b\n1,2\n")).unwrap();
    let raw = open(&root, &here.path().join("scratch"));
    assert_eq!(read(&raw, "inner/x.tsv").as_deref(), Some("1\t2"));
    assert_eq!(read(&raw, "x.tsv").as_deref(), Some("1\t2"));
    assert_eq!(read(&raw, "t.csv").as_deref(), Some("a,b\n1,2\n"));
}

#[test]
fn files_outside_the_download_are_never_read() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("secret"), "secret").unwrap();
    let root = here.path().join("root");
    fs::create_dir_all(&root).unwrap();
    zip(&root.join("a.zip"), &[("../secret", b"x"), ("/etc/name", b"x"), ("good", b"x")]);
    let mut tar = tar::Builder::new(vec![]);
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "link", "../../secret").unwrap();
    let mut climbs = tar::Header::new_gnu();
    climbs.set_size(1);
    climbs.as_gnu_mut().unwrap().name[..9].copy_from_slice(b"../climbs");
    climbs.set_cksum();
    tar.append(&climbs, &b"x"[..]).unwrap();
    fs::write(root.join("set.tar"), tar.into_inner().unwrap()).unwrap();
    let scratch = here.path().join("scratch");
    let raw = open(&root, &scratch);
    assert!(read(&raw, "good").is_some());
    for name in ["../secret", "secret", "/etc/name", "link", "climbs", "../climbs", ""] {
        assert!(raw.find(&[name]).is_none(), "{name}");
    }
    assert!(!scratch.join("climbs").exists() && !here.path().join("climbs").exists());
}

#[test]
fn zip_bombs_and_incomplete_archives_are_errors() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().join("root");
    fs::create_dir_all(&root).unwrap();
    let blanks = vec![b' '; 40 << 20];
    fs::write(root.join("bomb.csv.gz"), gzip(&blanks)).unwrap();
    zip(&root.join("a.zip"), &[("bomb.txt", &blanks)]);
    let raw = open(&root, &here.path().join("scratch"));
    for name in ["bomb.csv", "bomb.txt"] {
        let Err(Unread::Because(cause)) = raw.find(&[name]).unwrap().bytes(1 << 30) else { panic!("{name}") };
        assert!(cause.contains("is it a zip bomb?"), "{cause}");
        let mut all = vec![];
        assert!(raw.find(&[name]).unwrap().open().unwrap().read_to_end(&mut all).is_err());
        assert!(all.len() <= 17 << 20, "{}", all.len());
    }
    let whole = fs::read(root.join("a.zip")).unwrap();
    fs::write(root.join("a.zip"), &whole[..whole.len() / 2]).unwrap();
    let error = Raw::open(&root, &[], &here.path().join("scratch")).unwrap_err().to_string();
    assert!(error.contains("a.zip` is not a complete zip file") && error.contains("interrupted?"), "{error}");
    fs::remove_file(root.join("a.zip")).unwrap();
    let packed = gzip(&[7; 10_000]);
    fs::write(root.join("set.tgz"), &packed[..packed.len() / 2]).unwrap();
    let error = Raw::open(&root, &["set"], &here.path().join("scratch")).unwrap_err().to_string();
    assert!(error.contains("set.tgz` cannot be unpacked"), "{error}");
}

#[test]
fn a_damaged_member_is_an_error_because_of_its_checksum() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("a.zip");
    let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("t.txt", options).unwrap();
    archive.write_all(b"the text").unwrap();
    archive.finish().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(8).position(|window| window == b"the text").unwrap();
    bytes[place] = b'T';
    fs::write(&path, bytes).unwrap();
    let raw = open(&path, here.path());
    let Err(Unread::Because(cause)) = raw.find(&["t.txt"]).unwrap().bytes(100) else { panic!() };
    assert!(cause.contains("checksum is wrong"), "{cause}");
}

#[test]
fn only_line_ends_end_lines_and_other_bytes_are_read_as_latin_1() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("t.txt");
    fs::write(&path, b"\xef\xbb\xbfone\tx\r\ntwo \"q\xe2\x80\xa8\n\ncaf\xe9").unwrap();
    let mut lines = lines::Lines::open(&Entry::file(&path)).unwrap();
    let mut all = vec![];
    lines.each(|line| all.push((line.number, line.text, line.latin))).unwrap();
    let wanted = [(1, "one\tx"), (2, "two \"q\u{2028}"), (3, ""), (4, "café")];
    assert_eq!(all, wanted.map(|(number, text)| (number, text.to_string(), number == 4)));
    fs::write(&path, vec![b'x'; 9 << 20]).unwrap();
    let error = lines::Lines::open(&Entry::file(&path)).unwrap().next().err().unwrap().to_string();
    assert!(error.contains("line 1: the line is longer than 8 MiB"), "{error}");
}
