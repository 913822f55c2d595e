//! Image files that are stored in a table, as bytes or as base64 text.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ptu_input::FileForm;

/// The length of the shortest text that is read as an image. No image file is smaller, and hardly any path of this length has no
/// dot.
const MIN_LENGTH: usize = 64;

/// The standard alphabet, with or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether bytes begin like an image file. This includes image formats that are not supported; the decoder then names the format.
pub fn is_image_file(bytes: &[u8]) -> bool {
    matches!(FileForm::of(bytes), FileForm::Picture(_) | FileForm::Dicom | FileForm::Volume(_))
}

/// Decodes an image file from base64 or from a `data:` URL; `None` for any other text.
pub fn decode_base64_image(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let data_url = text.strip_prefix("data:image/").and_then(|rest| Some(rest.split_once(";base64,")?.1));
    let text = data_url.unwrap_or(text);
    if data_url.is_none() && (text.len() < MIN_LENGTH || text.contains('.')) {
        return None;
    }
    // Long base64 texts are often broken into lines.
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(packed).ok()?;
    (data_url.is_some() || is_image_file(&bytes)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::tests::png;

    #[test]
    fn only_base64_of_images_is_decoded() {
        let text = BASE64_STANDARD.encode(png(1));
        let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [text.clone(), lines.join("\r\n"), text.trim_end_matches('=').into(), format!(" {text}\n")] {
            assert_eq!(decode_base64_image(&text).unwrap(), png(1));
        }
        assert_eq!(decode_base64_image(&format!("data:image/png;base64,{text}")).unwrap(), png(1));
        // A `data:` URL says that it is an image. Whether it really is one, the decoder finds out.
        assert_eq!(decode_base64_image("data:image/png;base64,AAAA").unwrap(), [0; 3]);
        let long = "a/".repeat(50);
        let words = BASE64_STANDARD.encode("No picture but a sentence, which is long enough to be taken for one.");
        for text in ["", "img/a.png", "/9j/4AAQ", &long, &words, "data:image/png;base64,*", "data:image/svg+xml,<svg/>"]
        {
            assert!(decode_base64_image(text).is_none(), "{text}");
        }
    }

    #[test]
    fn image_files_are_recognised_by_their_first_bytes() {
        assert!(is_image_file(&png(2)) && is_image_file(b"RIFF\0\0\0\0WEBPVP8 ") && is_image_file(b"GIF89a\x01\0"));
        assert!(is_image_file(&[&[0; 128][..], b"DICM"].concat()));
        for bytes in [&b""[..], b"RIFF\0\0\0\0WAVE", b"\x89PN", b"words"] {
            assert!(!is_image_file(bytes), "{bytes:?}");
        }
    }
}
