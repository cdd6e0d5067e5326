import json

import pytest

from avatargen import doctor as module
from avatargen.commands.doctor import doctor, models
from avatargen.core.errors import InputError, MissingAssetError


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVATARGEN_OFFLINE", "1")
    return tmp_path


def test_here_everything_that_the_default_command_needs_works():
    text, code = doctor([])
    assert code == 0
    assert "everything the default command needs works" in text
    found = {f["what"]: f for f in json.loads(doctor(["--json"])[0])}
    assert all(f["usable"] for f in found.values() if f["needed"])
    assert {"open", "embedded", "ffmpeg", "Blender", "smpl", "clip"} <= set(found)


def test_something_needed_that_is_broken_is_named_and_fails(monkeypatch):
    def broken():
        raise MissingAssetError("the file is gone\n  Install again.")

    monkeypatch.setattr(module, "load_embedded", broken)
    text, code = doctor([])
    assert code == 1
    assert "!! embedded" in text
    assert "the file is gone" in text
    assert text.endswith("not working: embedded")


def test_weights_in_the_cache_are_found_by_both_commands(home):
    file = home / "cache" / "clip" / "ViT-B-32.pt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert str(file) in doctor([])[0]
    assert models(["path", "clip:ViT-B/32"]) == (str(file), 0)
    assert models(["path", "ViT-B/32"]) == (str(file), 0)
    assert str(file) in models(["list"])[0]


def test_a_model_that_is_not_here_or_not_known_is_an_error():
    with pytest.raises(MissingAssetError, match="models fetch clip:RN50"):
        models(["path", "clip:RN50"])
    with pytest.raises(MissingAssetError, match="no weights"):
        models(["fetch", "clip:RN50"])  # offline
    with pytest.raises(InputError, match="RN51"):
        models(["path", "clip:RN51"])
