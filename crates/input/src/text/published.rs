//! Tokenizers as models are published with them: one folder, several files, of which each says a part.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::decoders::wordpiece::WordPiece as WordPieceDecoder;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, NormalizerWrapper};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, NormalizedString, Normalizer};

use super::roles::Roles;
use super::settings::{Class, Settings};
use super::shown::Shown;
use super::special::{guarded, unusable};
use super::tokenizer::{Tokenizer, named, read};
use crate::InputError;

/// A tokenizer read from a folder, and what is to be told about it.
#[derive(Clone, Debug)]
pub struct Published {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Where files of the folder contradict each other, leave something open, or ask for what is not done: what was taken.
    pub notes: Vec<String>,
    /// The most tokens of a text that its model was made for, where it says so.
    pub max_tokens: Option<usize>,
}

impl Tokenizer {
    /// Reads whichever tokenizer a folder holds: `tokenizer.json`, else `vocab.json` with `merges.txt`, else `vocab.txt`,
    /// as `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and `config.json` beside it say.
    ///
    /// Where `tokenizer.json` and `tokenizer_config.json` contradict each other, the latter counts if it names a class that
    /// is known here, as in `transformers`. What nothing says is seen from the vocabulary: with words in upper case it is one
    /// of texts in upper and lower case.
    ///
    /// # Errors
    /// If no tokenizer is there, a file is damaged, or they ask for what is not done here.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Published, InputError> {
        let folder = folder.as_ref();
        if folder.is_file() {
            return Err(unusable(&named(folder), "it is a file; give the folder that it lies in"));
        }
        let mut notes = vec![];
        let settings = Settings::read(folder, &mut notes)?;
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let (json, list) = (file("tokenizer.json"), file("vocab.txt"));
        let pair = file("vocab.json").zip(file("merges.txt"));
        let tokenizer = if let Some(json) = json {
            let lists = (file("vocab.json"), list);
            from_json_beside(&json, lists, &settings, &mut notes)?
        } else {
            match (&settings.class, pair, list) {
                (Some(Class::Other(name)), ..) => return Err(foreign(folder, name)),
                (Some(Class::WordPiece { .. }), _, Some(list)) | (Some(Class::Any) | None, None, Some(list)) => {
                    word_piece(&list, &settings, &mut notes)?
                }
                (Some(Class::ByteLevel { .. } | Class::Any) | None, Some((vocabulary, merges)), list) => {
                    if list.is_some() {
                        notes.push("`vocab.json` and `merges.txt` were taken, not `vocab.txt`".into());
                    }
                    byte_level(&vocabulary, &merges, &settings, &mut notes)?
                }
                (_, pair, list) => return Err(nothing(folder, pair.is_some() || list.is_some())),
            }
        };
        agrees_with_model(&tokenizer, &settings, &mut notes);
        Ok(Published { tokenizer, notes, max_tokens: settings.longest })
    }

    /// Reads RoBERTa's byte-level BPE from its two published files.
    ///
    /// # Errors
    /// If a file cannot be read, is larger than 64 MB or damaged, or a special token is missing.
    pub fn from_roberta(vocabulary: impl AsRef<Path>, merges: impl AsRef<Path>) -> Result<Self, InputError> {
        byte_level(vocabulary.as_ref(), merges.as_ref(), &Settings::default(), &mut vec![])
    }

    /// RoBERTa's form around a vocabulary of byte-level tokens.
    pub(super) fn byte_level(tokens: Vocab, merges: Merges, origin: &str) -> Result<Self, InputError> {
        build_byte_level(tokens, merges, &Settings::default(), origin)
    }
}

fn foreign(folder: &Path, name: &str) -> InputError {
    let cause = format!(
        "its class `{name}` splits texts in its own way, which is read from a `tokenizer.json` only; write one with `transformers` \
         (`AutoTokenizer.from_pretrained(..).save_pretrained(..)`), or take a BERT or RoBERTa"
    );
    unusable(&named(folder), cause)
}

