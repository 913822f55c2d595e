//! [`Settings`]: the settings in the configuration files beside a vocabulary.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::AddedToken;

use super::roles::Roles;
use super::special::unusable;
use super::tokenizer::{named, read};
use crate::InputError;

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const MODEL_CONFIG: &str = "config.json";

/// A limit of at least this many tokens means no limit: Hugging Face writes 1e30 if there is none.
const NO_LIMIT: f64 = 1e9;

/// The class of a tokenizer: how it splits texts and joins two texts. The two texts of a pair are separated by one end token
/// or, with `double_separator`, by two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    WordPiece {
        double_separator: bool,
    },
    ByteLevel {
        double_separator: bool,
    },
    /// Any class that its `tokenizer.json` defines.
    Any,
    /// Another class, which is only supported as a `tokenizer.json`.
    Other(String),
}

impl Class {
    /// Whether two end tokens separate the two texts of a pair, if it is known for the class.
    pub fn double_separator(&self) -> Option<bool> {
        match self {
            Self::WordPiece { double_separator } | Self::ByteLevel { double_separator } => Some(*double_separator),
            Self::Any | Self::Other(_) => None,
        }
    }
}

/// The settings in the files beside a vocabulary; `None` for settings that no file gives.
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
    /// Tokens in addition to the vocabulary, by id. A token without an id comes after the others.
    pub added: Vec<(Option<u32>, AddedToken)>,
    /// The largest number of tokens of a text.
    pub max_tokens: Option<usize>,
    /// The number of rows of the model's word embeddings.
    pub embedding_rows: Option<u64>,
    /// The id of the pad token in the model's configuration.
    pub pad_id: Option<u64>,
}

/// A token in a configuration file: only its name, or its name with flags.
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

/// Additional special tokens: a list or, in newer files, a map from names of roles to tokens.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum ExtraTokens {
    List(Vec<Token>),
    Named(BTreeMap<String, Token>),
}

/// The keys of `tokenizer_config.json` and `special_tokens_map.json` that have an influence on the tokens of a text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
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
    additional_special_tokens: Option<ExtraTokens>,
    extra_special_tokens: Option<ExtraTokens>,
    added_tokens_decoder: BTreeMap<String, Flags>,
    model_max_length: Option<f64>,
    truncation_side: Option<String>,
}

impl Settings {
    /// Reads the settings of a folder, and adds notes for the user to `notes`.
    ///
    /// # Errors
    /// If a file that has an influence on the tokens cannot be read or needs an unsupported feature.
    pub fn read(folder: &Path, notes: &mut Vec<String>) -> Result<Self, InputError> {
        let config: ConfigFile = read_json(folder, CONFIG)?.unwrap_or_default();
        let special: ConfigFile = read_json(folder, SPECIAL_TOKENS)?.unwrap_or_default();
        refuse_unsupported_splitting(folder, &config)?;
        let model = read_model_config(folder, notes);
        let class = config.tokenizer_class.as_deref().map(class_of).or_else(|| model.class());
        if config.truncation_side.as_deref() == Some("left") {
            notes.push(format!("`{CONFIG}`: `truncation_side` is left, but long texts are truncated at their end"));
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
            max_tokens: config
                .model_max_length
                .filter(|&most| (1.0..NO_LIMIT).contains(&most))
                .map(|most| most as usize),
            embedding_rows: model.number("vocab_size"),
            pad_id: model.number("pad_token_id"),
            ..Self::default()
        };
        settings.added = added(folder, config, special)?;
        Ok(settings)
    }
}

/// Reads a JSON file of settings; `None` if it does not exist.
fn read_json<T: for<'a> Deserialize<'a>>(folder: &Path, name: &str) -> Result<Option<T>, InputError> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let value = serde_json::from_slice(&read(&path)?);
    value.map(Some).map_err(|error| unusable(&named(&path), format!("{error}; correct it, or remove the file")))
}

/// The model's own `config.json`.
struct ModelConfig(serde_json::Value);

impl ModelConfig {
    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key)?.as_u64()
    }

    /// The class by the tokenizer's class, if one is named; else by the model's type, if its tokenizer is known.
    fn class(&self) -> Option<Class> {
        let text = |key: &str| self.0.get(key).and_then(serde_json::Value::as_str);
        let by_type = || text("model_type").map(class_of).filter(|class| !matches!(class, Class::Other(_)));
        text("tokenizer_class").map(class_of).or_else(by_type)
    }
}

/// Reads the model's configuration. It is not required: if it cannot be read, this is only noted.
fn read_model_config(folder: &Path, notes: &mut Vec<String>) -> ModelConfig {
    match read_json(folder, MODEL_CONFIG) {
        Ok(value) => ModelConfig(value.unwrap_or_default()),
        Err(error) => {
            notes.push(format!("{error}; the file was ignored"));
            ModelConfig(serde_json::Value::Null)
        }
    }
}

