"""What an average picture looks like to the embedded guidance, so that texts can be compared with each other."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Integer
from torch import Tensor

from avatargen.guidance.embedded.embedding import POSE_WIDTH
from avatargen.guidance.embedded.model import load_embedded
from avatargen.training.pictures import Source

_PICTURES = 2000


@torch.no_grad()
def usual_picture(weights: Path, source: Source, rows: Integer[np.ndarray, " n"]) -> dict[str, Tensor]:
    """As the file of weights has it: the mean features of `source`'s buffers `rows` (whole figures), painted at random.

    Only colors and traits: the words of actions have been trained against each other, so none is near to every pose.
    """
    guidance = load_embedded(weights=weights)
    rows = rows[np.linspace(0, len(rows) - 1, min(_PICTURES, len(rows))).astype(int)]
    parts = [guidance.encode_image(source.pictures(part)) for part in np.array_split(rows, -(-len(rows) // 32))]
    usual = torch.cat(parts).mean(0)
    usual[-POSE_WIDTH - 2 :] = 0.0
    return {"usual": usual}
