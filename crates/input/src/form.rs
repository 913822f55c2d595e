//! [`FileForm`]: the format of a file by its first bytes; the file name is not used.
//!
//! This crate has its own table of signatures, because the crate `file-format` 0.29 does not recognise ZIP, BMP, HDF5, ORC, NumPy
//! or NIfTI files by their first bytes, nor pointer files of Git LFS and git-annex.

use std::fmt;

use FileForm::{Columns, Document, Packed, Picture, Spreadsheet, Volume};

/// The format of a file, by its first bytes. [`fmt::Display`] gives words that complete the sentence "`x` is ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileForm {
    /// The file has no bytes.
    Empty,
    /// A pointer file of Git LFS instead of the file itself.
    LfsPointer,
    /// A pointer file of git-annex (DataLad) instead of the file itself.
    AnnexPointer,
    /// HTML.
    WebPage,
    /// XML other than SVG.
    Xml,
    /// UTF-16 text, recognised by a byte order mark or by its zero bytes.
    Utf16,
    /// Any other text, in UTF-8 or with one byte per character.
    Text,
    /// An image or a video, with the name of its format.
    Picture(&'static str),
    /// DICOM, with or without the 128-byte preamble before its signature.
    Dicom,
    /// A volume or an array in a research format.
    Volume(&'static str),
    /// A document with pages.
    Document(&'static str),
    /// A workbook.
    Spreadsheet(&'static str),
    /// A compressed file or an archive.
    Packed(Packing),
    /// A table or arrays in a binary format.
    Columns(&'static str),
    /// None of these.
    Unknown,
}

/// How a file is compressed or archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// `.gz`, also `.tar.gz` and `.nii.gz`.
    Gzip,
    /// `.zip`.
    Zip,
    /// `.xz`.
    Xz,
    /// `.zst`.
    Zstandard,
    /// `.bz2`.
    Bzip2,
    /// `.lz4`.
    Lz4,
    /// `.7z`.
    SevenZip,
    /// `.rar`.
    Rar,
    /// `.tar`.
    Tar,
}

/// A format, the position of its signature in the file, and the signature (magic bytes).
type Signature = (FileForm, usize, &'static [u8]);

/// The signatures of the formats, the more specific ones first. A signature of readable characters is used only if the rest
/// of the file's start is not text.
const SIGNATURES: &[Signature] = &[
    (Picture("PNG"), 0, b"\x89PNG\r\n\x1a\n"),
    (Picture("JPEG-LS"), 0, b"\xFF\xD8\xFF\xF7"),
    (Picture("JPEG"), 0, b"\xFF\xD8\xFF"),
    (Picture("JPEG 2000"), 0, b"\0\0\0\x0cjP  \r\n\x87\n"),
    (Picture("JPEG 2000"), 0, b"\xFF\x4F\xFF\x51"),
    (Picture("JPEG XL"), 0, b"\0\0\0\x0cJXL \r\n\x87\n"),
    (Picture("JPEG XL"), 0, b"\xFF\x0A"),
    (Picture("JPEG XR"), 0, b"II\xBC"),
    (Picture("a camera's raw picture (CR2)"), 0, b"II*\0\x10\0\0\0CR"),
    (Picture("BigTIFF"), 0, b"II+\0"),
    (Picture("BigTIFF"), 0, b"MM\0+"),
    (Picture("TIFF"), 0, b"II*\0"),
    (Picture("TIFF"), 0, b"MM\0*"),
    (Picture("AVIF"), 4, b"ftypavi"),
    (Picture("HEIC"), 4, b"ftyphei"),
    (Picture("HEIC"), 4, b"ftyphev"),
    (Picture("HEIF"), 4, b"ftypmif1"),
    (Picture("HEIF"), 4, b"ftypmsf1"),
    (Picture("a video (MP4 or QuickTime)"), 4, b"ftyp"),
    (Picture("a video (Matroska or WebM)"), 0, b"\x1A\x45\xDF\xA3"),
    (Picture("WebP"), 8, b"WEBP"),
    (Picture("a video (AVI)"), 8, b"AVI LIST"),
    (Picture("GIF"), 0, b"GIF87a"),
    (Picture("GIF"), 0, b"GIF89a"),
    (Picture("Photoshop"), 0, b"8BPS"),
    (Picture("an icon (ICO)"), 0, b"\0\0\x01\0"),
    (Picture("OpenEXR"), 0, b"\x76\x2F\x31\x01"),
    (Picture("Radiance HDR"), 0, b"#?RADIANCE"),
    (Picture("QOI"), 0, b"qoif"),
    (Picture("DDS"), 0, b"DDS "),
    (Picture("EPS"), 0, b"\xC5\xD0\xD3\xC6"),
    (FileForm::Dicom, 128, b"DICM"),
    (Volume("NIfTI"), 344, b"n+1\0"),
    (Volume("NIfTI"), 344, b"ni1\0"),
    (Volume("NIfTI"), 4, b"n+2\0\r\n\x1a\n"),
    (Volume("NRRD"), 0, b"NRRD000"),
    (Volume("FITS"), 0, b"SIMPLE  ="),
    (Volume("MATLAB"), 0, b"MATLAB 5.0 MAT-file"),
    (Packed(Packing::Gzip), 0, b"\x1F\x8B"),
    (Packed(Packing::Xz), 0, b"\xFD7zXZ\0"),
    (Packed(Packing::Zstandard), 0, b"\x28\xB5\x2F\xFD"),
    (Packed(Packing::Bzip2), 4, b"1AY&SY"),
    (Packed(Packing::Lz4), 0, b"\x04\x22\x4D\x18"),
    (Packed(Packing::SevenZip), 0, b"7z\xBC\xAF\x27\x1C"),
    (Packed(Packing::Rar), 0, b"Rar!\x1A\x07"),
    (Packed(Packing::Zip), 0, b"PK\x03\x04"),
    (Packed(Packing::Zip), 0, b"PK\x05\x06"),
    (Packed(Packing::Tar), 257, b"ustar"),
    (Spreadsheet("an old Office file (.xls, .doc or .ppt)"), 0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1"),
    (Columns("Parquet"), 0, b"PAR1"),
    (Columns("Arrow or Feather"), 0, b"ARROW1"),
    (Columns("Feather"), 0, b"FEA1"),
    (Columns("ORC"), 0, b"ORC"),
    (Columns("Avro"), 0, b"Obj\x01"),
    (Columns("HDF5"), 0, b"\x89HDF\r\n\x1a\n"),
    (Columns("NumPy"), 0, b"\x93NUMPY"),
    (Columns("SQLite"), 0, b"SQLite format 3\0"),
    (Columns("Stata"), 0, b"<stata_dta>"),
    (Columns("SPSS"), 0, b"$FL2"),
    (Columns("SPSS"), 0, b"$FL3"),
    // Signatures of two letters are the least specific, so they come last.
    (Picture("BMP"), 0, b"BM"),
    (Picture("PNM"), 0, b"P5"),
    (Picture("PNM"), 0, b"P6"),
];

impl FileForm {
    /// The number of first bytes that are enough to recognise a format. A shorter file can be given completely.
    pub const ENOUGH: usize = 4096;

    /// The format of a file with these first bytes. At most [`FileForm::ENOUGH`] bytes are used, except to find the kind of a
    /// JPEG, which may come after large segments of metadata.
    pub fn of(bytes: &[u8]) -> Self {
        let start = &bytes[..bytes.len().min(Self::ENOUGH)];
        if start.is_empty() {
            return Self::Empty;
        }
        let text = start.iter().all(|byte| readable(*byte) || *byte >= 0x80);
        let found = SIGNATURES.iter().find(|(_, at, signature)| {
            let matches = start.get(*at..).is_some_and(|rest| rest.starts_with(signature));
            matches && !(text && signature.iter().all(|byte| readable(*byte)))
        });
        match found {
            Some((Packed(Packing::Zip), ..)) => zip_form(start),
            Some((Picture("JPEG"), ..)) => Picture(jpeg_kind(bytes)),
            Some((form, ..)) => *form,
            None if text => text_form(start),
            None if is_dicom_without_preamble(start) => Self::Dicom,
            None if is_utf16(start) => Self::Utf16,
            // In PDF and PostScript files, bytes that are not text follow soon after the first line.
            None => document_form(start).unwrap_or(Self::Unknown),
        }
    }

    /// What the user can do if a file of another format is needed.
    pub fn cure(self) -> &'static str {
        match self {
            Self::Empty => "download it again",
            Self::LfsPointer => "run `git lfs pull` in its repository",
            Self::AnnexPointer => "run `git annex get` (or `datalad get`) in its repository",
            Self::WebPage => "download it again: the server may need a login, or it answered with an error",
            Self::Xml | Self::Text => "download it again, or correct its path",
            Self::Utf16 => "save it as UTF-8",
            Picture("SVG") => "convert it to PNG",
            Picture(name) if name.starts_with("a video") => "save its pictures as PNG",
            Picture(_) => "save it as PNG of 8 or 16 bits",
            Self::Dicom => "save its picture as PNG of 16 bits, for example with `pydicom` or `dcmtk`",
            Volume(_) => "save its slices as PNG of 16 bits",
            Document(_) => "save its pictures as PNG and its tables as CSV",
            Spreadsheet(_) => "save its table as CSV (UTF-8)",
            Packed(_) => "unpack it",
            Columns(_) => "save it as Parquet, CSV or JSON lines",
            Self::Unknown => "download it again",
        }
    }
}

impl fmt::Display for FileForm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "empty (0 bytes)",
            Self::LfsPointer => "a Git LFS pointer, not the file itself",
            Self::AnnexPointer => "a git-annex pointer, not the file itself",
            Self::WebPage => "a web page (HTML)",
            Self::Xml => "XML",
            Self::Utf16 => "UTF-16 text",
            Self::Text => "text",
            Self::Dicom => "DICOM",
            Picture(name) | Volume(name) | Document(name) | Spreadsheet(name) | Columns(name) => name,
            Packed(packing) => packing.description(),
            Self::Unknown => "of unknown bytes, or the start of a damaged file",
        })
    }
}

