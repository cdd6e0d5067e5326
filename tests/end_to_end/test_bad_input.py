"""Bad input: a clear message, exit code 2, no traceback, nothing written."""

import pytest

from avatargen.cli import main


def run(capsys, *arguments):
    code = main(list(arguments))
    err = capsys.readouterr().err
    assert "Traceback" not in err
    return code, err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shape", ""], "--shape is empty"),
        (["--appearance", "   "], "--appearance is empty"),
        (["--motion", "x" * 10_000], "10000 characters"),
        (["--shape", "tall\x07"], "control characters"),
        (["--describe", ""], "--describe is empty"),
        (["--quiet"], "at least one of --shape, --appearance, --motion"),
        (["--shape", "tall", "--body", "smal"], "smal"),
        (["--shape", "tall", "--body", "smpl"], "smpl_models"),
        (["--shape", "tall", "--guidance", "clop:ViT-B/32"], "clop"),
        (["--shape", "tall", "--guidance", "clip:ViT-B/33"], "ViT-B/32"),
        (["--shape", "tall", "--device", "tpu"], "unknown device 'tpu'"),
        (["--shape", "tall", "--height", "185"], "--height 185: it can be 1.3 to 2.2 m"),
        (["--weight-kg", "none of it"], "controls.weight_kg"),
        (["--height", "1.8", "--gender", "blue"], "controls.gender"),
        (["--shape", "tall", "--set", "implicit.stps=3"], "unknown key 'implicit.stps'"),
        (["--shape", "tall", "--set", "seed"], "key=value"),
        (["--shape", "tall", "--config", "gone.conf"], "no such configuration file"),
        (["train", "everything"], "shape | guidance"),
    ],
)
def test_bad_input_is_told_and_changes_nothing(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, err = run(capsys, *arguments)
    assert code == 2
    assert words in err
    assert not list(tmp_path.rglob("*.*")), "something was written"


def test_an_unwritable_folder_is_told(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    code, err = run(capsys, "--shape", "tall", "--out", str(tmp_path / "file" / "run"))
    assert code == 2
    assert "--out" in err
