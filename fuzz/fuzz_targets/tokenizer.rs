//! A folder of a tokenizer: its files, parted by a byte that no UTF-8 has; read or refused, then used.
#![no_main]

use ptu_fuzz::Place;
use ptu_input::Tokenizer;

const FILES: [&str; 8] = [
    "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json", "tokenizer.json",
    "vocab.json", "merges.txt",
];

// The parser's own panics become errors, so they may not end the target before they do.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let place = Place::default();
    for (name, content) in FILES.iter().zip(bytes.split(|byte| *byte == 0xff)) {
        if !content.is_empty() {
            place.write(&format!("folder/{name}"), content);
        }
    }
    if let Ok(published) = Tokenizer::from_folder(place.path("folder")) {
        for text in ["There is CT of the chest, COPD.", "\u{c9}\u{4e2d}\u{56fd} <mask>", ""] {
            if let Ok(encoded) = published.tokenizer.encode(text, 16) {
                assert!(encoded.ids.len() <= 16 && encoded.ids.len() == encoded.words.len());
                let _ = published.tokenizer.decode(&encoded.ids);
            }
        }
        let kept = published.tokenizer.to_json().expect("it is written");
        let again = Tokenizer::from_json(kept.as_bytes(), "kept").expect("what was kept is read");
        assert_eq!(again.special(), published.tokenizer.special());
    }
});
