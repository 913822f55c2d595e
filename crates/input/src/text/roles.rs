//! [`Roles`]: which tokens of a vocabulary are the start, end, pad, mask and unknown tokens.

use tokenizers::models::ModelWrapper;
use tokenizers::utils::padding::PaddingParams;

use super::special::{Special, catch_panic, unusable};
use crate::InputError;

/// The names of the five special tokens; `None` where a name is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    pub start: Option<String>,
    pub end: Option<String>,
    pub pad: Option<String>,
    pub mask: Option<String>,
    pub unknown: Option<String>,
}

/// The names in the families RoBERTa and BERT: start, end, pad, mask, unknown.
const FAMILIES: [[&str; 5]; 2] =
    [["<s>", "</s>", "<pad>", "<mask>", "<unk>"], ["[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]"]];

impl Roles {
    /// RoBERTa's names.
    pub fn roberta() -> Self {
        Self::of(FAMILIES[0])
    }

    /// BERT's names.
    pub fn bert() -> Self {
        Self::of(FAMILIES[1])
    }

    fn of(names: [&str; 5]) -> Self {
        let [start, end, pad, mask, unknown] = names.map(|name| Some(name.into()));
        Self { start, end, pad, mask, unknown }
    }

    /// These names; where a name is not known, the name of `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            start: self.start.or(other.start),
            end: self.end.or(other.end),
            pad: self.pad.or(other.pad),
            mask: self.mask.or(other.mask),
            unknown: self.unknown.or(other.unknown),
        }
    }

    /// All known names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.start, &self.end, &self.pad, &self.mask, &self.unknown].into_iter().flatten().map(String::as_str)
    }

    /// Whether two end tokens separate the two texts of a pair, as in RoBERTa.
    pub fn double_separator(&self) -> bool {
        self.start.as_deref() == Some("<s>")
    }

    /// The names of the family whose start token is `start` or, if there is none, is in the vocabulary. No names if no family
    /// fits.
    pub fn family(inner: &tokenizers::Tokenizer, start: Option<&str>) -> Self {
        let found = FAMILIES.iter().find(|names| start == Some(names[0]));
        let found = found.or_else(|| FAMILIES.iter().find(|names| inner.token_to_id(names[0]).is_some()));
        found.map_or_else(Self::default, |names| Self::of(*names))
    }

    /// The names that a `tokenizer.json` with padding settings gives itself: the pad token of these settings, the start and
    /// end tokens that it adds to a text, the unknown token of its model, and as mask token the only special token that
    /// includes the blank before it (`lstrip`), as RoBERTa's does.
    pub fn from_tokenizer_json(inner: &tokenizers::Tokenizer) -> Self {
        let Some(padding) = inner.get_padding() else { return Self::default() };
        let enclosed = catch_panic(|| inner.encode_fast("", true)).ok();
        let (start, end) = match enclosed.as_ref().map(tokenizers::Encoding::get_ids) {
            Some(&[start, end]) => (inner.id_to_token(start), inner.id_to_token(end)),
            _ => (None, None),
        };
        let added = inner.get_added_tokens_decoder();
        let special = || added.values().filter(|token| token.special);
        let known = special().any(|token| FAMILIES.iter().any(|names| token.content == names[3]));
        let mut stripping = special().filter(|token| token.lstrip);
        let mask = match (known, stripping.next(), stripping.next()) {
            (false, Some(mask), None) => Some(mask.content.clone()),
            _ => None,
        };
        Self { start, end, pad: Some(padding.pad_token.clone()), mask, unknown: unknown_of(inner.get_model()) }
    }

    /// Whether these are the names of a family, so that a reader of the `tokenizer.json` alone finds them.
    pub fn is_family(&self, inner: &tokenizers::Tokenizer) -> bool {
        *self == Self::family(inner, None)
    }

    /// The ids of the special tokens.
    ///
    /// # Errors
    /// If a name is not known or is not a token, or if one token has two roles that must differ.
    pub fn special(&self, inner: &tokenizers::Tokenizer, origin: &str) -> Result<Special, InputError> {
        let id = |name: &Option<String>, key: &str| {
            let name = name.as_ref().ok_or_else(|| {
                let cause = format!(
                    "it has neither `<s>` (RoBERTa) nor `[CLS]` (BERT), and no file names its `{key}`; name it in \
                     `tokenizer_config.json`, or use a tokenizer of a model that was trained with masked tokens"
                );
                unusable(origin, cause)
            })?;
            inner.token_to_id(name).ok_or_else(|| unusable(origin, format!("it lacks the special token `{name}`")))
        };
        let special = Special {
            start: id(&self.start, "cls_token")?,
            end: id(&self.end, "sep_token")?,
            pad: id(&self.pad, "pad_token")?,
            mask: id(&self.mask, "mask_token")?,
            unknown: id(&self.unknown, "unk_token")?,
        };
        let Special { start, end, pad, mask, unknown } = special;
        if [start, end, pad, unknown].contains(&mask) || [start, end].contains(&pad) {
            let names = self.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return Err(unusable(
                origin,
                format!("its start, end, pad, mask and unknown tokens are {names}; mask and pad need their own tokens"),
            ));
        }
        Ok(special)
    }
}

/// The padding settings that store the name of the pad token in a `tokenizer.json`. No text is padded with them.
pub(super) fn padding(roles: &Roles, special: Special) -> PaddingParams {
    PaddingParams { pad_id: special.pad, pad_token: roles.pad.clone().unwrap_or_default(), ..PaddingParams::default() }
}

fn unknown_of(model: &ModelWrapper) -> Option<String> {
    match model {
        ModelWrapper::WordPiece(model) => Some(model.unk_token.clone()),
        ModelWrapper::BPE(model) => model.unk_token.clone(),
        _ => None,
    }
}
