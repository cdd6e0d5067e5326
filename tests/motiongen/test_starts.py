from collections import Counter
from dataclasses import replace

import pytest
import torch

from avatargen.core.progress import Silent
from avatargen.core.settings import MotionSettings
from motiongen.candidates import prompt_feature
from motiongen.codebook import MotionCodebook, load_motion_codebook
from motiongen.manner import drawn
from motiongen.motion_vae import load_motion_vae
from motiongen.starts import choose_starts, draw_kind, fitting, kinds, top_of


def test_takes_and_mirror_images_are_one_kind_and_recordings_are_each_their_own():
    names = (
        "cmu/02_01", "cmu/02_01_mirrored", "cmu/02_02", "procedural/front_kick_0", "procedural/front_kick_3_mirrored",
        "procedural/front_kick_1_travelling", "deepmimic/kick",
    )  # fmt: skip
    book = MotionCodebook(
        latents=torch.zeros(7, 4), clip=torch.arange(7), words=(("x",),) * 7, version="x", names=names
    )
    assert kinds(book).tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert kinds(replace(book, names=())).tolist() == list(range(7))


def test_who_is_called_so_fits_and_who_fits_better_in_all_fits_too():
    shared = torch.tensor([1.0, 0.85, 0.7, 0.7, 0.0, 1.0])
    plain = torch.tensor([5.0, 4.5, 4.9, 1.0, 0.0, 3.0])
    assert fitting(plain, shared).tolist() == [True, True, False, False, False, False]
    other = torch.tensor([5.0, 4.5, 5.6, 5.5, 5.1, 3.0])
    assert fitting(other, shared).tolist() == [True, False, True, True, False, False]
    assert fitting(other, torch.zeros(6)).tolist() == [False, False, True, True, False, False]


def test_the_top_of_a_group_is_told_to_each_of_its_own():
    values, groups = torch.tensor([1.0, 3.0, -2.0, 0.5]), torch.tensor([0, 1, 1, 0])
    assert top_of(values, groups).tolist() == [1.0, 3.0, 3.0, 1.0]
    assert top_of(-values, groups).tolist() == [-0.5, 2.0, 2.0, -0.5]


def test_ten_seeds_in_a_row_are_spread_over_the_kinds_by_their_odds_not_by_their_takes():
    kind = torch.tensor([0] * 8 + [1, 2, 2, 3])
    scores = torch.tensor([4.0] * 8 + [4.0, 4.0, 4.0, 9.0])
    fits = kind < 3
    for begin in (0, 10, 20):
        found = Counter(draw_kind(scores, kind, fits, 0.6, drawn(seed, "kind")) for seed in range(begin, begin + 10))
        assert sorted(found) == [0, 1, 2]
        assert all(3 <= count <= 4 for count in found.values())
    assert draw_kind(scores, kind, kind >= 0, 0.0, 0.1) == 3
    found = [draw_kind(scores + kind.eq(1), kind, fits, 0.6, (n + 0.5) / 1000) for n in range(1000)]
    odds = torch.softmax(torch.tensor([4.0, 5.0, 4.0]) / (0.8 * 0.6), 0)
    assert [found.count(k) / 1000 for k in range(3)] == pytest.approx(odds.tolist(), abs=2e-3)


def test_the_drawn_kind_comes_first_and_seeds_bring_all_shipped_ways_to_dance(models, guidance, puppet):
    book = load_motion_codebook()
    feature = prompt_feature(guidance, "dancing")
    settings = replace(MotionSettings(), shortlist=32, starts=5, phrase_weight=0.0)
    vae, found = load_motion_vae(), set()
    for seed in range(10):
        rows, scores = choose_starts("dancing", feature, guidance, puppet, book, vae, settings, seed, Silent())
        first = book.names[int(book.clip[rows[0]])].removesuffix("_mirrored")
        found.add(first.rstrip("0123456789_") if first.startswith("procedural") else first)
        assert bool((scores.diff() <= 0).all())
        assert len(rows) == settings.starts - settings.prior_starts
    assert found == {"cmu/55_01", "deepmimic/dance_a", "deepmimic/dance_b", "procedural/dance"}
