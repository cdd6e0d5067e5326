import pytest

from avatargen.core.characters import describe, read_characters
from avatargen.core.config import confs_dir
from avatargen.core.errors import ConfigError


def test_saitama_is_described_in_visual_words():
    found = describe("Saitama")
    assert found.text == "a bald man in a yellow jumpsuit with red gloves, red boots and a white cape"
    assert (found.name, found.source) == ("Saitama", "characters.conf")


@pytest.mark.parametrize("text", ["SAITAMA", "the Saitama", "  saitama "])
def test_names_are_found_without_case_and_article(text):
    assert describe(text).name == "Saitama"


def test_the_longest_name_wins():
    assert describe("Bill Gates in Iron Man suit").name == "Bill Gates in Iron Man suit"


def test_a_name_inside_a_text_is_replaced_and_the_rest_kept():
    found = describe("Saitama holding a sword")
    assert found.text.startswith("a bald man in a yellow jumpsuit")
    assert found.text.endswith("holding a sword")


def test_a_trade_inside_a_description_does_not_replace_it():
    assert describe("a king in a blue coat").text == "a king in a blue coat"


def test_given_words_override_everything():
    assert describe("Saitama", given="a green man").text == "a green man"


def test_a_users_file_adds_and_wins(tmp_path):
    own = tmp_path / "own.conf"
    own.write_text('"Saitama" = "a blue man"\n"Zorblax" = "a pink robot"\n')
    assert describe("saitama", own=own).text == "a blue man"
    assert describe("Zorblax", own=own).text == "a pink robot"
    assert describe("Elsa", own=own).source == "characters.conf"


def test_an_entry_that_is_no_text_is_an_error(tmp_path):
    own = tmp_path / "own.conf"
    own.write_text('"Saitama" = 3\n')
    with pytest.raises(ConfigError, match=r"own.conf: entry 'Saitama'"):
        describe("Saitama", own=own)


def test_there_are_at_least_two_hundred_and_none_is_a_name_again():
    characters = read_characters(confs_dir() / "characters.conf")
    assert len(characters) >= 200
    for name, words in characters.items():
        assert len(words.split()) >= 4, name
        if name[:1].isupper() and " " not in name:
            assert name.casefold() not in words.casefold().split(), name
