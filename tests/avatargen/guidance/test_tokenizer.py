import gzip
import importlib.util
from pathlib import Path

import pytest

from avatargen.core.errors import BrokenFileError
from avatargen.guidance.tokenizer import FILE_NAME, Tokenizer, load_tokenizer

SMALL = Tokenizer((("a", "b"), ("ab", "c</w>"), ("a", "a"), ("aa", "aa</w>"), ("o", "o")))


def pieces(text):
    names = {number: piece for piece, number in SMALL.numbers.items()}
    return [names[number] for number in SMALL.encode(text)]


def test_pairs_are_merged_in_the_order_of_the_file():
    assert pieces("abc") == ["abc</w>"]
    assert pieces("ABC") == ["abc</w>"]
    assert pieces("ab") == ["a", "b</w>"]
    assert pieces("aaaa") == ["aa", "a", "a</w>"]
    assert pieces("ooo") == ["oo", "o</w>"]


def test_words_digits_and_signs_are_cut_apart():
    assert SMALL.words("It's 42, isn't  it?") == ["it", "'s", "4", "2", ",", "isn", "'t", "it", "?"]
    assert SMALL.words("&amp;amp; <b>") == ["&", "<", "b", ">"]


def test_every_byte_has_a_number_of_its_own():
    assert len(SMALL.numbers) == SMALL.size == 512 + 5 + 2
    assert sorted(SMALL.numbers.values()) == list(range(SMALL.size))
    assert len(pieces("😀é")) == 6  # four bytes and two; letters and signs are different words


def test_rows_start_end_and_are_cut_to_fit():
    row = SMALL(["abc"], 6)[0].tolist()
    assert row == [SMALL.size - 2, SMALL.numbers["abc</w>"], SMALL.size - 1, 0, 0, 0]
    long = SMALL(["b " * 100], 6)[0].tolist()
    assert long == [SMALL.size - 2, *[SMALL.numbers["b</w>"]] * 4, SMALL.size - 1]


@pytest.mark.parametrize("data", [b"", b"\x1f\x8bnot gzip", b"#version\nthree words here\n", b"\xff\xfe\x00"])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / FILE_NAME
    path.write_bytes(data)
    with pytest.raises(BrokenFileError, match="not CLIP's vocabulary"):
        load_tokenizer(path)


def test_a_file_is_read_packed_and_unpacked(tmp_path):
    text = b"#version: 0.2\na b\nab c</w>\n"
    (tmp_path / "a").write_bytes(text)
    (tmp_path / "b").write_bytes(gzip.compress(text))
    assert load_tokenizer(tmp_path / "a").merges == load_tokenizer(tmp_path / "b").merges == SMALL.merges[:2]


def test_tokens_equal_those_of_the_clip_package():
    spec = importlib.util.find_spec("clip")
    if spec is None or spec.origin is None or not (Path(spec.origin).parent / FILE_NAME).is_file():
        pytest.skip("the clip package is not installed (extra [clip])")
    module = pytest.importorskip("clip.simple_tokenizer", exc_type=(ImportError, RuntimeError))
    reference = module.SimpleTokenizer()
    ours = load_tokenizer(Path(spec.origin).parent / FILE_NAME)
    assert ours.size == 49408
    for text in (
        "a 3D rendering of Saitama in unreal engine",
        "It's  the wizard's 1,000th naïve café – «déjà vu» 😀 &lt;b&gt;",
        "ÀÉ日本語 عربى antidisestablishmentarianism!!! ... don't",
        "x" * 60,
    ):
        assert ours.encode(text) == reference.encode(text)