/// Why there is no tokenizer to read; `other`: whether there are files of another class.
fn nothing(folder: &Path, other: bool) -> InputError {
    let there = |names: &[&'static str]| names.iter().copied().find(|name| folder.join(name).is_file());
    let cause = if other {
        "its class reads a `vocab.txt` (BERT) or `vocab.json` with `merges.txt` (RoBERTa), and only the other's are there".into()
    } else if let Some(name) = there(&["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"]) {
        format!("SentencePiece's `{name}` is read as a `tokenizer.json` only; write one with `transformers`")
    } else if let Some(name) = there(&["vocab.json", "merges.txt"]) {
        format!("`{name}` is there alone; a BPE is `vocab.json` with `merges.txt`")
    } else {
        return InputError::NoTokenizer { folder: folder.into() };
    };
    unusable(&named(folder), cause)
}

/// A `vocab.txt`, one token a line.
fn token_list(path: &Path) -> Result<Vocab, InputError> {
    let lines = String::from_utf8(read(path)?).map_err(|error| unusable(&named(path), error))?;
    let lines = lines.strip_prefix('\u{feff}').unwrap_or(&lines);
    Ok(lines.lines().zip(0..).map(|(token, id)| (token.trim_end().to_string(), id)).collect())
}

/// A `vocab.json`: tokens to ids.
fn token_map(path: &Path) -> Result<Vocab, InputError> {
    let tokens = serde_json::from_slice::<HashMap<String, u32>>(&read(path)?)
        .map_err(|error| unusable(&named(path), format!("{error}; it must map tokens to ids")))?;
    Ok(tokens.into_iter().collect())
}

/// BERT's WordPiece from a list of tokens.
fn word_piece(path: &Path, settings: &Settings, notes: &mut Vec<String>) -> Result<Tokenizer, InputError> {
    let (origin, tokens) = (named(path), token_list(path)?);
    let normalizer = normalizer(&tokens, settings, notes);
    // Without a word about it, BERT's names stand, unless the list lacks its start and has RoBERTa's.
    let family =
        if tokens.contains_key("[CLS]") || !tokens.contains_key("<s>") { Roles::bert() } else { Roles::roberta() };
    let roles = settings.roles.clone().or(family);
    let mut model = WordPiece::builder().vocab(tokens).unk_token(roles.unknown.clone().unwrap_or_default());
    if let Some(prefix) = &settings.prefix {
        model = model.continuing_subword_prefix(prefix.clone());
    }
    let failed = |error| unusable(&origin, error);
    let mut inner = tokenizers::Tokenizer::new(model.build().map_err(failed)?);
    inner.with_normalizer(Some(normalizer)).map_err(failed)?;
    inner.with_pre_tokenizer(Some(BertPreTokenizer));
    let prefix = settings.prefix.clone().unwrap_or_else(|| "##".into());
    inner.with_decoder(Some(WordPieceDecoder::new(prefix, true)));
    with_added(inner, roles, settings, &origin)
}

/// How texts are normalised: as it is said, else as the vocabulary shows, else as BERT does.
fn normalizer(tokens: &Vocab, settings: &Settings, notes: &mut Vec<String>) -> BertNormalizer {
    let shown = Shown::of(tokens);
    let cased = shown.many(shown.upper);
    match settings.lowercase {
        None if cased => notes.push(format!(
            "no `tokenizer_config.json` says `do_lower_case`; {} tokens of `vocab.txt` have letters in upper case, so texts \
             keep their case",
            shown.upper
        )),
        Some(true) if cased => notes.push(format!(
            "texts become lower case, as `do_lower_case` says; {} tokens of `vocab.txt` have letters in upper case and are \
             never found",
            shown.upper
        )),
        Some(false) if shown.upper == 0 => notes.push(
            "texts keep their case, as `do_lower_case` says; no token of `vocab.txt` has a letter in upper case".into(),
        ),
        _ => {}
    }
    let lowercase = settings.lowercase.unwrap_or(!cased);
    // What a configuration leaves open while it speaks of case has `transformers`' default; without one the vocabulary decides.
    let open = settings.lowercase.is_none();
    let (mut strip_accents, mut split_han) = (settings.strip_accents, settings.split_han);
    let mut unsaid = |place: &mut Option<bool>, key: &str, (count, what): (usize, &str)| {
        let done = if open { "so texts keep them" } else { "which are never found" };
        notes.push(format!("nothing says `{key}`; {count} tokens of `vocab.txt` have {what}, {done}"));
        if open {
            *place = Some(false);
        }
    };
    if strip_accents.is_none() && lowercase && shown.many(shown.accented) {
        unsaid(&mut strip_accents, "strip_accents", (shown.accented, "accents"));
    }
    if split_han.is_none() && shown.many(shown.han) {
        unsaid(&mut split_han, "tokenize_chinese_chars", (shown.han, "several Chinese characters in a row"));
    }
    BertNormalizer::new(settings.clean_text.unwrap_or(true), split_han.unwrap_or(true), strip_accents, lowercase)
}

/// RoBERTa's byte-level BPE from its two files.
fn byte_level(
    vocabulary: &Path,
    merges: &Path,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Tokenizer, InputError> {
    let tokens = token_map(vocabulary)?;
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
        if second.ends_with("</w>") {
            let cause = "its tokens end with `</w>`: it is no byte-level BPE; write it as a `tokenizer.json`";
            return Err(unusable(&named(merges), cause));
        }
        pairs.push((first.into(), second.into()));
    }
    if settings.lowercase == Some(true) {
        notes.push("`do_lower_case` is true, which a byte-level BPE does not do: texts keep their case".into());
    }
    build_byte_level(tokens, pairs, settings, &format!("{} and {}", named(vocabulary), named(merges)))
}

fn build_byte_level(tokens: Vocab, merges: Merges, settings: &Settings, origin: &str) -> Result<Tokenizer, InputError> {
    let family =
        if tokens.contains_key("<s>") || !tokens.contains_key("[CLS]") { Roles::roberta() } else { Roles::bert() };
    let roles = settings.roles.clone().or(family.clone());
    let mut model = BPE::builder().vocab_and_merges(tokens, merges);
    if roles.unknown != family.unknown {
        // A name that no reader would guess is kept in the model.
        model = model.unk_token(roles.unknown.clone().unwrap_or_default());
    }
    let mut inner = tokenizers::Tokenizer::new(
        model
            .build()
            .map_err(|error| unusable(origin, format!("{error}; do vocabulary and merges belong together?")))?,
    );
    // As `transformers` sets RoBERTa up: no space is put before the first word unless it is said.
    let bytes = ByteLevel::new(settings.prefix_space.unwrap_or(false), true, true);
    inner.with_pre_tokenizer(Some(bytes));
    inner.with_decoder(Some(bytes));
    with_added(inner, roles, settings, origin)
}

/// Marks tokens of the vocabulary as special (one that is missing is an error, not a new row) and adds further ones.
fn with_added(
    mut inner: tokenizers::Tokenizer,
    roles: Roles,
    settings: &Settings,
    origin: &str,
) -> Result<Tokenizer, InputError> {
    let failed = |error| unusable(origin, error);
    let brought = |name: &str| settings.added.iter().any(|(_, token)| token.content == name);
    let missing = roles.names().filter(|name| inner.token_to_id(name).is_none() && !brought(name));
    let missing = missing.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        return Err(unusable(origin, format!("its vocabulary lacks {missing}; is it the right file?")));
    }
    add(&mut inner, &settings.added, origin)?;
    let Roles { start, end, pad, mask, unknown } = &roles;
    let names = [start, pad, end, unknown, mask].into_iter().flatten();
    let special = names.map(|name| AddedToken::from(name.clone(), true).lstrip(name == "<mask>"));
    inner.add_special_tokens(special).map_err(failed)?;
    Tokenizer::checked(inner, origin, roles, settings.class.as_ref().and_then(Class::doubled))
        .map(|(tokenizer, _)| tokenizer)
}

