//! [`Settings`]: what the files beside a vocabulary say about how it is used.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::AddedToken;

use super::roles::Roles;
use super::special::unusable;
use super::tokenizer::{named, read};
use crate::InputError;

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
const MODEL: &str = "config.json";

/// A limit of a model beyond this many tokens is none: Hugging Face writes 1e30 where there is no limit.
const NO_LIMIT: f64 = 1e9;

/// How a tokenizer's class splits and joins texts. A pair's halves are parted by one end token or, `doubled`, by two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    WordPiece {
        doubled: bool,
    },
    ByteLevel {
        doubled: bool,
    },
    /// Whatever its `tokenizer.json` says.
    Any,
    /// One that is read from a `tokenizer.json` only.
    Other(String),
}

impl Class {
    /// Whether a pair's halves are parted by two end tokens, where the class says it.
    pub fn doubled(&self) -> Option<bool> {
        match self {
            Self::WordPiece { doubled } | Self::ByteLevel { doubled } => Some(*doubled),
            Self::Any | Self::Other(_) => None,
        }
    }
}

/// What the files beside a vocabulary say; what they leave unsaid is `None`.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub class: Option<Class>,
    pub lowercase: Option<bool>,
    pub strip_accents: Option<bool>,
    pub split_han: Option<bool>,
    pub clean_text: Option<bool>,
    pub prefix: Option<String>,
    pub prefix_space: Option<bool>,
    pub roles: Roles,
    /// Tokens besides the vocabulary's, by id; one without an id comes behind the others.
    pub added: Vec<(Option<u32>, AddedToken)>,
    /// The most tokens of a text.
    pub longest: Option<usize>,
    /// Rows of the model's embeddings.
    pub rows: Option<u64>,
    /// The id of the pad token as the model's configuration has it.
    pub pad_id: Option<u64>,
}

/// A token by its name, or with how it is found in a text.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Token {
    Name(String),
    Flags(Flags),
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Flags {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

/// Further special tokens: a list or, in newer files, by names of their roles.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Further {
    List(Vec<Token>),
    Named(BTreeMap<String, Token>),
}

/// The keys of `tokenizer_config.json` and `special_tokens_map.json` that decide tokens.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    tokenizer_class: Option<String>,
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    clean_text: Option<bool>,
    do_basic_tokenize: Option<bool>,
    never_split: Option<Vec<String>>,
    wordpieces_prefix: Option<String>,
    add_prefix_space: Option<bool>,
    cls_token: Option<Token>,
    bos_token: Option<Token>,
    sep_token: Option<Token>,
    eos_token: Option<Token>,
    pad_token: Option<Token>,
    mask_token: Option<Token>,
    unk_token: Option<Token>,
    additional_special_tokens: Option<Further>,
    extra_special_tokens: Option<Further>,
    added_tokens_decoder: BTreeMap<String, Flags>,
    model_max_length: Option<f64>,
    truncation_side: Option<String>,
}

impl Settings {
    /// Reads what a folder says; `notes` gets what is told about it.
    ///
    /// # Errors
    /// If a file that decides tokens cannot be read or asks for what is not done here.
    pub fn read(folder: &Path, notes: &mut Vec<String>) -> Result<Self, InputError> {
        let config: Raw = parsed(folder, CONFIG)?.unwrap_or_default();
        let special: Raw = parsed(folder, SPECIAL)?.unwrap_or_default();
        refuse_unknown_ways(folder, &config)?;
        let model = model_says(folder, notes);
        let class = config.tokenizer_class.as_deref().map(class_of).or_else(|| model.class());
        if config.truncation_side.as_deref() == Some("left") {
            notes.push(format!("`{CONFIG}`: `truncation_side` is left, but long texts are cut at their end"));
        }
        let mut settings = Self {
            class,
            lowercase: config.do_lower_case,
            strip_accents: config.strip_accents,
            split_han: config.tokenize_chinese_chars,
            clean_text: config.clean_text,
            prefix: config.wordpieces_prefix.clone(),
            prefix_space: config.add_prefix_space,
            roles: roles(&config, &special, notes),
            longest: config.model_max_length.filter(|&most| (1.0..NO_LIMIT).contains(&most)).map(|most| most as usize),
            rows: model.number("vocab_size"),
            pad_id: model.number("pad_token_id"),
            ..Self::default()
        };
        settings.added = added(folder, config, special)?;
        Ok(settings)
    }
}

/// A file of settings; `None` where it is not there.
fn parsed<T: for<'a> Deserialize<'a>>(folder: &Path, name: &str) -> Result<Option<T>, InputError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let value = serde_json::from_slice(&read(&path)?);
    value.map(Some).map_err(|error| unusable(&named(&path), format!("{error}; correct it, or take the file away")))
}

/// The model's own `config.json`.
struct ModelConfig(serde_json::Value);

impl ModelConfig {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    /// By the tokenizer's class where one is named, else by the model's type where its tokenizer is known.
    fn class(&self) -> Option<Class> {
        let text = |key: &str| self.0.get(key).and_then(serde_json::Value::as_str);
        let by_type = || text("model_type").map(class_of).filter(|class| !matches!(class, Class::Other(_)));
        text("tokenizer_class").map(class_of).or_else(by_type)
    }
}

