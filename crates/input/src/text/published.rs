//! Reading of published tokenizers: a folder with several files that together define the tokenizer of a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
use super::special::{catch_panic, unusable};
use super::tokenizer::{Tokenizer, named, read};
use super::vocabulary::VocabularyStatistics;
use crate::InputError;

/// A tokenizer that was read from a folder, with notes for the user.
#[derive(Clone, Debug)]
pub struct Published {
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// Notes on files of the folder that contradict each other, that leave a setting open, or that request an unsupported
    /// feature: each says what was used instead.
    pub notes: Vec<String>,
    /// The largest number of tokens of a text that its model supports, if a file gives it.
    pub max_tokens: Option<usize>,
}

impl Tokenizer {
    /// Reads the tokenizer of a folder: `tokenizer.json`, else `vocab.json` with `merges.txt`, else `vocab.txt`, with the
    /// settings in `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and `config.json` of the same
    /// folder.
    ///
    /// If `tokenizer.json` and `tokenizer_config.json` contradict each other, `tokenizer_config.json` is used if it names a
    /// class that this crate knows, as in `transformers`. Settings that no file gives are derived from the vocabulary: if it
    /// has words in upper case, texts keep their case.
    ///
    /// # Errors
    /// If the folder has no tokenizer, if a file is damaged, or if a file needs an unsupported feature.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Published, InputError> {
        let folder = folder.as_ref();
        if folder.is_file() {
            return Err(unusable(&named(folder), "it is a file; give the folder that contains it"));
        }
        let mut notes = vec![];
        let settings = Settings::read(folder, &mut notes)?;
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        let (json, list) = (file("tokenizer.json"), file("vocab.txt"));
        let pair = file("vocab.json").zip(file("merges.txt"));
        let tokenizer = if let Some(json) = json {
            let vocabularies = VocabularyFiles { json: file("vocab.json"), list };
            from_json_with_settings(&json, vocabularies, &settings, &mut notes)?
        } else {
            match (&settings.class, pair, list) {
                (Some(Class::Other(name)), ..) => return Err(unsupported_class(folder, name)),
                (Some(Class::WordPiece { .. }), _, Some(list)) | (Some(Class::Any) | None, None, Some(list)) => {
                    word_piece(&list, &settings, &mut notes)?
                }
                (Some(Class::ByteLevel { .. } | Class::Any) | None, Some((vocabulary, merges)), list) => {
                    if list.is_some() {
                        notes.push("`vocab.json` and `merges.txt` were used, not `vocab.txt`".into());
                    }
                    byte_level(&vocabulary, &merges, &settings, &mut notes)?
                }
                (_, pair, list) => return Err(no_tokenizer(folder, pair.is_some() || list.is_some())),
            }
        };
        compare_with_model_config(&tokenizer, &settings, &mut notes);
        Ok(Published { tokenizer, notes, max_tokens: settings.max_tokens })
    }

    /// Reads RoBERTa's byte-level BPE from its two published files.
    ///
    /// # Errors
    /// If a file cannot be read, is larger than 64 MB or damaged, or a special token is missing.
    pub fn from_roberta(vocabulary: impl AsRef<Path>, merges: impl AsRef<Path>) -> Result<Self, InputError> {
        byte_level(vocabulary.as_ref(), merges.as_ref(), &Settings::default(), &mut vec![])
    }

    /// A tokenizer in RoBERTa's format from a vocabulary of byte-level tokens.
    pub(super) fn byte_level(tokens: Vocab, merges: Merges, origin: &str) -> Result<Self, InputError> {
        build_byte_level(tokens, merges, &Settings::default(), origin)
    }
}

fn unsupported_class(folder: &Path, name: &str) -> InputError {
    let cause = format!(
        "its class `{name}` is supported only as a `tokenizer.json`; write one with `transformers` \
         (`AutoTokenizer.from_pretrained(..).save_pretrained(..)`), or use a BERT or RoBERTa tokenizer"
    );
    unusable(&named(folder), cause)
}

