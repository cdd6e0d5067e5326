"""Pictures as prompts: a photo or a render that says what a view should look like."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from avatargen.core.errors import InputError

_LARGEST = 40_000_000
"""Pixels; a larger header is a mistake or an attack."""


def read_picture(path: str | Path) -> Float[Tensor, "1 3 h w"]:
    """The picture as sRGB in 0..1; what is transparent becomes white.

    Raises:
        InputError: no such file, no picture, or one of more than 40 million pixels.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"there is no picture {file}\n  --appearance-image and --face-image name a PNG, JPEG or WebP.")
    try:
        with Image.open(file, formats=("PNG", "JPEG", "WEBP", "BMP", "TIFF")) as image:
            if image.width * image.height > _LARGEST:
                raise InputError(f"{file} has {image.width} x {image.height} pixels; 40 million are the most")
            colors = image.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{file} cannot be read as a picture: {error}") from error
    white = Image.new("RGBA", colors.size, "white")
    pixels = np.asarray(Image.alpha_composite(white, colors).convert("RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
