//! [`Tokenizer`]: the published tokenizers and our own, with limits and whole words.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{AddedToken, Encoding, PostProcessor};

use crate::InputError;
use crate::batch::Text;
use crate::files::write_atomically;

/// The largest tokenizer file that is read, in bytes (RoBERTa's is 1.4 MB, the largest multilingual ones 35 MB).
const MAX_FILE: u64 = 64 << 20;

/// The largest vocabulary: each token is a row of the model's embeddings.
const MAX_VOCABULARY: usize = 2_000_000;

/// No more of a text is looked at than this, in bytes.
const MAX_TEXT: usize = 256 << 10;

/// Bytes of text a token that are tokenised at first; English has 4 to 5.
const BYTES_A_TOKEN: usize = 16;

/// Tokens beyond those wanted, so that where the text was cut has no influence on the last one kept.
const MARGIN: usize = 64;

/// Ids of the special tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// First token: `<s>` or `[CLS]`.
    pub start: u32,
    /// Last token: `</s>` or `[SEP]`.
    pub end: u32,
    /// Padding: `<pad>` or `[PAD]`.
    pub pad: u32,
    /// Stands for a masked token: `<mask>` or `[MASK]`.
    pub mask: u32,
    /// Stands for what the vocabulary lacks: `<unk>` or `[UNK]`.
    pub unknown: u32,
}

/// The names of one family's special tokens, and how they enclose a text.
struct Family {
    start: &'static str,
    end: &'static str,
    pad: &'static str,
    mask: &'static str,
    unknown: &'static str,
}