/// The error for a folder without a usable tokenizer. `other`: whether it has the files of another class.
fn no_tokenizer(folder: &Path, other: bool) -> InputError {
    let present = |names: &[&'static str]| names.iter().copied().find(|name| folder.join(name).is_file());
    let cause = if other {
        "its class needs `vocab.txt` (BERT) or `vocab.json` with `merges.txt` (RoBERTa), but only the files of the \
         other class were found"
            .into()
    } else if let Some(name) = present(&["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"]) {
        format!("SentencePiece's `{name}` is supported only as a `tokenizer.json`; write one with `transformers`")
    } else if let Some(name) = present(&["vocab.json", "merges.txt"]) {
        format!("only `{name}` was found; a BPE tokenizer needs both `vocab.json` and `merges.txt`")
    } else {
        return InputError::NoTokenizer { folder: folder.into() };
    };
    unusable(&named(folder), cause)
}

/// Reads a `vocab.txt`, with one token per line.
fn token_list(path: &Path) -> Result<Vocab, InputError> {
    let lines = String::from_utf8(read(path)?).map_err(|error| unusable(&named(path), error))?;
    let lines = lines.strip_prefix('\u{feff}').unwrap_or(&lines);
    Ok(lines.lines().zip(0..).map(|(token, id)| (token.trim_end().to_string(), id)).collect())
}

/// Reads a `vocab.json`, a map from tokens to ids.
fn token_map(path: &Path) -> Result<Vocab, InputError> {
    let tokens = serde_json::from_slice::<HashMap<String, u32>>(&read(path)?)
        .map_err(|error| unusable(&named(path), format!("{error}; it must map tokens to ids")))?;
    Ok(tokens.into_iter().collect())
}

/// Builds BERT's WordPiece tokenizer from a list of tokens.
fn word_piece(path: &Path, settings: &Settings, notes: &mut Vec<String>) -> Result<Tokenizer, InputError> {
    let (origin, tokens) = (named(path), token_list(path)?);
    let normalizer = normalizer(&tokens, settings, notes);
    // By default, the special tokens have BERT's names, unless the list has RoBERTa's start token and not BERT's.
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
    with_special_and_added(inner, roles, settings, &origin)
}

/// The normalisation of texts: by the settings, else by the statistics of the vocabulary, else as in BERT.
fn normalizer(tokens: &Vocab, settings: &Settings, notes: &mut Vec<String>) -> BertNormalizer {
    let statistics = VocabularyStatistics::of(tokens);
    let cased = statistics.is_significant(statistics.upper);
    match settings.lowercase {
        None if cased => notes.push(format!(
            "no file sets `do_lower_case`; {} tokens of `vocab.txt` have letters in upper case, so texts keep their \
             case",
            statistics.upper
        )),
        Some(true) if cased => notes.push(format!(
            "texts become lower case, as `do_lower_case` says; {} tokens of `vocab.txt` have letters in upper case and \
             can never occur",
            statistics.upper
        )),
        Some(false) if statistics.upper == 0 => notes.push(
            "texts keep their case, as `do_lower_case` says; no token of `vocab.txt` has a letter in upper case".into(),
        ),
        _ => {}
    }
    let lowercase = settings.lowercase.unwrap_or(!cased);
    // If a configuration sets the case, its missing settings have the defaults of `transformers`; without it the vocabulary
    // decides.
    let vocabulary_decides = settings.lowercase.is_none();
    let (mut strip_accents, mut split_han) = (settings.strip_accents, settings.split_han);
    let mut note_missing = |setting: &mut Option<bool>, key: &str, count: usize, what: &str| {
        let effect = if vocabulary_decides { "so texts keep them" } else { "and these tokens can never occur" };
        notes.push(format!("no file sets `{key}`; {count} tokens of `vocab.txt` have {what}, {effect}"));
        if vocabulary_decides {
            *setting = Some(false);
        }
    };
    if strip_accents.is_none() && lowercase && statistics.is_significant(statistics.accented) {
        note_missing(&mut strip_accents, "strip_accents", statistics.accented, "accents");
    }
    if split_han.is_none() && statistics.is_significant(statistics.han) {
        let what = "several Chinese characters in a row";
        note_missing(&mut split_han, "tokenize_chinese_chars", statistics.han, what);
    }
    BertNormalizer::new(settings.clean_text.unwrap_or(true), split_han.unwrap_or(true), strip_accents, lowercase)
}

/// Builds RoBERTa's byte-level BPE from its two files.
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
            unusable(&named(merges), format!("line {} is not two tokens separated by a space", number + 1))
        })?;
        if second.ends_with("</w>") {
            let cause = "its tokens end with `</w>`, so it is not a byte-level BPE; write it as a `tokenizer.json`";
            return Err(unusable(&named(merges), cause));
        }
        pairs.push((first.into(), second.into()));
    }
    if settings.lowercase == Some(true) {
        notes.push("`do_lower_case` is true, but a byte-level BPE does not support it: texts keep their case".into());
    }
    build_byte_level(tokens, pairs, settings, &format!("{} and {}", named(vocabulary), named(merges)))
}

