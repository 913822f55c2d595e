//! Escapes text for HTML.

/// Escapes `text` for use inside an element or a quoted attribute. Markup characters become entities; control characters and
/// characters that change the text direction become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + text.len() / 8);
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(letter),
            '\r' => {}
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if letter.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(letter),
        }
    }
    safe
}

/// The escaped first `most` characters of `text`; if the text is longer, a note gives its length.
pub fn escape_up_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => escape(text),
        Some((end, _)) => {
            let all = crate::format::count(text.chars().count() as u64);
            format!("{} <span class=\"cut\">… ({all} characters in total)</span>", escape(&text[..end]))
        }
    }
}

/// A dash for a value that is not defined, with an explanation in its tooltip and for screen readers.
pub fn undefined() -> &'static str {
    "<span class=\"undefined\" title=\"not defined here (not zero)\"><span aria-hidden=\"true\">–</span>\
     <span class=\"unseen\">not defined</span></span>"
}

/// `<tag class="class">text</tag>`, or nothing if the text is empty.
pub fn element(tag: &str, class: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<{tag} class=\"{class}\">{}</{tag}>\n", escape(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escape("<script>alert(\"a\" & 'b')</script>"),
            "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;"
        );
        assert_eq!(escape("\" onload=\"x"), "&quot; onload=&quot;x");
    }

    #[test]
    fn control_characters_are_replaced_and_others_kept() {
        assert_eq!(escape("a\0b\u{1b}[31m\r\nc\td\u{202e}e\u{85}"), "a\u{fffd}b\u{fffd}[31m\nc\td\u{fffd}e\u{fffd}");
        assert_eq!(escape("Größe 5 µm, 胸部 עברית"), "Größe 5 µm, 胸部 עברית");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(escape_up_to("äöü", 3), "äöü");
        let cut = escape_up_to(&"ä<".repeat(600), 3);
        assert!(cut.starts_with("ä&lt;ä <span") && cut.contains("1,200 characters"), "{cut}");
    }
}