pub(super) const ROBERTA: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
const FAMILIES: [Family; 2] = [
    Family { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" },
    Family { start: "[CLS]", end: "[SEP]", pad: "[PAD]", mask: "[MASK]", unknown: "[UNK]" },
];

/// Text to token ids and back.
///
/// Names of special tokens that stand in a text are read as ordinary characters, so no text can end or mask itself.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: Special,
    size: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` (Hugging Face's form) with RoBERTa's or BERT's special tokens.
    ///
    /// Truncation and padding settings of the file are ignored: [`Tokenizer::encode`] truncates, a batch pads.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than 64 MB, is no tokenizer, drops merges at random, or lacks a special
    /// token.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InputError> {
        let path = path.as_ref();
        Self::from_json(&read(path)?, &named(path))
    }

    /// As [`Tokenizer::from_file`], of bytes; `origin` is for messages (a file's name goes in backticks).
    ///
    /// # Errors
    /// As [`Tokenizer::from_file`].
    pub fn from_json(json: &[u8], origin: &str) -> Result<Self, InputError> {
        // Parsing is other people's code and meets any file: a panic there is a bad file, not the end of a run.
        let parsed = catch_unwind(AssertUnwindSafe(|| tokenizers::Tokenizer::from_bytes(json)));
        match parsed {
            Ok(Ok(inner)) => Self::checked(inner, origin),
            Ok(Err(error)) => Err(unusable(origin, format!("{error}; is it a whole `tokenizer.json`?"))),
            Err(_) => Err(unusable(origin, "its content makes no sense; is it a whole `tokenizer.json`?")),
        }
    }

    /// Reads RoBERTa's byte-level BPE from its two published files.
    ///
    /// # Errors
    /// If a file cannot be read, is larger than 64 MB or damaged, or a special token is missing.
    pub fn from_roberta(vocabulary: impl AsRef<Path>, merges: impl AsRef<Path>) -> Result<Self, InputError> {
        let (vocabulary, merges) = (vocabulary.as_ref(), merges.as_ref());
        let tokens: Vocab = serde_json::from_slice::<std::collections::HashMap<String, u32>>(&read(vocabulary)?)
            .map_err(|error| unusable(&named(vocabulary), format!("{error}; it must map tokens to ids")))?
            .into_iter()
            .collect();
        let lines = String::from_utf8(read(merges)?).map_err(|error| unusable(&named(merges), error))?;
        let mut pairs = Merges::new();
        for (number, line) in lines.lines().enumerate() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with("#version") {
                continue;
            }
            let pair = line.split_once(' ').filter(|(_, second)| !second.contains(' '));
            let (first, second) = pair.ok_or_else(|| {
                unusable(&named(merges), format!("line {} is not two tokens with a space between", number + 1))
            })?;
            pairs.push((first.into(), second.into()));
        }
        Self::byte_level(tokens, pairs, &format!("{} and {}", named(vocabulary), named(merges)))
    }

    /// Reads BERT's uncased WordPiece from its published file, one token a line.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than 64 MB or not UTF-8, or a special token is missing.
    pub fn from_bert(vocabulary: impl AsRef<Path>) -> Result<Self, InputError> {
        let origin = named(vocabulary.as_ref());
        let lines = String::from_utf8(read(vocabulary.as_ref())?).map_err(|error| unusable(&origin, error))?;
        let tokens: Vocab = lines.lines().zip(0..).map(|(token, id)| (token.trim_end().to_string(), id)).collect();
        let model = WordPiece::builder().vocab(tokens).unk_token("[UNK]".into()).build();
        let mut inner = tokenizers::Tokenizer::new(model.map_err(|error| unusable(&origin, error))?);
        inner.with_normalizer(Some(BertNormalizer::default())).map_err(|error| unusable(&origin, error))?;
        inner.with_pre_tokenizer(Some(BertPreTokenizer));
        inner.with_decoder(Some(WordPieceDecoder::default()));
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        Self::with_special(inner, &special, &origin)
    }

    /// Reads whichever tokenizer a folder holds: `tokenizer.json`, else `vocab.json` with `merges.txt`, else `vocab.txt`.
    ///
    /// # Errors
    /// If none of them is there, or as the reader of that form says.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, InputError> {
        let folder = folder.as_ref();
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        if let Some(json) = file("tokenizer.json") {
            return Self::from_file(json);
        }
        match (file("vocab.json"), file("merges.txt"), file("vocab.txt")) {
            (Some(vocabulary), Some(merges), _) => Self::from_roberta(vocabulary, merges),
            (_, _, Some(vocabulary)) => Self::from_bert(vocabulary),
            _ => Err(InputError::NoTokenizer { folder: folder.into() }),
        }
    }

    /// RoBERTa's form around a vocabulary of byte-level tokens.
    pub(super) fn byte_level(tokens: Vocab, merges: Merges, origin: &str) -> Result<Self, InputError> {
        let model = BPE::builder().vocab_and_merges(tokens, merges).build();
        let mut inner = tokenizers::Tokenizer::new(
            model.map_err(|error| unusable(origin, format!("{error}; do vocabulary and merges belong together?")))?,
        );
        // As `transformers` sets RoBERTa up: no space is put before the first word.
        inner.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
        inner.with_decoder(Some(ByteLevel::new(false, true, true)));
        Self::with_special(inner, &ROBERTA, origin)
    }

    /// Marks tokens of the vocabulary as special; one that is missing is an error, not a new row.
    fn with_special(mut inner: tokenizers::Tokenizer, names: &[&str], origin: &str) -> Result<Self, InputError> {
        if let Some(missing) = names.iter().find(|name| inner.token_to_id(name).is_none()) {
            return Err(unusable(origin, format!("its vocabulary lacks `{missing}`; is it the right file?")));
        }
        let tokens = names.iter().map(|name| AddedToken::from(*name, true).lstrip(*name == "<mask>"));
        inner.add_special_tokens(tokens).map_err(|error| unusable(origin, error))?;
        Self::checked(inner, origin)
    }

    /// Settles what every tokenizer here has: special tokens, a bounded vocabulary, no chance, `<s> ... </s>`.
    fn checked(mut inner: tokenizers::Tokenizer, origin: &str) -> Result<Self, InputError> {
        let failed = |error| unusable(origin, error);
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None).set_encode_special_tokens(true);
        if matches!(inner.get_model(), ModelWrapper::BPE(model) if model.dropout.is_some_and(|share| share > 0.0)) {
            return Err(unusable(origin, "it drops merges at random; set `dropout` to null"));
        }
        let size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        if size > MAX_VOCABULARY {
            return Err(unusable(origin, format!("its largest id is {}, at most {MAX_VOCABULARY} are read", size - 1)));
        }
        let family = FAMILIES.iter().find(|family| inner.token_to_id(family.start).is_some());
        let family =
            family.ok_or_else(|| unusable(origin, "it has neither `<s>` nor `[CLS]`; use RoBERTa's or BERT's"))?;
        let id = |name: &str| {
            inner.token_to_id(name).ok_or_else(|| unusable(origin, format!("it lacks the special token `{name}`")))
        };
        let special = Special {
            start: id(family.start)?,
            end: id(family.end)?,
            pad: id(family.pad)?,
            mask: id(family.mask)?,
            unknown: id(family.unknown)?,
        };
        let enclosed = inner.encode("", true).map_err(failed)?;
        if enclosed.get_ids() != [special.start, special.end] {
            let (end, start) = ((family.end.into(), special.end), (family.start.into(), special.start));
            if family.start == "<s>" {
                inner.with_post_processor(Some(RobertaProcessing::new(end, start).add_prefix_space(false)));
            } else {
                inner.with_post_processor(Some(BertProcessing::new(end, start)));
            }
        }
        Ok(Self { inner, special, size })
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> Special {
        self.special
    }

    /// Rows that the model's word embeddings need: the largest id plus 1.
    pub fn vocabulary_size(&self) -> usize {
        self.size
    }

    /// Tokenises a text as `<s> ... </s>`, at most `max_tokens` with these two; the end token is always last.
    ///
    /// A word is a longest run of characters that are not white space, with all its pieces, found by the tokens' places
    /// in the text; words are numbered from 0. Tokens of white space alone belong to none. No more of a text is looked at
    /// than the tokens need, and at most its first 256 KiB.
    ///
    /// # Errors
    /// If `max_tokens` is below 3, or the tokenizer fails on the text.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Text, InputError> {
        let most = self.room(text, max_tokens, 2)?;
        let (encoding, words) = self.pieces(text, most)?;
        let kept = encoding.len().min(most);
        let mut ids = vec![self.special.start];
        ids.extend(&encoding.get_ids()[..kept]);
        ids.push(self.special.end);
        let words = [&[None], &words[..kept], &[None]].concat();
        Ok(Text { ids, words })
    }

    /// Tokenises two texts in the tokenizer's own pair form (`<s> a </s></s> b </s>`, `[CLS] a [SEP] b [SEP]`), the
    /// longer truncated first. Words are numbered through both.
    ///
    /// # Errors
    /// If `max_tokens` leaves no room for a token of each, or the tokenizer fails on a text.
    pub fn encode_pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<Text, InputError> {
        let added = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
        let most = self.room(first, max_tokens, added + 1)?;
        let failed = |error: tokenizers::Error| encode_error(first.len() + second.len(), error);
        let (one, mut words) = self.pieces(first, most)?;
        let (other, further) = self.pieces(second, most)?;
        let limit = TruncationParams { max_length: most + 1, ..TruncationParams::default() };
        let counts = (one.len(), other.len());
        let (one, other) = truncate_encodings(one, Some(other), &limit).map_err(failed)?;
        let next = words.iter().flatten().max().map_or(0, |&word| word + 1);
        words.truncate(one.len().min(counts.0));
        let kept = other.as_ref().map_or(0, Encoding::len).min(counts.1);
        words.extend(further[..kept].iter().map(|word| word.map(|word| word + next)));
        let pair = self.inner.post_process(one, other, true).map_err(failed)?;
        let mut rest = words.into_iter();
        let special = pair.get_special_tokens_mask().iter();
        let words = special.map(|&special| if special == 1 { None } else { rest.next().flatten() }).collect();
        Ok(Text { ids: pair.get_ids().to_vec(), words })
    }

    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// If an id is no token, or the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, InputError> {
        if let Some(&id) = ids.iter().find(|&&id| self.inner.id_to_token(id).is_none()) {
            return Err(InputError::UnknownId { id, size: self.size });
        }
        let Special { start, end, pad, mask, unknown } = self.special;
        let plain: Vec<u32> = ids.iter().copied().filter(|id| ![start, end, pad, mask, unknown].contains(id)).collect();
        let text = self.inner.decode(&plain, true);
        Ok(text.map_err(|error| encode_error(0, error))?.trim().to_string())
    }

    /// The tokenizer as a `tokenizer.json`; the same tokenizer gives the same bytes.
    ///
    /// # Errors
    /// If the tokenizer cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, InputError> {
        self.inner.to_string(true).map_err(|error| unusable("this run", error))
    }

    /// Writes [`Tokenizer::to_json`] to a file, all or nothing.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InputError> {
        let (path, json) = (path.as_ref(), self.to_json()?);
        write_atomically(path, |temporary| fs::write(temporary, json))
            .map_err(|source| InputError::Write { path: path.into(), source })
    }

    /// Tokens of text that fit beside `enclosing` special ones: at least one.
    fn room(&self, text: &str, max_tokens: usize, enclosing: usize) -> Result<usize, InputError> {
        let room = max_tokens.checked_sub(enclosing).filter(|&room| room > 0);
        room.ok_or_else(|| InputError::Encode {
            bytes: text.len(),
            cause: format!("{max_tokens} tokens leave no room for text; allow at least {}", enclosing + 1),
        })
    }

    /// The tokens of a text without special ones, at least the first `wanted` of it, and their words.
    fn pieces(&self, text: &str, wanted: usize) -> Result<(Encoding, Vec<Option<u32>>), InputError> {
        let mut bytes = wanted.saturating_add(MARGIN).saturating_mul(BYTES_A_TOKEN);
        loop {
            let part = &text[..text.floor_char_boundary(bytes.min(MAX_TEXT))];
            let encoding = self.inner.encode(part, false).map_err(|error| encode_error(text.len(), error))?;
            let enough = encoding.len() >= wanted.saturating_add(MARGIN);
            if enough || part.len() == text.len() || bytes >= MAX_TEXT {
                let words = words(part, encoding.get_offsets());
                return Ok((encoding, words));
            }
            bytes *= 8;
        }
    }
}

/// For each token's place in the text (bytes) the number of its word.
fn words(text: &str, places: &[(usize, usize)]) -> Vec<Option<u32>> {
    let (mut next, mut last_end): (u32, Option<usize>) = (0, None);
    let word = |&(start, end): &(usize, usize)| {
        // BPE's tokens carry the space before them, in the text or only in the token.
        let token = text.get(start..end)?;
        let start = start + (token.len() - token.trim_start().len());
        let end = start + token.trim().len();
        if start == end {
            return None;
        }
        let apart =
            last_end.is_none_or(|last| text.get(last..start).is_some_and(|gap| gap.contains(char::is_whitespace)));
        next += u32::from(apart);
        last_end = Some(end);
        Some(next - 1)
    };
    places.iter().map(word).collect()
}

fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn unusable(origin: &str, cause: impl ToString) -> InputError {
    InputError::Tokenizer { origin: origin.into(), cause: cause.to_string() }
}

fn encode_error(bytes: usize, error: tokenizers::Error) -> InputError {
    InputError::Encode { bytes, cause: error.to_string() }
}

/// The bytes of a file of at most [`MAX_FILE`].
fn read(path: &Path) -> Result<Vec<u8>, InputError> {
    let failed = |source| InputError::Read { path: path.into(), source };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE {
        return Err(InputError::TokenizerTooLarge { path: path.into(), bytes, limit: MAX_FILE });
    }
    fs::read(path).map_err(failed)
}
