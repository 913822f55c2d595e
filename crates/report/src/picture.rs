//! Images inside the page.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::html::escape;

/// An `img` element that contains the image as a data URI, or a note if the bytes are not a PNG file.
pub fn picture(png: &[u8], description: &str) -> String {
    let alternative = escape(description);
    match size(png) {
        Some((width, height)) => format!(
            "<img src=\"data:image/png;base64,{}\" width=\"{width}\" height=\"{height}\" alt=\"{alternative}\"/>",
            STANDARD.encode(png)
        ),
        None => format!("<p class=\"unreadable\">not a PNG image: {alternative}</p>"),
    }
}

/// Serialises the bytes of an image as base64 text, for examples in JSON files.
pub mod in_base64 {
    use base64::Engine;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::STANDARD;

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(png: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match png {
            Some(png) => serializer.serialize_some(&STANDARD.encode(png)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text: Option<String> = Deserialize::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}

/// Width and height from the header of a PNG file; `None` for other bytes, and if a side is 0.
fn size(png: &[u8]) -> Option<(u32, u32)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let (width, height) = (number(0)?, number(4)?);
    (width > 0 && height > 0).then_some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_is_embedded_with_its_size() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\0\0\0\0\x40rest";
        let html = picture(png, "a \"hand\"");
        assert!(html.contains("width=\"256\" height=\"64\" alt=\"a &quot;hand&quot;\""), "{html}");
    }

    #[test]
    fn other_bytes_give_a_note_and_are_not_embedded() {
        for bytes in [&b""[..], b"<svg onload=\"x\"/>", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0"] {
            let html = picture(bytes, "hand");
            assert!(html.contains("not a PNG") && !html.contains("data:"), "{html}");
        }
    }
}