fn build_byte_level(tokens: Vocab, merges: Merges, settings: &Settings, origin: &str) -> Result<Tokenizer, InputError> {
    let family =
        if tokens.contains_key("<s>") || !tokens.contains_key("[CLS]") { Roles::roberta() } else { Roles::bert() };
    let roles = settings.roles.clone().or(family.clone());
    let mut model = BPE::builder().vocab_and_merges(tokens, merges);
    if roles.unknown != family.unknown {
        // An unusual name must be stored in the model, because a reader could not derive it.
        model = model.unk_token(roles.unknown.clone().unwrap_or_default());
    }
    let mut inner = tokenizers::Tokenizer::new(
        model
            .build()
            .map_err(|error| unusable(origin, format!("{error}; do vocabulary and merges belong together?")))?,
    );
    // As in `transformers`, no space is added before the first word, unless the settings say so.
    let bytes = ByteLevel::new(settings.prefix_space.unwrap_or(false), true, true);
    inner.with_pre_tokenizer(Some(bytes));
    inner.with_decoder(Some(bytes));
    with_special_and_added(inner, roles, settings, origin)
}

/// Adds the additional tokens, and marks the special tokens of the vocabulary as special. A missing special token is an error and
/// does not become a new row.
fn with_special_and_added(
    mut inner: tokenizers::Tokenizer,
    roles: Roles,
    settings: &Settings,
    origin: &str,
) -> Result<Tokenizer, InputError> {
    let failed = |error| unusable(origin, error);
    let is_added = |name: &str| settings.added.iter().any(|(_, token)| token.content == name);
    let missing = roles.names().filter(|name| inner.token_to_id(name).is_none() && !is_added(name));
    let missing = missing.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !missing.is_empty() {
        return Err(unusable(origin, format!("its vocabulary lacks {missing}; is it the right file?")));
    }
    add_tokens(&mut inner, &settings.added, origin)?;
    let Roles { start, end, pad, mask, unknown } = &roles;
    let names = [start, pad, end, unknown, mask].into_iter().flatten();
    let special = names.map(|name| AddedToken::from(name.clone(), true).lstrip(name == "<mask>"));
    inner.add_special_tokens(special).map_err(failed)?;
    Tokenizer::checked(inner, origin, roles, settings.class.as_ref().and_then(Class::double_separator))
        .map(|(tokenizer, _)| tokenizer)
}

/// Adds tokens; each must get the id that its file gives it.
fn add_tokens(
    inner: &mut tokenizers::Tokenizer,
    added: &[(Option<u32>, AddedToken)],
    origin: &str,
) -> Result<(), InputError> {
    catch_panic(|| inner.add_tokens(added.iter().map(|(_, token)| token.clone())))
        .map_err(|error| unusable(origin, error))?;
    for (id, token) in added {
        let found = inner.token_to_id(&token.content);
        if id.is_some() && *id != found {
            return Err(unusable(origin, wrong_id(&token.content, *id, found)));
        }
    }
    Ok(())
}

