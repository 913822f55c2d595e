//! Fuzzes what reads the words of a report: the tokenizers of the text scores, the stemmer, and the rules for findings.
#![no_main]

use ptu_findings::read_findings;
use ptu_metrics::text::{Compared, bleu, cider, meteor_exact_stem, ptb_tokens, rouge_l, rouge_tokens};

libfuzzer_sys::fuzz_target!(|both: &str| {
    let (text, other) = both.split_once('\n').unwrap_or((both, both));
    let tokens = ptb_tokens(text);
    assert!(tokens.iter().all(|token| !token.is_empty() && !token.contains(' ')), "{tokens:?}");
    let _ = rouge_tokens(text, true);
    let _ = read_findings(text).iter().count();
    let references = [ptb_tokens(other)];
    let compared = [Compared { hypothesis: &tokens, references: &references }];
    let scores = bleu(&compared).map(|scores| scores.corpus);
    let all = scores.into_iter().chain([cider(&compared), meteor_exact_stem(&compared), rouge_l(&compared)].map(|one| one.corpus));
    assert!(all.flatten().all(f64::is_finite));
});