impl Packing {
    /// Words that complete the sentence "`x` is ...".
    fn description(self) -> &'static str {
        match self {
            Self::Gzip => "packed with gzip",
            Self::Zip => "a ZIP archive",
            Self::Xz => "packed with xz",
            Self::Zstandard => "packed with zstd",
            Self::Bzip2 => "packed with bzip2",
            Self::Lz4 => "packed with lz4",
            Self::SevenZip => "a 7z archive",
            Self::Rar => "a RAR archive",
            Self::Tar => "a tar archive",
        }
    }
}

fn readable(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

/// Whether the bytes contain this text, in upper or lower case.
fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

/// The kind of JPEG, by the marker at the start of its frame (ITU T.81, table B.1). 8 bits with Huffman coding is the usual kind.
fn jpeg_kind(bytes: &[u8]) -> &'static str {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low, precision]) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        match marker {
            0xFF => at += 1,
            0xF7 => return "JPEG-LS",
            0xC3 => return "lossless JPEG",
            0xC0..=0xC2 if precision != 8 => return "JPEG of more than 8 bits",
            0xC5..=0xC7 | 0xCD..=0xCF => return "hierarchical JPEG",
            0xC9..=0xCB => return "JPEG in arithmetic code",
            0xC0..=0xC2 | 0xDA => break,
            0x01 | 0xD0..=0xD9 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    "JPEG"
}

