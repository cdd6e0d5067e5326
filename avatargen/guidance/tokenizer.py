"""CLIP's byte-pair tokenizer, from its vocabulary file `bpe_simple_vocab_16e6.txt.gz`.

Text is lower-cased, cut into words, written as UTF-8 bytes, and neighbouring pieces are merged in the order of
the file (Sennrich et al. 2016, arXiv:1508.07909; the byte alphabet is GPT-2's).
"""

import gzip
import html
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import ftfy
import regex
import torch
from jaxtyping import Int
from torch import Tensor

from avatargen.core.errors import BrokenFileError

FILE_NAME = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2
"""Lines of the file that the published models use."""
_END = "</w>"
_START_OF_TEXT, _END_OF_TEXT = "<|startoftext|>", "<|endoftext|>"
_WORD = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)


def _byte_alphabet() -> dict[int, str]:
    """A printable character for each byte: itself where it prints, else the next one from U+0100 on.

    The order is that of the first 256 tokens: printable bytes first.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + k) for k, byte in enumerate(others)}


_LETTERS = _byte_alphabet()


@dataclass(frozen=True, eq=False)
class Tokenizer:
    """Turns texts into rows of token numbers."""

    merges: tuple[tuple[str, str], ...]

    @cached_property
    def ranks(self) -> dict[tuple[str, str], int]:
        """Which pair is merged before which."""
        return {pair: rank for rank, pair in enumerate(self.merges)}

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Token to number."""
        pieces = [*_LETTERS.values(), *(letter + _END for letter in _LETTERS.values())]
        pieces += ["".join(pair) for pair in self.merges]
        return {piece: number for number, piece in enumerate([*pieces, _START_OF_TEXT, _END_OF_TEXT])}

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return 512 + len(self.merges) + 2

    def words(self, text: str) -> list[str]:
        """The tidied, lower-case words that are encoded one by one."""
        tidy = html.unescape(html.unescape(ftfy.fix_text(text)))
        return _WORD.findall(" ".join(tidy.split()).lower())

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text, without start and end."""
        return [self.numbers[piece] for word in self.words(text) for piece in self._pieces(word)]

    def _pieces(self, word: str) -> list[str]:
        if word in (_START_OF_TEXT, _END_OF_TEXT):
            return [word]
        pieces = [_LETTERS[byte] for byte in word.encode("utf-8")]
        pieces[-1] += _END
        while len(pieces) > 1:
            best = min(pairwise(pieces), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if best not in self.ranks:
                break
            merged: list[str] = []
            for piece in pieces:
                # A piece that has just been merged is longer than `best[0]`, so it cannot be merged twice.
                if merged and (merged[-1], piece) == best:
                    merged[-1] = "".join(best)
                else:
                    merged.append(piece)
            pieces = merged
        return pieces

    def __call__(self, texts: Sequence[str], context: int = 77) -> Int[Tensor, "n context"]:
        """One row per text: start, tokens (cut to fit), end, zeros."""
        start, end = self.numbers[_START_OF_TEXT], self.numbers[_END_OF_TEXT]
        rows = torch.zeros(len(texts), context, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            tokens = [start, *self.encode(text)[: context - 2], end]
            row[: len(tokens)] = torch.tensor(tokens)
        return rows


def load_tokenizer(path: Path) -> Tokenizer:
    """Read the vocabulary file (gzipped or plain).

    Raises:
        BrokenFileError: it is not one.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BrokenFileError(f"{path} is not CLIP's vocabulary: {error}\n  It is named {FILE_NAME}.") from error
    lines = [line for line in text.split("\n")[1 : 1 + _MERGES] if line.strip()]
    merges = tuple(tuple(line.split()) for line in lines)
    if not merges or any(len(pair) != 2 for pair in merges):
        raise BrokenFileError(f"{path} is not CLIP's vocabulary: each line after the first must hold two pieces")
    return Tokenizer(merges)  # type: ignore[arg-type]
