"""One tiny run through every stage, shared by the tests that read its files."""

import pytest

TINY = (
    "shape.codebook_size=24",
    "shape.refine_steps=2",
    "implicit.steps=3",
    "implicit.views=2",
    "implicit.image_size=48",
    "mesh.voxel_mm=9",
    "mesh.head_mm=7",
    "mesh.hand_mm=7",
    "mesh.faces=12000",
    "mesh.texture_size=256",
    "refine.crisp=0",
    "motion.codebook_entries=32",
    "motion.shortlist=4",
    "motion.starts=3",
    "motion.steps=4",
    "video.width=96",
    "video.height=96",
    "video.supersample=1",
    "video.turntable_seconds=0.2",
    "video.preview_width=320",
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache of its own, so that a user's is neither read nor written."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AVATARGEN_CACHE", str(folder))
        yield folder


def run(folder, seed=0, more=(), **changes):
    from avatargen import generate

    texts = {"shape": "tall", "appearance": "Saitama", "motion": "punching"} | changes
    resume = texts.pop("resume", False)
    settings = {"quality": "draft", "guidance": "embedded", "device": "cpu", "overrides": (*TINY, *more)}
    return generate(**texts, **settings, out=folder, seed=seed, resume=resume)


@pytest.fixture(scope="session")
def finished(cache, tmp_path_factory):
    """The result of the tiny run."""
    return run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="session")
def tiny():
    """The overrides of the tiny run."""
    return TINY


@pytest.fixture(scope="session")
def make_run(cache):
    """Run the chain again: `make_run(folder, **texts)`."""
    return run
