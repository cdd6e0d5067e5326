"""Words outside the lexicon: how the reader takes them, and what the shipped network makes of them."""

import csv
import gc
import re
from dataclasses import replace
from pathlib import Path

import pytest

from avatargen.guidance.embedded import lexicon
from avatargen.guidance.embedded.model import load_embedded, shipped_words
from avatargen.guidance.embedded.open_words import FUNCTION_WORDS, Lookup, OpenWords, all_entries, meaning, pieces
from avatargen.guidance.embedded.reader import build_words, read
from avatargen.guidance.prompts import STYLES, TEXTURELESS

LIST = Path(__file__).parents[3] / "benchmarks" / "open_words.csv"
CHARACTERS = Path(__file__).parents[3] / "confs" / "characters.conf"
SAITAMA = "a bald man in a yellow jumpsuit with red gloves, red boots and a white cape"

LIKE = {
    ("vermilion", "adjective"): ("color", "scarlet"), ("vermilion", "noun"): ("color", "scarlet"),
    ("pantaloons", "noun"): ("garment", "trousers"), ("constable", "noun"): ("outfit", "policeman"),
    ("adipose", "adjective"): ("trait", "fat"), ("voluminous", "adjective"): ("trait", "big"),
    ("amble", "verb"): ("action", "walk"), ("ambling", "verb"): ("action", "walk"),
    ("empress", "noun"): ("outfit", "queen"),
}  # fmt: skip


def like(word: str, role: str) -> tuple[str, str] | None:
    return LIKE.get((word, role))


def never(word: str, role: str) -> tuple[str, str] | None:
    """A lookup that fails the test for any word but those that `Lookup` passes over by itself."""
    assert word in FUNCTION_WORDS or not word.isalpha() or len(word) < 3, f"{word!r} was looked up as {role}"
    return None


class TestReader:
    @pytest.mark.parametrize(
        ("text", "same"),
        [
            ("a man in vermilion pantaloons", "a man in scarlet trousers"),
            ("a red shirt and pantaloons that are vermilion", "a red shirt and trousers that are scarlet"),
            ("a constable with a vermilion cape", "a policeman with a scarlet cape"),
            ("dressed in vermilion", "dressed in scarlet"),
            ("a very adipose person", "a very fat person"),
            ("an empress", "a queen"),
            ("a constable in voluminous pantaloons", "a policeman in trousers"),
            ("an adipose constable in a red shirt, blue pantaloons", "a fat policeman in a red shirt, blue trousers"),
        ],
    )
    def test_a_word_that_is_like_an_entry_reads_as_the_entry(self, text: str, same: str):
        assert read(text, like) == read(same)

    def test_a_word_before_a_thing_can_only_describe_it(self):
        asked = []
        read("a vermilion shirt", lambda word, role: asked.append((word, role)))
        assert ("vermilion", "adjective") in asked
        read("a vermilion person", lambda word, role: asked.append((word, role)))
        read("dressed in vermilion", lambda word, role: asked.append((word, role)))
        assert ("vermilion", "noun") in asked

    @pytest.mark.parametrize(
        ("text", "said"),
        [("ambling", "walk"), ("a person ambling", "a person walk"), ("amble", "walk"), ("an ambling shirt", ""),
         ("a person with an amble", ""), ("ambling and punching", ""),
         ("amble in a room", "walk in a room"), ("Amble Bond", "")],
    )  # fmt: skip
    def test_a_verb_that_is_like_an_action_is_said_by_it(self, text: str, said: str):
        reading = read(text, like)
        assert reading.action_text == said
        assert reading.action == bool(said or read(text).action)

    def test_build_words_keep_the_users_own_word(self):
        assert build_words("a very adipose constable in red", unknown=like) == "very adipose"
        assert build_words("a very adipose constable in red", "thin", unknown=like) == ""
        assert build_words("a very adipose constable in red") == ""

    def test_what_the_lexicon_knows_is_never_looked_up(self):
        for name in sorted(set(all_entries()) - lexicon.ACTION_WORDS):
            text = f"a man in a very {name} and a red {name} person, all gold"
            assert read(text, never) == read(text)

    def test_nothing_that_shipped_texts_say_of_clothes_is_looked_up(self):
        for words in (*lexicon.OUTFITS.values(), *lexicon.BEINGS.values(), SAITAMA):
            words = words.replace("torn ", "")
            assert read(words, never) == read(words)
        for styles in (*STYLES.values(), TEXTURELESS):
            for line in (line for lines in styles.values() for line in lines):
                assert read(line.format("a tall man"), never) == read(line.format("a tall man"))


