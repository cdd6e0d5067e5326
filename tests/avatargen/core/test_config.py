import dataclasses
import json

import pytest

from avatargen.core.config import QUALITIES, apply_tree, base_conf, confs_dir, load_settings, read_tree, to_tree
from avatargen.core.errors import ConfigError
from avatargen.core.reference import configuration_page
from avatargen.core.settings import Settings


def test_base_conf_holds_exactly_the_defaults():
    assert (confs_dir() / "base.conf").read_text() == base_conf(), "run `python -m avatargen.core.reference`"
    assert apply_tree(Settings(), read_tree(confs_dir() / "base.conf"), "base.conf") == Settings()


def test_the_configuration_page_is_up_to_date():
    page = confs_dir().parent / "docs" / "configuration.md"
    assert page.read_text() == configuration_page(), "run `python -m avatargen.core.reference`"


@pytest.mark.parametrize("quality", QUALITIES)
def test_each_quality_loads_and_differs_only_by_its_delta(quality):
    tree = read_tree(confs_dir() / "quality" / f"{quality}.conf")
    assert load_settings(quality=quality) == apply_tree(Settings(), tree, "x")


def test_settings_survive_a_round_trip_through_plain_values():
    settings = load_settings(quality="draft", overrides=["seed=7", "body.kind=smpl"])
    assert apply_tree(Settings(), to_tree(settings), "run.json") == settings


def test_later_sources_win(tmp_path):
    mine = tmp_path / "mine.conf"
    mine.write_text('seed = 3\nbody.gender = "male"\n')
    settings = load_settings(quality="draft", config=mine, overrides=["seed=4"])
    assert (settings.seed, settings.body.gender) == (4, "male")


def test_a_file_may_include_another(tmp_path):
    (tmp_path / "common.conf").write_text("seed = 11\n")
    mine = tmp_path / "mine.conf"
    mine.write_text('include "common.conf"\nbody.kind = "smpl"\n')
    settings = load_settings(config=mine)
    assert (settings.seed, settings.body.kind) == (11, "smpl")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sed = 3", ["unknown key 'sed'", "did you mean 'seed'"]),
        ("body.knd = smpl", ["unknown key 'body.knd'", "did you mean 'kind'"]),
        ('seed = "three"', ["'seed' must be a whole number"]),
        ("seed = 1.5", ["'seed' must be a whole number"]),
        ("seed = 10 m", ["'seed' must be a whole number"]),
        ("body = 3", ["'body' is a section"]),
        ('include "gone.conf"', ["missing include", "gone.conf"]),
        ('include required("gone.conf")', ["missing include", "gone.conf"]),
        ('include "mine.conf"', ["includes itself"]),
        ("seed = {", ["not valid HOCON"]),
        ("body.kind = ${nowhere}", ["not valid HOCON"]),
    ],
)
def test_a_wrong_file_is_an_error_that_names_file_and_key(tmp_path, text, words):
    mine = tmp_path / "mine.conf"
    mine.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(config=mine)
    for word in ["mine.conf", *words]:
        assert word in str(caught.value)


def test_a_missing_or_binary_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_settings(config=tmp_path / "gone.conf")
    (tmp_path / "b.conf").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_settings(config=tmp_path / "b.conf")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seed", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("sed=3", "did you mean 'seed'"),
        ("bdy.kind=smpl", "did you mean 'body'"),
        ("body.kin=smpl", "did you mean 'kind'"),
        ("body=smpl", "is a section"),
        ("seed=three", "must be a whole number"),
        ("seed.x=3", "unknown key 'seed'"),
    ],
)
def test_a_wrong_override_is_an_error_with_a_suggestion(override, words):
    with pytest.raises(ConfigError) as caught:
        load_settings(overrides=[override])
    assert words in str(caught.value)


def test_every_key_has_a_reason():
    def check(node):
        from avatargen.core.config import key_docs

        docs = key_docs(type(node))
        for field in dataclasses.fields(node):
            value = getattr(node, field.name)
            if dataclasses.is_dataclass(value):
                check(value)
            elif field.name not in {"seed"}:
                assert docs.get(field.name), f"{type(node).__name__}.{field.name} has no docstring"

    check(Settings())


def test_the_record_of_a_run_is_a_configuration(tmp_path):
    made_with = load_settings(quality="draft", overrides=["seed=7", "body.kind=smpl"])
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"avatargen": "0.1.0", "texts": {"shape": "tall"}, "settings": to_tree(made_with)}))
    assert load_settings(config=path) == made_with
    assert load_settings(quality="high", config=path, overrides=["seed=8"]) == dataclasses.replace(made_with, seed=8)
