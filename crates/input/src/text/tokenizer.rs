//! [`Tokenizer`]: published tokenizers and tokenizers trained by this crate, with limits and with the word of each token.

use std::fs;
use std::path::Path;

use tokenizers::models::ModelWrapper;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};
use tokenizers::{AddedToken, Encoding, PostProcessor};

use super::roles::{Roles, padding};
use super::special::{Special, catch_panic, unusable};
use crate::batch::Text;
use crate::files::write_atomically;
use crate::{FileForm, InputError};

/// The largest tokenizer file that is read, in bytes (RoBERTa's is 1.4 MB, the largest multilingual ones 35 MB).
const MAX_FILE: u64 = 64 << 20;

/// The largest vocabulary, because each token is a row of the model's word embeddings.
const MAX_VOCABULARY: usize = 2_000_000;

/// Only this many bytes of a text are tokenised.
const MAX_TEXT: usize = 256 << 10;

/// The number of bytes per requested token that are tokenised at first. English has 4 to 5 bytes per token.
const BYTES_A_TOKEN: usize = 16;

/// The number of additional tokens, so that the position where the text was cut has no influence on the last token that is used.
const MARGIN: usize = 64;

/// Converts a text to token ids and back.
///
/// Names of special tokens in a text are treated as ordinary characters, so a text cannot contain end or mask tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    special: Special,
    size: usize,
    /// The names of the special tokens, if they are not those of a known family, so that a `tokenizer.json` must store them.
    custom_roles: Option<Roles>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json` (Hugging Face's format) with RoBERTa's or BERT's special tokens.
    ///
    /// Truncation and padding settings of the file are ignored: [`Tokenizer::encode`] truncates, a batch pads.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than 64 MB, is not a tokenizer, drops merges at random (BPE dropout), or lacks a
    /// special token.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, InputError> {
        let path = path.as_ref();
        Self::from_json(&read(path)?, &named(path))
    }

    /// The same as [`Tokenizer::from_file`], from bytes; `origin` is for messages (put the name of a file in backticks).
    ///
    /// # Errors
    /// As in [`Tokenizer::from_file`].
    pub fn from_json(json: &[u8], origin: &str) -> Result<Self, InputError> {
        let inner = Self::parse(json, origin)?;
        let roles = Roles::from_tokenizer_json(&inner);
        let roles = roles.clone().or(Roles::family(&inner, roles.start.as_deref()));
        Self::checked(inner, origin, roles, None).map(|(tokenizer, _)| tokenizer)
    }

    /// Parses a `tokenizer.json`.
    pub(super) fn parse(json: &[u8], origin: &str) -> Result<tokenizers::Tokenizer, InputError> {
        catch_panic(|| tokenizers::Tokenizer::from_bytes(json))
            .map_err(|error| unusable(origin, format!("{error}; is it a complete `tokenizer.json`?")))
    }

    /// Checks and completes a tokenizer: it has all special tokens, a vocabulary of limited size and no random steps, and it
    /// adds `<s> ... </s>` to a text. Also returns whether it already added its start and end tokens before.
    /// `double_separator`: whether two end tokens separate the two texts of a pair, if it is known for its class.
    pub(super) fn checked(
        mut inner: tokenizers::Tokenizer,
        origin: &str,
        roles: Roles,
        double_separator: Option<bool>,
    ) -> Result<(Self, bool), InputError> {
        let failed = |error| unusable(origin, error);
        inner.with_truncation(None).map_err(failed)?;
        inner.with_padding(None).set_encode_special_tokens(true);
        if matches!(inner.get_model(), ModelWrapper::BPE(model) if model.dropout.is_some_and(|share| share > 0.0)) {
            return Err(unusable(origin, "it drops merges at random (BPE dropout); set `dropout` to null"));
        }
        let size = inner.get_vocab(true).values().max().map_or(0, |&id| id as usize + 1);
        if size > MAX_VOCABULARY {
            return Err(unusable(origin, format!("its largest id is {}; it must be below {MAX_VOCABULARY}", size - 1)));
        }
        let special = roles.special(&inner, origin)?;
        let empty = catch_panic(|| inner.encode("", true)).map_err(failed)?;
        let enclosed = empty.get_ids() == [special.start, special.end];
        if !enclosed {
            let named = |name: &Option<String>, id: u32| (name.clone().unwrap_or_default(), id);
            let (end, start) = (named(&roles.end, special.end), named(&roles.start, special.start));
            if double_separator.unwrap_or(roles.double_separator()) {
                inner.with_post_processor(Some(RobertaProcessing::new(end, start).add_prefix_space(false)));
            } else {
                inner.with_post_processor(Some(BertProcessing::new(end, start)));
            }
        }
        let custom_roles = Some(roles).filter(|roles| !roles.is_family(&inner));
        if let Some(mask) = custom_roles.as_ref().and_then(|roles| roles.mask.clone()) {
            inner.add_special_tokens([AddedToken::from(mask, true).lstrip(true)]).map_err(failed)?;
        }
        let tokenizer = Self { inner, special, size, custom_roles };
        if tokenizer.custom_roles.is_some() && tokenizer.stored_special()? != special {
            let cause = "its special tokens cannot be stored in one `tokenizer.json` without ambiguity; name fewer of \
                         them, or use BERT's names";
            return Err(unusable(origin, cause));
        }
        Ok((tokenizer, enclosed))
    }

    /// The special tokens that a reader of [`Tokenizer::to_json`] finds.
    fn stored_special(&self) -> Result<Special, InputError> {
        let inner = Self::parse(self.to_json()?.as_bytes(), "its copy")?;
        let roles = Roles::from_tokenizer_json(&inner);
        let roles = roles.clone().or(Roles::family(&inner, roles.start.as_deref()));
        roles.special(&inner, "its copy")
    }

    /// The ids of the special tokens.
    pub fn special(&self) -> Special {
        self.special
    }

    /// The token with this id; `None` if there is none.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The number of rows that the model's word embeddings need: the largest id plus 1.
    pub fn vocabulary_size(&self) -> usize {
        self.size
    }

    /// Tokenises a text as `<s> ... </s>`, with at most `max_tokens` tokens including these two. The end token is always the
    /// last one.
    ///
    /// A word is a run of characters without white space, with all its tokens; it is found by the positions of the tokens in
    /// the text. Words are numbered from 0. Tokens of only white space belong to no word. Only as much of the text is
    /// tokenised as the tokens need, and at most its first 256 KiB.
    ///
    /// # Errors
    /// If `max_tokens` is below 3, or the tokenizer fails on the text.
    pub fn encode(&self, text: &str, max_tokens: usize) -> Result<Text, InputError> {
        let most = self.text_budget(text, max_tokens, 2)?;
        let (encoding, words) = self.tokenize_start(text, most)?;
        let kept = encoding.len().min(most);
        let mut ids = vec![self.special.start];
        ids.extend(&encoding.get_ids()[..kept]);
        ids.push(self.special.end);
        let words = [&[None], &words[..kept], &[None]].concat();
        Ok(Text { ids, words })
    }

    /// Whether [`Tokenizer::encode`] truncated the text, where `encoded` is its result with the same `max_tokens`.
    ///
    /// # Errors
    /// As in [`Tokenizer::encode`].
    pub fn was_cut(&self, text: &str, encoded: &Text, max_tokens: usize) -> Result<bool, InputError> {
        let full = encoded.ids.len() >= max_tokens;
        Ok(full && self.encode(text, max_tokens.saturating_add(1))?.ids.len() > max_tokens)
    }

    /// Tokenises two texts as a pair in the tokenizer's format (`<s> a </s></s> b </s>` or `[CLS] a [SEP] b [SEP]`). The
    /// longer text is truncated first. The numbers of words continue through both texts.
    ///
    /// # Errors
    /// If `max_tokens` leaves no room for one token of each text, or if the tokenizer fails on a text.
    pub fn encode_pair(&self, first: &str, second: &str, max_tokens: usize) -> Result<Text, InputError> {
        let added = self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
        let most = self.text_budget(first, max_tokens, added + 1)?;
        let failed = |error: tokenizers::Error| encode_error(first.len() + second.len(), error);
        let (one, mut words) = self.tokenize_start(first, most)?;
        let (other, further) = self.tokenize_start(second, most)?;
        let limit = TruncationParams { max_length: most + 1, ..TruncationParams::default() };
        let counts = (one.len(), other.len());
        let (one, other) = truncate_encodings(one, Some(other), &limit).map_err(failed)?;
        let next = words.iter().flatten().max().map_or(0, |&word| word + 1);
        words.truncate(one.len().min(counts.0));
        let kept = other.as_ref().map_or(0, Encoding::len).min(counts.1);
        words.extend(further[..kept].iter().map(|word| word.map(|word| word + next)));
        let pair = catch_panic(|| self.inner.post_process(one, other, true)).map_err(failed)?;
        let mut rest = words.into_iter();
        let special = pair.get_special_tokens_mask().iter();
        let words = special.map(|&special| if special == 1 { None } else { rest.next().flatten() }).collect();
        Ok(Text { ids: pair.get_ids().to_vec(), words })
    }

    /// Converts token ids to a text, without special tokens.
    ///
    /// # Errors
    /// If an id is not in the vocabulary, or if the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, InputError> {
        if let Some(&id) = ids.iter().find(|&&id| self.inner.id_to_token(id).is_none()) {
            return Err(InputError::UnknownId { id, size: self.size });
        }
        let Special { start, end, pad, mask, unknown } = self.special;
        let plain: Vec<u32> = ids.iter().copied().filter(|id| ![start, end, pad, mask, unknown].contains(id)).collect();
        let text = catch_panic(|| self.inner.decode(&plain, true));
        Ok(text.map_err(|error| encode_error(0, error))?.trim().to_string())
    }

    /// The tokenizer as a `tokenizer.json`. The same tokenizer always gives the same bytes.
    ///
    /// # Errors
    /// If the tokenizer cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, InputError> {
        let failed = |error| unusable("this run", error);
        let Some(roles) = &self.custom_roles else { return self.inner.to_string(true).map_err(failed) };
        let mut inner = self.inner.clone();
        inner.with_padding(Some(padding(roles, self.special)));
        inner.to_string(true).map_err(failed)
    }

    /// Writes [`Tokenizer::to_json`] to a file, completely or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), InputError> {
        let (path, json) = (path.as_ref(), self.to_json()?);
        write_atomically(path, |temporary| fs::write(temporary, json))
            .map_err(|source| InputError::Write { path: path.into(), source })
    }

    /// The number of tokens of a text that fit beside `enclosing` special tokens; an error if there is none.
    fn text_budget(&self, text: &str, max_tokens: usize, enclosing: usize) -> Result<usize, InputError> {
        let room = max_tokens.checked_sub(enclosing).filter(|&room| room > 0);
        room.ok_or_else(|| InputError::Encode {
            bytes: text.len(),
            cause: format!("{max_tokens} tokens leave no room for text; allow at least {} tokens", enclosing + 1),
        })
    }

    /// The tokens of a text without special tokens, and their words: at least the first `wanted` tokens, if the text has as many.
    fn tokenize_start(&self, text: &str, wanted: usize) -> Result<(Encoding, Vec<Option<u32>>), InputError> {
        let mut bytes = wanted.saturating_add(MARGIN).saturating_mul(BYTES_A_TOKEN);
        loop {
            let part = &text[..text.floor_char_boundary(bytes.min(MAX_TEXT))];
            let encoding =
                catch_panic(|| self.inner.encode(part, false)).map_err(|error| encode_error(text.len(), error))?;
            let enough = encoding.len() >= wanted.saturating_add(MARGIN);
            if enough || part.len() == text.len() || bytes >= MAX_TEXT {
                let words = words(part, encoding.get_offsets());
                return Ok((encoding, words));
            }
            bytes *= 8;
        }
    }
}

/// For each token, the number of its word. `positions` are the start and end of each token in the text, in bytes.
fn words(text: &str, positions: &[(usize, usize)]) -> Vec<Option<u32>> {
    let (mut next, mut last_end): (u32, Option<usize>) = (0, None);
    let word = |&(start, end): &(usize, usize)| {
        // Tokens of a BPE include the space before them, in the text or only in the token.
        let token = text.get(start..end)?;
        let start = start + (token.len() - token.trim_start().len());
        let end = start + token.trim().len();
        if start == end {
            return None;
        }
        let starts_word =
            last_end.is_none_or(|last| text.get(last..start).is_some_and(|gap| gap.contains(char::is_whitespace)));
        next += u32::from(starts_word);
        last_end = Some(end);
        Some(next - 1)
    };
    positions.iter().map(word).collect()
}

/// A path in backticks, for messages.
pub(super) fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}

fn encode_error(bytes: usize, error: tokenizers::Error) -> InputError {
    InputError::Encode { bytes, cause: error.to_string() }
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, InputError> {
    let failed = |source| InputError::Read { path: path.into(), source };
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > MAX_FILE {
        return Err(InputError::TokenizerTooLarge { path: path.into(), bytes, limit: MAX_FILE });
    }
    let bytes = fs::read(path).map_err(failed)?;
    match FileForm::of(&bytes) {
        FileForm::Text | FileForm::Empty | FileForm::Unknown => Ok(bytes),
        form => Err(unusable(&named(path), format!("it is {form}; {}", form.cure()))),
    }
}
