"""Configuration of PTUnifier: `config.json` of a bundle of `ptunifier`."""

from transformers import PretrainedConfig


class PTUnifierConfig(PretrainedConfig):
    """Sizes and options of the network, under the names that `ptunifier` writes. All have the defaults of the published model."""

    model_type = "ptunifier"

    def __init__(
        self, image=None, text=None, fusion=None, image_prompts=None, text_prompts=None, heads=(), outputs=None, contrast=None,
        max_tokens=64, task=None, **others
    ):
        prompts = {"kind": "pool", "size": 2048, "take": 8, "pooling": "mean", "similarity": "dot"}
        self.image = {
            "size": 288, "patch": 16, "width": 768, "layers": 12, "drop_last": 1, "eps": 1e-5, "heads": None, "mlp_width": None,
            "activation": "quick_gelu", "class_token": True, "pre_norm": True, "patch_bias": False, "layer_scale": False,
            "registers": 0, "merge": 1, **(image or {}),
        }
        self.text = {
            "vocabulary": 50265, "width": 768, "layers": 12, "heads": 12, "positions": 514, "eps": 1e-5, "style": "roberta", "start": 0,
            "end": 2, "padding": 1, **(text or {}),
        }
        self.fusion = {"kind": "two_stream", "width": 768, "layers": 6, "heads": 12, "eps": 1e-5, "add_mean": False, **(fusion or {})}
        self.image_prompts, self.text_prompts = {**prompts, **(image_prompts or {})}, {**prompts, **(text_prompts or {})}
        # The heads, and the number of outputs of those of a task.
        self.heads, self.outputs = list(heads), dict(outputs or {})
        self.contrast = {"temperature": 0.1, "learned": False, **(contrast or {})}
        self.max_tokens, self.task = max_tokens, task
        super().__init__(**{"pad_token_id": self.text["padding"], **others})
