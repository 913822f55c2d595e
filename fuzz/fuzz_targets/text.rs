//! Fuzzes the functions for texts: sentences, answers, hashes and forms of files.
#![no_main]

use ptu_input::text::{normal_answer, normalised, sentences, text_hash};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for sentence in sentences(text) {
        assert!(text.contains(sentence));
    }
    assert_eq!(text_hash(text), text_hash(&normalised(text)));
    let _ = normal_answer(text);
    let _ = ptu_input::FileForm::of(text.as_bytes()).to_string();
});
