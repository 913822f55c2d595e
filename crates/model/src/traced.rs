//! The inputs of the encoders in a pass that is recorded to explain a result ([`ptu_kernels::Trace`]).

use ptu_input::{Images, Texts};
use ptu_kernels::{Packed, Pass, TracedModality};

use crate::Model;

/// What stands in for missing modalities. In a pass that is recorded, gradients reach it even if no weight has one, so that attention to
/// it is recorded too.
pub(crate) fn traced_stand_ins(stand_ins: Packed, pass: &Pass) -> Packed {
    match pass.trace() {
        Some(_) => stand_ins.with(stand_ins.tokens.clone().detach().require_grad()),
        None => stand_ins,
    }
}

impl Model {
    /// Embedded images, whose gradients are kept if the pass is recorded. Their baseline is an image of one colour, which is 0 after the
    /// normalisation.
    pub(crate) fn traced_images(&self, real: Packed, pass: &Pass) -> Packed {
        let Some(trace) = pass.trace().filter(|_| real.count() > 0) else { return real };
        let baseline = || {
            let side = self.config().image.size;
            let blank = Images { count: 1, side, planes: vec![0.0; 3 * side * side], outputs: None };
            self.embed_image(&blank, pass).select(std::iter::repeat_n(0, real.count()))
        };
        trace.replace(TracedModality::Image, &real, baseline)
    }

    /// Embedded texts, whose gradients are kept if the pass is recorded; `ids` gives their tokens. Their baseline has padding in the place of
    /// all tokens but the first and the last one.
    pub(crate) fn traced_texts(&self, real: Packed, ids: impl FnOnce() -> Vec<Vec<u32>>, pass: &Pass) -> Packed {
        let Some(trace) = pass.trace().filter(|_| real.count() > 0) else { return real };
        let baseline = || {
            let mut empty = ids();
            for ids in &mut empty {
                let end = ids.len().saturating_sub(1);
                ids.iter_mut().take(end).skip(1).for_each(|id| *id = self.config().text.padding);
            }
            self.embed_text(&Texts::collect(empty.iter().map(Vec::as_slice)), pass)
        };
        trace.replace(TracedModality::Text, &real, baseline)
    }
}