class TestPieces:
    def test_forms_of_a_word_share_its_pieces(self):
        assert pieces("pantaloons", "noun") == pieces("pantaloon", "noun")
        assert pieces("galloping", "verb") == pieces("gallop", "verb")

    def test_the_place_in_the_sentence_counts(self):
        noun, adjective = set(pieces("coral", "noun")), set(pieces("coral", "adjective"))
        assert noun != adjective
        assert len(noun & adjective) > 0.5 * len(noun)


@pytest.fixture(scope="module")
def shipped() -> Lookup:
    lookup = shipped_words()
    assert lookup is not None
    return lookup


class TestShipped:
    @pytest.mark.parametrize(
        ("word", "role", "wanted"),
        [
            ("vermilion", "adjective", "scarlet"), ("cerulean", "adjective", "azure"),
            ("pantaloons", "noun", "trousers"), ("greatcoat", "noun", "overcoat"),
            ("fedora", "noun", "hat"), ("constable", "noun", "policeman"),
            ("hussar", "noun", "soldier"), ("barrister", "noun", "lawyer"), ("corpulence", "noun", ""),
            ("burly", "adjective", "strong"), ("emaciated", "adjective", "gaunt"), ("sauntering", "verb", "stroll"),
            ("piano", "noun", ""), ("economy", "noun", ""), ("photorealistic", "adjective", ""),
            ("mysterious", "adjective", ""), ("alice", "noun", ""), ("believing", "verb", ""),
        ],
    )  # fmt: skip
    def test_it_finds_what_a_word_is_like_or_nothing(self, shipped: Lookup, word: str, role: str, wanted: str):
        found = shipped(word, role)
        kinds = all_entries()
        told = None if found is None else meaning(found[1], found[0])
        assert told == (meaning(wanted, kinds[wanted]) if wanted else None)

    def test_the_model_reads_with_it(self, shipped: Lookup):
        model = load_embedded()
        features = model.encode_text(["vermilion pantaloons", "scarlet trousers", "sauntering", "red trousers"])
        assert float(features[0] @ features[1]) > 0.999
        assert float(features[0] @ features[3]) < 0.999
        assert bool(features[2].any())
        assert "WordNet" in model.licence

    def test_described_characters_read_as_before(self, shipped: Lookup):
        """Their words were chosen for the lexicon: what is left over is spikes, dots and manes."""
        texts = re.findall(r'^"[^"]*" = "([^"]*)"', CHARACTERS.read_text(), re.M)
        assert len(texts) >= 180
        changed = [text for text in texts if replace(read(text, shipped), action_text="") != read(text)]
        assert len(changed) <= 0.03 * len(texts), changed

    def test_most_words_of_the_held_out_list_are_read_right_and_meaningless_ones_are_left_alone(self, shipped: Lookup):
        with LIST.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
        quiet = [shipped(row["word"], row["wanted"]) is None for row in rows if row["kind"] == "nothing"]
        assert len(quiet) >= 100
        assert sum(quiet) / len(quiet) >= 0.95
        kinds = {"garment": "noun", "outfit": "noun", "being": "noun", "color": "adjective"}
        found = [shipped(r["word"], kinds[r["kind"]]) is not None for r in rows if r["kind"] in kinds]
        assert len(found) >= 100
        assert sum(found) / len(found) >= 0.7


def networks() -> int:
    gc.collect()
    return sum(type(thing) is OpenWords for thing in gc.get_objects())


def test_weights_that_are_loaded_again_are_in_memory_once_whatever_is_read():
    first = load_embedded().unknown
    before = networks()
    for number in ("one", "two", "three"):
        model = load_embedded()
        assert model.unknown is first
        assert read(f"constable {number} in vermilion pantaloons", model.unknown)
    del model
    assert networks() == before