/// The possible starts of a web page.
const HTML: [&[u8]; 6] = [b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta"];

/// The format of a file whose start is readable text.
fn text_form(start: &[u8]) -> FileForm {
    let text = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start).trim_ascii_start();
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if begins(b"version https://git-lfs") || begins(b"version https://hawser") {
        FileForm::LfsPointer
    } else if begins(b"/annex/objects/") || (text.len() < 1024 && contains(text, b"/annex/objects/")) {
        FileForm::AnnexPointer
    } else if let Some(document) = document_form(text) {
        document
    } else if HTML.iter().any(|tag| begins(tag)) || (begins(b"<?xml") || begins(b"<!--")) && contains(text, b"<html") {
        FileForm::WebPage
    } else if begins(b"<svg") || (begins(b"<?xml") || begins(b"<!")) && contains(text, b"<svg") {
        Picture("SVG")
    } else if begins(b"<?xml") || begins(b"<!doctype") {
        FileForm::Xml
    } else {
        FileForm::Text
    }
}

/// Document formats whose first line is text.
fn document_form(start: &[u8]) -> Option<FileForm> {
    let forms = [(Document("a PDF"), "%PDF-"), (Document("PostScript"), "%!PS"), (Document("RTF"), "{\\rtf")];
    forms.into_iter().find(|(_, signature)| start.starts_with(signature.as_bytes())).map(|(form, _)| form)
}

