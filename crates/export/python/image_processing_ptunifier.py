"""Images for PTUnifier: pictures become the planes that the model reads, with the numbers that `ptunifier` gives.

Written by the project `ptunifier` from its specification, section 5.
"""

import numpy as np
from PIL import Image, ImageOps
from transformers import BaseImageProcessor, BatchFeature


def samples(picture):
    """A picture without alpha: mode L or RGB with 8 bits, or mode F with its lowest value at 0 and its highest at 1."""
    # Pillow reads grey with alpha of 16 bits as 8 bits; a file that was not read yet says how many it has.
    if any(str(tile[3]).startswith("LA;16") for tile in getattr(picture, "tile", ())):
        raise ValueError("grey with alpha of 16 bits is not read as such here; save the picture without its alpha channel")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in ("1", "L", "LA"):
        return picture.convert("L")
    if picture.mode[0] not in "IF":
        return picture.convert("RGB")
    values = np.asarray(picture, dtype=np.float64)
    lowest, highest = values.min(), values.max()
    scale = 1 / (highest - lowest) if highest > lowest else 0.0
    return Image.fromarray(((values - lowest) * scale).astype(np.float32), mode="F")


def resize(picture, width, height):
    """Bicubic, antialiased, rows before columns. Pillow 13 would do columns first where a picture is much too tall."""
    if picture.width != width:
        picture = picture.resize((width, picture.height), Image.BICUBIC)
    return picture if picture.height == height else picture.resize((width, height), Image.BICUBIC)


def crop(picture, size):
    left, top = round((picture.width - size) / 2), round((picture.height - size) / 2)
    return picture.crop((left, top, left + size, top + size))


class PTUnifierImageProcessor(BaseImageProcessor):
    """Applies the steps of `preprocessor_config.json`: those of `evaluate`."""

    model_input_names = ["pixel_values"]

    def __init__(self, evaluate=(), train=(), **others):
        super().__init__(**others)
        self.evaluate, self.train = list(evaluate), list(train)

    def planes(self, picture):
        """One picture (PIL) as planes [3, height, width]."""
        picture, mean, deviation = samples(picture), 0.0, 1.0
        for step in self.evaluate:
            size = step.get("size")
            if step["op"] == "resize":
                picture = resize(picture, size, size)
            elif step["op"] == "resize_short":
                short = min(picture.size)
                picture = resize(picture, size * picture.width // short, size * picture.height // short)
            elif step["op"] == "center_crop":
                picture = crop(picture, size)
            elif step["op"] == "normalize":
                mean, deviation = (np.asarray(step[key], dtype=np.float32) for key in ("mean", "deviation"))
            else:
                raise ValueError(f"unknown step `{step['op']}` in preprocessor_config.json")
        values = np.asarray(picture, dtype=np.float32)
        values = values if picture.mode == "F" else values / np.float32(255)
        values = np.repeat(values[..., None], 3, axis=2) if values.ndim == 2 else values
        return ((values - mean) / deviation).astype(np.float32).transpose(2, 0, 1)

    def preprocess(self, images, return_tensors=None, **_):
        images = images if isinstance(images, (list, tuple)) else [images]
        images = [image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image)) for image in images]
        planes = [self.planes(image) for image in images]
        return BatchFeature({"pixel_values": planes}, tensor_type=return_tensors)