/// The class with this name in `transformers` (`BertTokenizerFast`), or of this type of model (`distilbert`).
fn class_of(name: &str) -> Class {
    let bare = name.strip_suffix("Fast").unwrap_or(name);
    let bare = bare.strip_suffix("Tokenizer").unwrap_or(bare).replace(['-', '_'], "").to_lowercase();
    match bare.as_str() {
        "bert" | "distilbert" | "electra" | "mobilebert" | "layoutlm" | "convbert" | "squeezebert" | "lxmert"
        | "retribert" | "realm" | "dprreader" | "dprquestionencoder" | "dprcontextencoder" => {
            Class::WordPiece { double_separator: false }
        }
        "mpnet" => Class::WordPiece { double_separator: true },
        "roberta" | "longformer" | "bart" | "led" | "mvp" => Class::ByteLevel { double_separator: true },
        "gpt2" | "deberta" => Class::ByteLevel { double_separator: false },
        "pretrained" | "tokenizersbackend" => Class::Any,
        _ => Class::Other(name.into()),
    }
}

/// Refuses settings for the splitting of words that are not supported. Otherwise texts would silently become other tokens
/// than the model was trained with.
fn refuse_unsupported_splitting(folder: &Path, config: &ConfigFile) -> Result<(), InputError> {
    let cause = if config.do_basic_tokenize == Some(false) {
        "`do_basic_tokenize` is false, which is not supported (it needs texts that are already split); set it to true"
    } else if config.never_split.as_ref().is_some_and(|words| !words.is_empty()) {
        "`never_split` names words, which is not supported; put them under `added_tokens_decoder` instead"
    } else {
        return Ok(());
    };
    Err(unusable(&named(&folder.join(CONFIG)), cause))
}

/// The names of the special tokens. As in `transformers`, `special_tokens_map.json` has priority over a
/// `tokenizer_config.json` without `added_tokens_decoder`.
fn roles(config: &ConfigFile, special: &ConfigFile, notes: &mut Vec<String>) -> Roles {
    let newer = !config.added_tokens_decoder.is_empty();
    let mut pick = |key: &str, in_config: &Option<Token>, in_map: &Option<Token>| {
        let (configured, mapped) = (in_config.as_ref().map(Token::name), in_map.as_ref().map(Token::name));
        let (first, second) = if newer { (configured, mapped) } else { (mapped, configured) };
        if let (Some(first), Some(second)) = (first, second)
            && first != second
        {
            let files = format!("`{CONFIG}` and `{SPECIAL_TOKENS}`");
            notes.push(format!("{files} differ in `{key}`: `{first}` was used, not `{second}`"));
        }
        first.or(second).map(str::to_string)
    };
    let (cls, bos) = (
        pick("cls_token", &config.cls_token, &special.cls_token),
        pick("bos_token", &config.bos_token, &special.bos_token),
    );
    let (sep, eos) = (
        pick("sep_token", &config.sep_token, &special.sep_token),
        pick("eos_token", &config.eos_token, &special.eos_token),
    );
    Roles {
        start: cls.or(bos),
        end: sep.or(eos),
        pad: pick("pad_token", &config.pad_token, &special.pad_token),
        mask: pick("mask_token", &config.mask_token, &special.mask_token),
        unknown: pick("unk_token", &config.unk_token, &special.unk_token),
    }
}

/// The tokens in addition to the vocabulary, in the order of their ids.
fn added(folder: &Path, config: ConfigFile, special: ConfigFile) -> Result<Vec<(Option<u32>, AddedToken)>, InputError> {
    let mut tokens: BTreeMap<u32, AddedToken> = BTreeMap::new();
    for (token, id) in read_json::<BTreeMap<String, u32>>(folder, ADDED_TOKENS)?.unwrap_or_default() {
        tokens.insert(id, AddedToken::from(token, false));
    }
    for (id, flags) in config.added_tokens_decoder {
        let id = id.parse().map_err(|_| {
            unusable(&named(&folder.join(CONFIG)), format!("`added_tokens_decoder` has the key `{id}`, not a number"))
        })?;
        tokens.insert(id, flags.token());
    }
    let mut all: Vec<_> = tokens.into_iter().map(|(id, token)| (Some(id), token)).collect();
    let extra = [config.additional_special_tokens, config.extra_special_tokens, special.additional_special_tokens];
    let extra = extra.into_iter().flatten().flat_map(|tokens| match tokens {
        ExtraTokens::List(tokens) => tokens,
        ExtraTokens::Named(tokens) => tokens.into_values().collect(),
    });
    for token in extra {
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