fn wrong_id(token: &str, given: Option<u32>, found: Option<u32>) -> String {
    let number = |id: Option<u32>| id.map_or("none".into(), |id| id.to_string());
    format!(
        "its added token `{token}` has the id {}, but it gets the id {}; do the files belong together?",
        number(given),
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

/// The vocabularies beside a `tokenizer.json`, where they exist.
struct VocabularyFiles {
    /// `vocab.json`.
    json: Option<PathBuf>,
    /// `vocab.txt`.
    list: Option<PathBuf>,
}

/// Reads a `tokenizer.json` with the settings and vocabularies beside it.
fn from_json_with_settings(
    path: &Path,
    vocabularies: VocabularyFiles,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> Result<Tokenizer, InputError> {
    let (bytes, origin) = (read(path)?, named(path));
    let mut inner = Tokenizer::parse(&bytes, &origin)?;
    // If some ids before an added token are not used, the parser gives the token another id than the file says.
    if let Ok(JsonTokens { added_tokens }) = serde_json::from_slice(&bytes) {
        let wrong = added_tokens.iter().find(|token| inner.token_to_id(&token.content) != Some(token.id));
        if let Some(JsonToken { id, content }) = wrong {
            return Err(unusable(&origin, wrong_id(content, Some(*id), inner.token_to_id(content))));
        }
    }
    compare_with_vocabularies(&inner, vocabularies, notes);
    catch_panic(|| apply_settings(&mut inner, settings, notes)).map_err(|error| unusable(&origin, error))?;
    add_tokens(&mut inner, &settings.added, &origin)?;
    let roles = settings.roles.clone().or(Roles::from_tokenizer_json(&inner));
    let roles = roles.clone().or(Roles::family(&inner, roles.start.as_deref()));
    let names: Vec<String> = settings.roles.names().map(str::to_string).collect();
    let flags = inner.get_added_tokens_decoder();
    let unmarked = names.into_iter().filter(|name| {
        inner.token_to_id(name).is_some() && !flags.values().any(|token| token.content == *name && token.special)
    });
    let unmarked: Vec<_> = unmarked.map(|name| AddedToken::from(name, true)).collect();
    inner.add_special_tokens(unmarked).map_err(|error| unusable(&origin, error))?;
    let double_separator = settings.class.as_ref().and_then(Class::double_separator);
    let (tokenizer, enclosed) = Tokenizer::checked(inner, &origin, roles, double_separator)?;
    if !enclosed {
        notes.push("`tokenizer.json` does not add start and end tokens to a text; they are added all the same".into());
    }
    Ok(tokenizer)
}

/// Compares the vocabularies beside a `tokenizer.json` with its ids, and adds a note if they differ.
fn compare_with_vocabularies(
    inner: &tokenizers::Tokenizer,
    VocabularyFiles { json, list }: VocabularyFiles,
    notes: &mut Vec<String>,
) {
    let map = json.map(|path| ("vocab.json", token_map(&path)));
    let list = list.map(|path| ("vocab.txt", token_list(&path)));
    for (name, tokens) in [map, list].into_iter().flatten() {
        match tokens {
            Ok(tokens) => {
                let differing = tokens.iter().filter(|(token, id)| inner.token_to_id(token) != Some(**id));
                if let Some((token, id)) = differing.min_by_key(|(_, id)| **id) {
                    notes.push(format!(
                        "`{name}` gives `{token}` the id {id}, but `tokenizer.json` does not; `tokenizer.json` was used"
                    ));
                }
            }
            Err(error) => notes.push(format!("{error}; `tokenizer.json` was used")),
        }
    }
}

/// Applies the settings of a configuration to a `tokenizer.json`. For known classes the settings have priority; for other
/// classes a contradiction is only noted.
fn apply_settings(
    inner: &mut tokenizers::Tokenizer,
    settings: &Settings,
    notes: &mut Vec<String>,
) -> tokenizers::Result<()> {
    let config_used = |key: &str, value: bool| {
        format!("`tokenizer_config.json` sets `{key}` to {value}, but `tokenizer.json` does not; the former was used")
    };
    match (&settings.class, inner.get_normalizer(), inner.get_pre_tokenizer()) {
        (Some(Class::WordPiece { .. }), Some(NormalizerWrapper::BertNormalizer(found)), _) => {
            let mut wanted = *found;
            let strips = found.strip_accents.unwrap_or(found.lowercase);
            for (key, configured, current, field) in [
                ("do_lower_case", settings.lowercase, found.lowercase, &mut wanted.lowercase),
                ("clean_text", settings.clean_text, found.clean_text, &mut wanted.clean_text),
                (
                    "tokenize_chinese_chars",
                    settings.split_han,
                    found.handle_chinese_chars,
                    &mut wanted.handle_chinese_chars,
                ),
            ] {
                if let Some(value) = configured.filter(|value| *value != current) {
                    notes.push(config_used(key, value));
                    *field = value;
                }
            }
            if let Some(value) = settings.strip_accents {
                if value != strips {
                    notes.push(config_used("strip_accents", value));
                }
                wanted.strip_accents = Some(value);
            }
            inner.with_normalizer(Some(wanted))?;
        }
        (Some(Class::ByteLevel { .. }), _, Some(PreTokenizerWrapper::ByteLevel(found))) => {
            if let Some(value) = settings.prefix_space.filter(|value| *value != found.add_prefix_space) {
                notes.push(config_used("add_prefix_space", value));
                let wanted = ByteLevel::new(value, found.trim_offsets, found.use_regex);
                inner.with_pre_tokenizer(Some(wanted));
            }
        }
        (_, normalizer, _) => {
            let mut letter = NormalizedString::from("A");
            if let Some(normalizer) = normalizer {
                normalizer.normalize(&mut letter)?;
            }
            let lowers = letter.get().contains('a');
            if let Some(value) = settings.lowercase.filter(|value| *value != lowers) {
                notes.push(format!(
                    "`tokenizer_config.json` sets `do_lower_case` to {value}, but `tokenizer.json` does not; the \
                     latter was used"
                ));
            }
        }
    }
    Ok(())
}

/// Compares the model's configuration with the tokenizer, and adds notes if they differ.
fn compare_with_model_config(tokenizer: &Tokenizer, settings: &Settings, notes: &mut Vec<String>) {
    let (size, special) = (tokenizer.vocabulary_size() as u64, tokenizer.special());
    // There are often more rows than tokens: their number is rounded up to a multiple of 64 or 128.
    let differs = |rows: &u64| *rows + (settings.added.len() as u64) < size || size + 128 < *rows;
    if let Some(rows) = settings.embedding_rows.filter(differs) {
        notes.push(format!("`config.json` has {rows} tokens, but the tokenizer has {size}; do they belong together?"));
    }
    if let Some(id) = settings.pad_id.filter(|id| *id != u64::from(special.pad)) {
        notes.push(format!("`config.json` sets `pad_token_id` to {id}; the tokenizer's id, {}, was used", special.pad));
    }
}
