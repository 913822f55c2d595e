//! [`ImageOutputs`]: what an image encoder, or its first blocks, made of images earlier, in place of their pixels.

/// The outputs of an image encoder, or of its first blocks, for some images, which were computed earlier. With them the encoder, or this
/// part of it, need not run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageOutputs {
    /// Number of blocks after which these are the tokens; `None` after all of the encoder.
    pub blocks: Option<usize>,
    /// Number of tokens of each image.
    pub tokens: usize,
    /// Width of a token.
    pub width: usize,
    /// The output tokens of all images, one image after another: `[images * tokens, width]`.
    pub values: Vec<f32>,
    /// For each image, the query by which prompts in place of a missing text are selected: `[images, width of a query]`. Empty
    /// if the model selects no prompts by a query.
    pub queries: Vec<f64>,
}

impl ImageOutputs {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.values.len().checked_div(self.tokens * self.width).unwrap_or(0)
    }

    /// The output tokens of one image, `[tokens, width]`.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image(&self, index: usize) -> &[f32] {
        let size = self.tokens * self.width;
        &self.values[index * size..(index + 1) * size]
    }

    /// The query of one image; empty if there are no queries.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn query(&self, index: usize) -> &[f64] {
        let size = self.queries.len().checked_div(self.count()).unwrap_or(0);
        &self.queries[index * size..(index + 1) * size]
    }

    /// The outputs of one image alone.
    ///
    /// # Panics
    /// If there is no such image.
    #[must_use]
    pub fn only(&self, index: usize) -> Self {
        let Self { blocks, tokens, width, .. } = *self;
        Self { blocks, tokens, width, values: self.image(index).to_vec(), queries: self.query(index).to_vec() }
    }

    /// Adds the outputs of other images of the same encoder.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn extend(&mut self, other: &Self) {
        if self.values.is_empty() {
            (self.blocks, self.tokens, self.width) = (other.blocks, other.tokens, other.width);
        }
        let sizes = |one: &Self| (one.blocks, one.tokens, one.width);
        assert_eq!(sizes(self), sizes(other), "outputs of one encoder have the same size");
        self.values.extend_from_slice(&other.values);
        self.queries.extend_from_slice(&other.queries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Image, Images};

    fn outputs(first: f32) -> ImageOutputs {
        ImageOutputs {
            blocks: None,
            tokens: 2,
            width: 1,
            values: vec![first, first + 1.0],
            queries: vec![f64::from(first)],
        }
    }

    #[test]
    fn outputs_of_images_are_collected_in_order() {
        let image = |first| Image { outputs: Some(outputs(first)), ..Image::new(4, vec![]) };
        let images = Images::collect([&image(1.0), &image(5.0)]);
        let all = images.outputs.unwrap();
        assert_eq!((images.count, images.side, all.count()), (2, 4, 2));
        assert_eq!((all.image(1), all.query(1), all.query(0)), (&[5.0, 6.0][..], &[5.0][..], &[1.0][..]));
        assert_eq!(ImageOutputs::default().count(), 0);
    }

    #[test]
    #[should_panic(expected = "some images of a batch")]
    fn pixels_and_outputs_are_not_mixed() {
        Images::collect([
            &Image { outputs: Some(outputs(1.0)), ..Image::new(4, vec![]) },
            &Image::new(4, vec![0.0; 48]),
        ]);
    }
}
