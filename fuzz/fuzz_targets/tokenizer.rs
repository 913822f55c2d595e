//! Fuzzes the reader of tokenizer folders. The input contains the files, separated by a byte that never occurs in UTF-8. A
//! tokenizer that was read is then used.
#![no_main]

use ptu_fuzz::TemporaryFolder;
use ptu_input::Tokenizer;

const FILES: [&str; 8] = [
    "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json", "tokenizer.json",
    "vocab.json", "merges.txt",
];

// The parser's own panics are turned into errors, so the panic hook must not abort the process before that.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| {})), |bytes: &[u8]| {
    let workspace = TemporaryFolder::default();
    for (name, content) in FILES.iter().zip(bytes.split(|byte| *byte == 0xff)) {
        if !content.is_empty() {
            workspace.write(&format!("folder/{name}"), content);
        }
    }
    if let Ok(published) = Tokenizer::from_folder(workspace.path("folder")) {
        for text in ["There is CT of the chest, COPD.", "\u{c9}\u{4e2d}\u{56fd} <mask>", ""] {
            if let Ok(encoded) = published.tokenizer.encode(text, 16) {
                assert!(encoded.ids.len() <= 16 && encoded.ids.len() == encoded.words.len());
                let _ = published.tokenizer.decode(&encoded.ids);
            }
        }
        let kept = published.tokenizer.to_json().expect("a tokenizer can be written");
        let again = Tokenizer::from_json(kept.as_bytes(), "kept").expect("a written tokenizer can be read");
        assert_eq!(again.special(), published.tokenizer.special());
    }
});
