"""Images and texts for PTUnifier: one call for both."""

from transformers import BatchFeature, ProcessorMixin


class PTUnifierProcessor(ProcessorMixin):
    """Give `images`, `text`, or both; what is missing is replaced by the model's prompts."""

    attributes = ["image_processor", "tokenizer"]
    image_processor_class = "AutoImageProcessor"
    tokenizer_class = "AutoTokenizer"

    def __call__(self, images=None, text=None, return_tensors="pt", **others):
        if images is None and text is None:
            raise ValueError("give `images`, `text`, or both")
        if others:
            raise TypeError(f"unknown options: {', '.join(others)}; images and texts are prepared as in training")
        data = {}
        if images is not None:
            data.update(self.image_processor(images, return_tensors=return_tensors))
        if text is not None:
            # `ptunifier` removes white space around texts.
            texts = [text.strip()] if isinstance(text, str) else [one.strip() for one in text]
            data.update(self.tokenizer(texts, padding=True, truncation=True, return_tensors=return_tensors))
        return BatchFeature(data)