/// What the model's configuration says. It only helps, so one that cannot be read is told and does not stop the work.
fn model_says(folder: &Path, notes: &mut Vec<String>) -> ModelConfig {
    match parsed(folder, MODEL) {
        Ok(value) => ModelConfig(value.unwrap_or_default()),
        Err(error) => {
            notes.push(format!("{error}; it was passed over"));
            ModelConfig(serde_json::Value::Null)
        }
    }
}

/// The class by a name as of `transformers` (`BertTokenizerFast`) or by a model's type (`distilbert`).
fn class_of(name: &str) -> Class {
    let bare = name.strip_suffix("Fast").unwrap_or(name);
    let bare = bare.strip_suffix("Tokenizer").unwrap_or(bare).replace(['-', '_'], "").to_lowercase();
    match bare.as_str() {
        "bert" | "distilbert" | "electra" | "mobilebert" | "layoutlm" | "convbert" | "squeezebert" | "lxmert"
        | "retribert" | "realm" | "dprreader" | "dprquestionencoder" | "dprcontextencoder" => {
            Class::WordPiece { doubled: false }
        }
        "mpnet" => Class::WordPiece { doubled: true },
        "roberta" | "longformer" | "bart" | "led" | "mvp" => Class::ByteLevel { doubled: true },
        "gpt2" | "deberta" => Class::ByteLevel { doubled: false },
        "pretrained" | "tokenizersbackend" => Class::Any,
        _ => Class::Other(name.into()),
    }
}

/// Refuses ways to split words that are not done here, rather than giving other tokens without a word.
fn refuse_unknown_ways(folder: &Path, config: &Raw) -> Result<(), InputError> {
    let cause = if config.do_basic_tokenize == Some(false) {
        "`do_basic_tokenize` is false: texts whose words were split beforehand are not read; set it to true"
    } else if config.never_split.as_ref().is_some_and(|words| !words.is_empty()) {
        "`never_split` names words; put them under `added_tokens_decoder` instead"
    } else {
        return Ok(());
    };
    Err(unusable(&named(&folder.join(CONFIG)), cause))
}

/// The names of the special tokens. As in `transformers`, the map counts more than a configuration without
/// `added_tokens_decoder`.
fn roles(config: &Raw, special: &Raw, notes: &mut Vec<String>) -> Roles {
    let newer = !config.added_tokens_decoder.is_empty();
    let mut pick = |key: &str, in_config: &Option<Token>, in_map: &Option<Token>| {
        let (said, mapped) = (in_config.as_ref().map(Token::name), in_map.as_ref().map(Token::name));
        let (first, second) = if newer { (said, mapped) } else { (mapped, said) };
        if let (Some(first), Some(second)) = (first, second)
            && first != second
        {
            notes.push(format!("`{CONFIG}` and `{SPECIAL}` differ in `{key}`: `{first}` was taken, not `{second}`"));
        }
        first.or(second).map(str::to_string)
    };
    let (start, begin) = (
        pick("cls_token", &config.cls_token, &special.cls_token),
        pick("bos_token", &config.bos_token, &special.bos_token),
    );
    let (end, stop) = (
        pick("sep_token", &config.sep_token, &special.sep_token),
        pick("eos_token", &config.eos_token, &special.eos_token),
    );
    Roles {
        start: start.or(begin),
        end: end.or(stop),
        pad: pick("pad_token", &config.pad_token, &special.pad_token),
        mask: pick("mask_token", &config.mask_token, &special.mask_token),
        unknown: pick("unk_token", &config.unk_token, &special.unk_token),
    }
}

/// Tokens besides the vocabulary's, in the order of their ids.
fn added(folder: &Path, config: Raw, special: Raw) -> Result<Vec<(Option<u32>, AddedToken)>, InputError> {
    let mut tokens: BTreeMap<u32, AddedToken> = BTreeMap::new();
    for (token, id) in parsed::<BTreeMap<String, u32>>(folder, ADDED)?.unwrap_or_default() {
        tokens.insert(id, AddedToken::from(token, false));
    }
    for (id, flags) in config.added_tokens_decoder {
        let id = id.parse().map_err(|_| {
            unusable(&named(&folder.join(CONFIG)), format!("`added_tokens_decoder` has `{id}` where a number belongs"))
        })?;
        tokens.insert(id, flags.token());
    }
    let mut all: Vec<_> = tokens.into_iter().map(|(id, token)| (Some(id), token)).collect();
    let further = [config.additional_special_tokens, config.extra_special_tokens, special.additional_special_tokens];
    let further = further.into_iter().flatten().flat_map(|further| match further {
        Further::List(tokens) => tokens,
        Further::Named(tokens) => tokens.into_values().collect(),
    });
    for token in further {
        if let Some((_, known)) = all.iter_mut().find(|(_, known)| known.content == token.name()) {
            known.special = true;
        } else {
            all.push((None, token.special()));
        }
    }
    Ok(all)
}

impl Token {
    fn name(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Flags(flags) => &flags.content,
        }
    }

    fn special(self) -> AddedToken {
        match self {
            Self::Name(name) => AddedToken::from(name, true),
            Self::Flags(flags) => Flags { special: true, ..flags }.token(),
        }
    }
}

impl Flags {
    fn token(self) -> AddedToken {
        AddedToken::from(self.content, self.special)
            .single_word(self.single_word)
            .lstrip(self.lstrip)
            .rstrip(self.rstrip)
            .normalized(self.normalized.unwrap_or(!self.special))
    }
}