/// The format of a ZIP file, by the names of its first files.
fn zip_form(start: &[u8]) -> FileForm {
    if contains(start, b"opendocument.spreadsheet") {
        Spreadsheet("an OpenDocument workbook (.ods)")
    } else if contains(start, b"xl/") {
        Spreadsheet("an Excel workbook (.xlsx)")
    } else if contains(start, b"word/") {
        Document("a Word document (.docx)")
    } else if contains(start, b"[Content_Types].xml") {
        Spreadsheet("an Office file (.xlsx, .docx or .pptx)")
    } else if contains(start, b".npy") {
        Columns("NumPy (.npz)")
    } else {
        Packed(Packing::Zip)
    }
}

/// Whether the bytes are DICOM without preamble and signature: the first element is of group 2 or 8 and has a type of two capital
/// letters.
fn is_dicom_without_preamble(start: &[u8]) -> bool {
    matches!(start, [2 | 8, 0, _, 0, first, second, ..] if first.is_ascii_uppercase() && second.is_ascii_uppercase())
}

/// Whether the bytes are UTF-16: they have a byte order mark, or every second byte is zero and the others are readable.
fn is_utf16(start: &[u8]) -> bool {
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        return true;
    }
    let pairs = start.len() / 2;
    let zero_at =
        |place: usize| start.chunks_exact(2).filter(|pair| pair[place] == 0 && readable(pair[1 - place])).count();
    pairs >= 2 && [0, 1].into_iter().any(|place| zero_at(place) * 10 >= pairs * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(count: usize, signature: &[u8]) -> Vec<u8> {
        [vec![0; count].as_slice(), signature].concat()
    }

    #[test]
    fn formats_are_recognised_by_their_first_bytes() {
        // First bytes as in the definitions of the formats.
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty (0 bytes)"),
            (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000"),
            (b"\xFF\x4F\xFF\x51\0\x29\0\0", "JPEG 2000"),
            (b"\xFF\xD8\xFF\xF7\0\x0b", "JPEG-LS"),
            (b"\xFF\xD8\xFF\xE0\0\x10JFIF\0", "JPEG"),
            (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
            (b"\xFF\x0A\x7F\0", "JPEG XL"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
            (b"\0\0\0\x18ftypmif1\0\0\0\0", "HEIF"),
            (b"\0\0\0\x18ftypisom\0\0\0\0", "a video (MP4 or QuickTime)"),
            (b"GIF89a\x01\0\x01\0\x80", "GIF"),
            (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0", "BMP"),
            (b"II+\0\x08\0\0\0", "BigTIFF"),
            (b"P5\n2 2\n255\n\0\x01\x02\x03", "PNM"),
            (b"<?xml version=\"1.0\"?>\n<!-- a drawing -->\n<svg>", "SVG"),
            (b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", "a PDF"),
            (b"%PDF-1.7\n%\0\x01\n", "a PDF"),
            (b"\xEF\xBB\xBF<!DOCTYPE HTML><html>", "a web page (HTML)"),
            (b"\n\n<HTML><body>404</body>", "a web page (HTML)"),
            (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>", "XML"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
                "a Git LFS pointer, not the file itself",
            ),
            (b"/annex/objects/SHA256E-s3--00.png\n", "a git-annex pointer, not the file itself"),
            (b"\x1f\x8b\x08\0", "packed with gzip"),
            (b"BZh91AY&SY\x81\0", "packed with bzip2"),
            (b"\xfd7zXZ\0\0", "packed with xz"),
            (b"\x28\xb5\x2f\xfd\x04", "packed with zstd"),
            (b"\x04\x22\x4d\x18\x64", "packed with lz4"),
            (b"PK\x03\x04\x14\0\0\0\0\0a.png", "a ZIP archive"),
            (b"PK\x03\x04\x14\0\0\0xl/workbook.xml", "an Excel workbook (.xlsx)"),
            (
                b"PK\x03\x04\x14\0\0\0mimetypeapplication/vnd.oasis.opendocument.spreadsheet",
                "an OpenDocument workbook (.ods)",
            ),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Office file (.xls, .doc or .ppt)"),
            (b"PAR1\x15\x04\x15", "Parquet"),
            (b"ORC\x0a\x03\0", "ORC"),
            (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
            (b"\x93NUMPY\x01\0", "NumPy"),
            (b"NRRD0004\n\0\x01", "NRRD"),
            (b"\x08\0\x05\0CS\x0a\0ISO_IR 100", "DICOM"),
            (b"\xff\xfei\0m\0", "UTF-16 text"),
            (b"i\0m\0a\0g\0e\0,\0\n\0", "UTF-16 text"),
            (b"\0i\0m\0a\0g\0e\0,\0\n", "UTF-16 text"),
            (&[0, 1, 2, 3], "of unknown bytes, or the start of a damaged file"),
        ];
        for (start, words) in cases {
            assert_eq!(FileForm::of(start).to_string(), *words, "{start:?}");
            assert!(!FileForm::of(start).cure().is_empty());
        }
        assert_eq!(FileForm::of(&after(128, b"DICM")), FileForm::Dicom);
        assert_eq!(FileForm::of(&after(257, b"ustar\x0000")), Packed(Packing::Tar));
        assert_eq!(FileForm::of(&after(344, b"n+1\0")), Volume("NIfTI"));
    }

    #[test]
    fn kinds_of_jpeg_are_recognised_after_other_segments() {
        let frame = |marker: u8, precision: u8| {
            let metadata = [b"\xFF\xD8\xFF\xE1\x20\x02".as_slice(), &[0; 0x2000]].concat();
            FileForm::of(&[&metadata, [0xFF, marker, 0, 11, precision, 0, 1, 0, 1].as_slice()].concat()).to_string()
        };
        let kinds = [
            (0xC0, 8, "JPEG"),
            (0xC2, 8, "JPEG"),
            (0xC1, 12, "JPEG of more than 8 bits"),
            (0xC3, 16, "lossless JPEG"),
            (0xC9, 8, "JPEG in arithmetic code"),
            (0xF7, 16, "JPEG-LS"),
        ];
        for (marker, precision, words) in kinds {
            assert_eq!(frame(marker, precision), words);
        }
    }

    #[test]
    fn texts_that_start_like_a_signature_are_text() {
        for text in [
            "BM is short for bone marrow",
            "GIF89a is what it was",
            "ORC,image,text",
            "P5 is a patient\n1,2",
            "PAR1,PAR2\n",
            "8BPS",
            "version 2 of the table",
            "see https://git-lfs.github.com",
            "<5 mm nodule",
            "caf\u{e9}",
        ] {
            assert_eq!(FileForm::of(text.as_bytes()), FileForm::Text, "{text}");
        }
    }

    #[test]
    fn any_bytes_have_a_form() {
        let mut random = ptu_random::Key::new(3).stream(ptu_random::Place::Sample, 0);
        for length in 0..600 {
            let bytes: Vec<u8> = (0..length).map(|_| random.next_u32() as u8).collect();
            assert!(!FileForm::of(&bytes).to_string().is_empty());
        }
    }
}