/// Adds tokens at their ids.
fn add(inner: &mut tokenizers::Tokenizer, added: &[(Option<u32>, AddedToken)], origin: &str) -> Result<(), InputError> {
    guarded(|| inner.add_tokens(added.iter().map(|(_, token)| token.clone())))
        .map_err(|error| unusable(origin, error))?;
    for (id, token) in added {
        let found = inner.token_to_id(&token.content);
        if id.is_some() && *id != found {
            return Err(unusable(origin, misplaced(&token.content, *id, found)));
        }
    }
    Ok(())
}

fn misplaced(token: &str, said: Option<u32>, found: Option<u32>) -> String {
    let number = |id: Option<u32>| id.map_or("none".into(), |id| id.to_string());
    format!(
        "its added token `{token}` has the id {}, where {} comes next; do its files belong together?",
        number(said),
        number(found)
    )
}

/// The added tokens of a `tokenizer.json`.
#[derive(Deserialize)]
struct JsonTokens {
    #[serde(default)]
    added_tokens: Vec<JsonToken>,
}

#[derive(Deserialize)]
struct JsonToken {
    id: u32,
    content: String,
}

/// A `tokenizer.json` with the settings and vocabularies (`vocab.json`, `vocab.txt`) beside it.
fn from_json_beside(
    path: &Path,
    lists: (Option<std::path::PathBuf>, Option<std::path::PathBuf>),
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Tokenizer, InputError> {
    let (bytes, origin) = (read(path)?, named(path));
    let mut inner = Tokenizer::parse(&bytes, &origin)?;
    // The parser gives an added token another id than the file says when ids between are free.
    if let Ok(JsonTokens { added_tokens }) = serde_json::from_slice(&bytes) {
        let wrong = added_tokens.iter().find(|token| inner.token_to_id(&token.content) != Some(token.id));
        if let Some(JsonToken { id, content }) = wrong {
            return Err(unusable(&origin, misplaced(content, Some(*id), inner.token_to_id(content))));
        }
    }
    lists_agree(&inner, lists, notes);
    guarded(|| settings_over(&mut inner, settings, notes)).map_err(|error| unusable(&origin, error))?;
    add(&mut inner, &settings.added, &origin)?;
    let roles = settings.roles.clone().or(Roles::inside(&inner));
    let roles = roles.clone().or(Roles::family(&inner, roles.start.as_deref()));
    let names: Vec<String> = settings.roles.names().map(str::to_string).collect();
    let flags = inner.get_added_tokens_decoder();
    let unmarked = names.into_iter().filter(|name| {
        inner.token_to_id(name).is_some() && !flags.values().any(|token| token.content == *name && token.special)
    });
    let unmarked: Vec<_> = unmarked.map(|name| AddedToken::from(name, true)).collect();
    inner.add_special_tokens(unmarked).map_err(|error| unusable(&origin, error))?;
    let doubled = settings.class.as_ref().and_then(Class::doubled);
    let (tokenizer, enclosed) = Tokenizer::checked(inner, &origin, roles, doubled)?;
    if !enclosed {
        notes.push(
            "`tokenizer.json` does not enclose a text in its start and end tokens; it is done all the same".into(),
        );
    }
    Ok(tokenizer)
}

/// Whether vocabularies beside a `tokenizer.json` have its ids, told where they do not.
fn lists_agree(
    inner: &tokenizers::Tokenizer,
    (map, list): (Option<std::path::PathBuf>, Option<std::path::PathBuf>),
    notes: &mut Vec<String>,
) {
    let map = map.map(|path| ("vocab.json", token_map(&path)));
    let list = list.map(|path| ("vocab.txt", token_list(&path)));
    for (name, tokens) in [map, list].into_iter().flatten() {
        match tokens {
            Ok(tokens) => {
                let differing = tokens.iter().filter(|(token, id)| inner.token_to_id(token) != Some(**id));
                if let Some((token, id)) = differing.min_by_key(|(_, id)| **id) {
                    notes.push(format!(
                        "`{name}` has `{token}` as {id}, where `tokenizer.json` has another token; `tokenizer.json` was taken"
                    ));
                }
            }
            Err(error) => notes.push(format!("{error}; `tokenizer.json` was taken")),
        }
    }
}

/// What a configuration says over a `tokenizer.json`: for classes that are known it counts, for others it is told.
fn settings_over(
    inner: &mut tokenizers::Tokenizer,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> tokenizers::Result<()> {
    let counts = |key: &str, said: bool| {
        format!("`tokenizer_config.json` says `{key}` {said}, `tokenizer.json` otherwise; the former counts")
    };
    match (&settings.class, inner.get_normalizer(), inner.get_pre_tokenizer()) {
        (Some(Class::WordPiece { .. }), Some(NormalizerWrapper::BertNormalizer(found)), _) => {
            let mut wanted = *found;
            let strips = found.strip_accents.unwrap_or(found.lowercase);
            for (key, said, now, place) in [
                ("do_lower_case", settings.lowercase, found.lowercase, &mut wanted.lowercase),
                ("clean_text", settings.clean_text, found.clean_text, &mut wanted.clean_text),
                (
                    "tokenize_chinese_chars",
                    settings.split_han,
                    found.handle_chinese_chars,
                    &mut wanted.handle_chinese_chars,
                ),
            ] {
                if let Some(said) = said.filter(|said| *said != now) {
                    notes.push(counts(key, said));
                    *place = said;
                }
            }
            if let Some(said) = settings.strip_accents {
                if said != strips {
                    notes.push(counts("strip_accents", said));
                }
                wanted.strip_accents = Some(said);
            }
            inner.with_normalizer(Some(wanted))?;
        }
        (Some(Class::ByteLevel { .. }), _, Some(PreTokenizerWrapper::ByteLevel(found))) => {
            if let Some(said) = settings.prefix_space.filter(|said| *said != found.add_prefix_space) {
                notes.push(counts("add_prefix_space", said));
                let wanted = ByteLevel::new(said, found.trim_offsets, found.use_regex);
                inner.with_pre_tokenizer(Some(wanted));
            }
        }
        (_, normalizer, _) => {
            let mut letter = NormalizedString::from("A");
            if let Some(normalizer) = normalizer {
                normalizer.normalize(&mut letter)?;
            }
            let lowers = letter.get().contains('a');
            if let Some(said) = settings.lowercase.filter(|said| *said != lowers) {
                notes.push(format!(
                    "`tokenizer_config.json` says `do_lower_case` {said}, `tokenizer.json` otherwise; the latter counts"
                ));
            }
        }
    }
    Ok(())
}

/// Whether the model's configuration speaks of this vocabulary, told where it does not.
fn agrees_with_model(tokenizer: &Tokenizer, settings: &Settings, notes: &mut Vec<String>) {
    let (size, special) = (tokenizer.vocabulary_size() as u64, tokenizer.special());
    // Rows are often more than tokens, filled up to a multiple of 64 or 128.
    if let Some(rows) = settings.rows.filter(|rows| *rows + (settings.added.len() as u64) < size || size + 128 < *rows)
    {
        notes
            .push(format!("`config.json` speaks of {rows} tokens, the tokenizer has {size}; do they belong together?"));
    }
    if let Some(said) = settings.pad_id.filter(|said| *said != u64::from(special.pad)) {
        notes.push(format!("`config.json` says `pad_token_id` {said}; the tokenizer's, {}, counts", special.pad));
    }
}
