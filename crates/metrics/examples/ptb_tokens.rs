//! Writes the Penn Treebank tokens of each line of the standard input, joined by spaces; for
//! `tools/reference/check_tokens.py`.

use ptu_metrics::text::ptb_tokens;
use std::io::{BufRead, BufWriter, Result, Write, stdin, stdout};

fn main() -> Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lock().lines() {
        writeln!(out, "{}", ptb_tokens(&line?).join(" "))?;
    }
    out.flush()
}
