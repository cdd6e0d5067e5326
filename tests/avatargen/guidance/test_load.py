import sys
from types import ModuleType, SimpleNamespace

import pytest

from avatargen.core.errors import InputError, MissingAssetError, MissingExtraError
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance import openclip
from avatargen.guidance.load import load_guidance


class Notes:
    def __init__(self):
        self.lines = []

    def start(self, stage, total):
        pass

    def step(self, n=1, **values):
        pass

    def finish(self):
        pass

    def note(self, line):
        self.lines.append(line)


@pytest.fixture(autouse=True)
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setenv("AVATARGEN_OFFLINE", "1")
    monkeypatch.setenv("AVATARGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def embedded(monkeypatch):
    stand_in = SimpleNamespace(
        name="embedded", version="1", image_size=8, licence="", encode_text=lambda t: t, encode_image=lambda i: i
    )
    module = ModuleType("avatargen.guidance.embedded.model")
    module.load_embedded = lambda device: stand_in  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "avatargen.guidance.embedded.model", module)
    return stand_in


def test_auto_without_clip_says_so_in_one_line_and_takes_the_embedded_model(embedded):
    notes = Notes()
    assert load_guidance(GuidanceSettings(), "cpu", notes) is embedded
    (line,) = notes.lines
    assert line.startswith("guidance: embedded (no weights of CLIP ViT-B/32 on this machine)")
    assert "--guidance-weights" in line
    assert "\n" not in line


@pytest.mark.usefixtures("embedded")
def test_a_weight_file_for_the_embedded_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="reads no weight file"):
        load_guidance(GuidanceSettings(model="embedded", weights=str(tmp_path / "clip.pt")))


def test_embedded_by_name_says_nothing(embedded):
    notes = Notes()
    assert load_guidance(GuidanceSettings(model="embedded"), "cpu", notes) is embedded
    assert notes.lines == []


def test_clip_by_name_without_weights_says_where_it_looked():
    with pytest.raises(MissingAssetError, match=r"Looked for ViT-B-16\.pt in .*\n.*--guidance-weights FILE"):
        load_guidance(GuidanceSettings(model="clip:ViT-B/16"), "cpu")


def test_auto_with_a_missing_weight_file_is_an_error_not_a_fallback(embedded):
    with pytest.raises(MissingAssetError, match="must name an existing file"):
        load_guidance(GuidanceSettings(weights="/nowhere/w.pt"), "cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clp:ViT-B/32", "did you mean clip:ViT-B/32"),
        ("embeded", "did you mean embedded"),
        ("", "unknown guidance ''"),
        ("auto:x", "unknown guidance"),
        ("clip:ViT-B32", "did you mean ViT-B/32"),
        ("clip:banana", "There are: RN50, RN101"),
    ],
)
def test_unknown_names_get_a_suggestion(name, words):
    with pytest.raises(InputError, match=words):
        load_guidance(GuidanceSettings(model=name), "cpu")


def test_open_clip_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MissingExtraError, match=r"avatargen\[openclip\]"):
        load_guidance(GuidanceSettings(model="openclip:ViT-B-32:laion2b"), "cpu")


def test_open_clip_models_and_tags_are_checked(monkeypatch):
    package = SimpleNamespace(
        list_models=lambda: ["ViT-B-32", "RN50"], list_pretrained_tags_by_model=lambda name: ["openai", "laion2b"]
    )
    monkeypatch.setattr(openclip, "_package", lambda: package)
    with pytest.raises(InputError, match="did you mean ViT-B-32"):
        load_guidance(GuidanceSettings(model="openclip:ViT-B32:openai"), "cpu")
    with pytest.raises(InputError, match="there are: openai, laion2b"):
        load_guidance(GuidanceSettings(model="openclip:RN50"), "cpu")
