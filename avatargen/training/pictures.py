"""Batches for the image tower: painted buffers and query pictures, with their labels."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from avatargen.body.open_body import load_open_body
from avatargen.guidance.embedded.slots import BACKGROUND
from avatargen.shape.query import mannequin
from avatargen.training.gbuffers import SIZE, Buffers
from avatargen.training.paint import Canvas, Painter, zoom_index
from avatargen.training.slot_labels import face_slots

_TONES = ((1.0, 1.0, 1.0), (1.06, 1.1, 1.13), (0.8, 0.75, 0.7), (0.5, 0.45, 0.42))
"""Complexions, as factors on the mannequin's."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures and what is known about each; the first ones are painted buffers, the rest query pictures."""

    images: Float[Tensor, "b 3 128 128"]
    slot: Integer[Tensor, "painted 64 64"]
    joints: Float[Tensor, "painted 23 3"]
    joints_known: Float[Tensor, " painted"]
    traits: Float[Tensor, "b traits"]
    traits_known: Float[Tensor, " b"]


class Source:
    """Draws batches from buffers and query pictures with a generator of its own."""

    def __init__(
        self,
        buffers: Buffers,
        queries: UInt8[np.ndarray, "q views 128 128 3"],
        query_traits: Float[np.ndarray, "q traits"],
        generator: torch.Generator,
        shares: Float[Tensor, " n"] | None = None,
    ) -> None:
        """`shares` are the chances of the buffers; without them all are equal."""
        body = load_open_body()
        faces = body.faces
        self._buffers = buffers
        self._queries, self._query_traits = queries, torch.from_numpy(query_traits)
        self._generator = generator
        self._shares = torch.ones(len(buffers.face)) if shares is None else shares
        self._painter = Painter(generator)
        slots = torch.from_numpy(face_slots(body).astype(np.int64))
        self._slot = torch.cat([torch.tensor([BACKGROUND]), slots])
        nowhere = torch.zeros(1, 3)
        self._place = torch.cat([nowhere, body.template[faces].mean(1)])
        plain = torch.cat([nowhere, mannequin(body)[faces].mean(1)])
        self._looks = (plain * torch.tensor(_TONES)[:, None]).clamp(0, 1)

    @property
    def count(self) -> int:
        """How many buffers there are."""
        return len(self._buffers.face)

    def draw(self, painted: int, queries: int) -> Batch:
        """A random batch."""
        rows = torch.multinomial(self._shares, painted, replacement=True, generator=self._generator).numpy()
        canvas = self.canvas(rows, zoom=True)
        images = [self._painter.paint(canvas)]
        odd = int(torch.randint(2, (1,), generator=self._generator))
        which = torch.randint(max(len(self._queries), 1), (queries,), generator=self._generator).numpy()
        view = torch.randint(self._queries.shape[1], (queries,), generator=self._generator).numpy()
        if queries:
            shown = torch.from_numpy(self._queries[which, view]).permute(0, 3, 1, 2).float() / 255
            images.append((shown + 0.01 * torch.randn(shown.shape, generator=self._generator)).clamp(0, 1))
        kind = torch.from_numpy(self._buffers.kind[rows].astype(np.int64))
        standing = torch.from_numpy(self._buffers.standing[rows].astype(np.float32))
        whole = (kind == 0).float()
        # Size cannot be seen without a scale, and the others only where the whole body is in view.
        traits = torch.from_numpy(self._buffers.traits[rows])
        return Batch(
            images=torch.cat(images),
            slot=canvas.slot[:, odd::2, odd::2],
            joints=torch.from_numpy(self._buffers.joints[rows]),
            joints_known=whole,
            traits=torch.cat([traits, self._query_traits[which]]),
            traits_known=torch.cat([0.3 * whole * standing, torch.ones(queries)]),
        )

    def pictures(self, rows: Integer[np.ndarray, " b"]) -> Float[Tensor, "b 3 128 128"]:
        """Buffers `rows`, painted at random, not zoomed."""
        return self._painter.paint(self.canvas(rows, zoom=False))

    def canvas(self, rows: Integer[np.ndarray, " b"], zoom: bool) -> Canvas:
        """Buffers `rows` ready to be painted, with a small random zoom and shift if asked."""
        face = torch.from_numpy(self._buffers.face[rows].astype(np.int64))
        normal = torch.from_numpy(self._buffers.normal[rows])
        if zoom:
            y, x, inside = zoom_index(self._generator, len(rows), SIZE)
            batch = torch.arange(len(rows))[:, None, None]
            face = torch.where(inside, face[batch, y[:, :, None], x[:, None]], 0)
            normal = normal[batch, y[:, :, None], x[:, None]]
        look = torch.randint(len(self._looks), (len(rows), 1, 1), generator=self._generator)
        return Canvas(self._slot[face], normal.float() / 127, self._place[face], self._looks[look, face])
