//! Which features of a frozen model a linear probe reads.

use serde::{Deserialize, Serialize};

/// Which frozen features a linear probe reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeSpace {
    /// The pooled features after the fusion.
    #[default]
    Features,
    /// The features of the encoders, before the fusion. A bundle of published encoders has no trained fusion.
    Encoder,
}
