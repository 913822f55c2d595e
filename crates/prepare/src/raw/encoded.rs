//! Files of images that stand within a table, as bytes or as text.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ptu_input::FileForm;

/// The shortest text that is taken for an image: no picture is smaller, and hardly a path is longer without a point.
const SHORTEST: usize = 64;

/// With or without the `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether bytes begin as the file of an image does, also of a kind that is not read: the decoder names it then.
pub fn is_image_file(bytes: &[u8]) -> bool {
    matches!(FileForm::of(bytes), FileForm::Picture(_) | FileForm::Dicom | FileForm::Volume(_))
}

/// The file of an image that a text is in base64, alone or as a `data:` address. `None` of any other text.
pub fn of_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let told = text.strip_prefix("data:image/").and_then(|rest| Some(rest.split_once(";base64,")?.1));
    let text = told.unwrap_or(text);
    if told.is_none() && (text.len() < SHORTEST || text.contains('.')) {
        return None;
    }
    // Long ones are often broken into lines.
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = BASE64.decode(packed).ok()?;
    (told.is_some() || is_image_file(&bytes)).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::tests::png;

    #[test]
    fn a_text_is_an_image_only_where_it_is_one() {
        let text = BASE64_STANDARD.encode(png(1));
        let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [text.clone(), lines.join("\r\n"), text.trim_end_matches('=').into(), format!(" {text}\n")] {
            assert_eq!(of_base64(&text).unwrap(), png(1));
        }
        assert_eq!(of_base64(&format!("data:image/png;base64,{text}")).unwrap(), png(1));
        // It says that it is one: what it is, the decoder tells.
        assert_eq!(of_base64("data:image/png;base64,AAAA").unwrap(), [0; 3]);
        let long = "a/".repeat(50);
        let words = BASE64_STANDARD.encode("No picture but a sentence, which is long enough to be taken for one.");
        for text in ["", "img/a.png", "/9j/4AAQ", &long, &words, "data:image/png;base64,*", "data:image/svg+xml,<svg/>"]
        {
            assert!(of_base64(text).is_none(), "{text}");
        }
    }

    #[test]
    fn files_of_images_are_known_by_their_start() {
        assert!(is_image_file(&png(2)) && is_image_file(b"RIFF\0\0\0\0WEBPVP8 ") && is_image_file(b"GIF89a\x01\0"));
        assert!(is_image_file(&[&[0; 128][..], b"DICM"].concat()));
        for bytes in [&b""[..], b"RIFF\0\0\0\0WAVE", b"\x89PN", b"words"] {
            assert!(!is_image_file(bytes), "{bytes:?}");
        }
    }
}
