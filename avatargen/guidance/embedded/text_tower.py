"""What an action is called and what it looks like, in one small space: two little networks.

`ActionWords` turns words (hashed stems, their pairs, character n-grams) into a vector, `PoseVector` joint positions.
They are trained together on the frames of the motion set and the phrases of its clips.
"""

import itertools
import zlib

import torch
from jaxtyping import Float, Integer
from torch import Tensor, nn
from torch.nn.functional import normalize

from avatargen.guidance.embedded.embedding import POSE_WIDTH
from avatargen.guidance.embedded.image_tower import JOINTS
from avatargen.guidance.embedded.tokens import clean, stem

BUCKETS = 6000
PIECES = 96
"""At most so many word pieces of a text are read."""

_FILLER_WORDS = """
a an the of to and in on with his her their its someone somebody person man woman people he she is are be being
been who while as if at for from it one oneself himself herself do doing does perform performing
"""
_FILLERS = frozenset(_FILLER_WORDS.split())


def pieces(text: str) -> list[int]:
    """Bucket numbers of the pieces of a text; 0 is padding."""
    words = [w for w in "".join(c if c.isalnum() else " " for c in clean(text)).split() if w not in _FILLERS]
    stems = [stem(w) for w in words]
    names = [f"w:{s}" for s in stems for _ in range(2)]
    names += [f"p:{a}_{b}" for a, b in itertools.pairwise(stems)]
    for s in stems:
        marked = f"<{s}>"
        names += [f"g:{marked[i : i + 4]}" for i in range(max(len(marked) - 3, 1))]
    return [1 + zlib.crc32(n.encode()) % (BUCKETS - 1) for n in names][:PIECES]


def encode_pieces(texts: list[str]) -> Integer[Tensor, "n p"]:
    """Piece numbers of texts, padded with zeros."""
    rows = [pieces(t) for t in texts]
    out = torch.zeros(len(rows), max(1, *(len(r) for r in rows)) if rows else 1, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    return out


class ActionWords(nn.Module):
    """Texts to unit vectors of actions."""

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(BUCKETS, width, mode="mean", padding_idx=0)
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 256), nn.GELU(), nn.Linear(256, POSE_WIDTH))

    def forward(self, numbers: Integer[Tensor, "n p"]) -> Float[Tensor, "n pose"]:
        """Unit vectors; of a text without any known piece, some fixed one."""
        return normalize(self.layers(self.table(numbers)), dim=-1)


class PoseVector(nn.Module):
    """Joint positions to unit vectors of actions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(JOINTS * 3, 384),
            nn.GELU(),
            nn.LayerNorm(384),
            nn.Linear(384, 384),
            nn.GELU(),
            nn.Linear(384, POSE_WIDTH),
        )

    def forward(self, joints: Float[Tensor, "n 23 3"]) -> Float[Tensor, "n pose"]:
        """Unit vectors of poses in the image tower's frame."""
        return normalize(self.layers(2.0 * joints.flatten(1)), dim=-1)
