from pathlib import Path

import pytest
import torch

from avatargen.core.errors import BrokenFileError, OutputError
from avatargen.core.files import cache_key, load_tensors, save_tensors, whole_folder, write_whole


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    path = write_whole(tmp_path / "sub" / "a.bin", b"abc")
    assert path.read_bytes() == b"abc"
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_part(tmp_path, monkeypatch):
    path = write_whole(tmp_path / "a.bin", b"old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_folder_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "f").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(tmp_path / "f" / "a.bin", b"abc")


def test_tensors_come_back_equal_and_a_second_save_is_the_same_bytes(tmp_path):
    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.tensor([1, 2])}
    one = save_tensors(tmp_path / "1.safetensors", tensors, {"key": "k"})
    two = save_tensors(tmp_path / "2.safetensors", tensors, {"key": "k"})
    assert one.read_bytes() == two.read_bytes()
    back, metadata = load_tensors(one)
    assert metadata == {"key": "k"}
    for name, tensor in tensors.items():
        torch.testing.assert_close(back[name], tensor, rtol=0, atol=0)


@pytest.mark.parametrize("cut", [0, 4, 9, 60])
def test_a_truncated_file_is_a_broken_file_error(tmp_path, cut):
    path = save_tensors(tmp_path / "1.safetensors", {"a": torch.ones(10)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BrokenFileError, match=r"1\.safetensors"):
        load_tensors(path)


def test_a_cache_key_changes_with_each_part():
    keys = {cache_key(a=1, b=2), cache_key(a=1, b=3), cache_key(a=2, b=2), cache_key(a=1), cache_key(b=2, a=1)}
    assert len(keys) == 4


def test_a_folder_appears_whole_in_place_of_the_older_one(tmp_path):
    target = tmp_path / "maps"
    for text in ("old", "new"):
        with whole_folder(target) as part:
            (part / "a.txt").write_text(text)
            assert not target.exists() or (target / "a.txt").read_text() == "old"
    assert (target / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["maps"]


def test_a_folder_that_could_not_be_filled_leaves_the_older_one_and_nothing_else(tmp_path):
    target = tmp_path / "maps"
    target.mkdir()
    (target / "a.txt").write_text("old")

    def fill(failure: Exception) -> None:
        with whole_folder(target) as part:
            (part / "a.txt").write_text("new")
            raise failure

    with pytest.raises(ValueError, match="half"):
        fill(ValueError("half"))
    with pytest.raises(OutputError, match="maps"):
        fill(OSError(28, "No space left on device"))
    assert (target / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["maps"]


def test_a_folder_below_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--out"), whole_folder(tmp_path / "file" / "maps"):
        pass
