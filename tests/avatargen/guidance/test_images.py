import numpy as np
import pytest
import torch
from PIL import Image

from avatargen.body.open_body import load_open_body
from avatargen.core.errors import InputError
from avatargen.guidance.embedded.embedding import WIDTH
from avatargen.guidance.embedded.model import load_embedded
from avatargen.guidance.images import read_picture
from avatargen.guidance.model import encode_prompt
from avatargen.shape.query import query_vertices, render_query


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_a_picture_is_read_as_it_is_and_what_is_transparent_becomes_white(tmp_path, suffix):
    pixels = np.zeros((4, 6, 4), dtype=np.uint8)
    pixels[:, :3] = (255, 128, 0, 255)
    Image.fromarray(pixels).save(tmp_path / f"a{suffix}", lossless=True)
    image = read_picture(tmp_path / f"a{suffix}")
    assert image.shape == (1, 3, 4, 6)
    torch.testing.assert_close(image[0, :, :, :3], torch.tensor([1.0, 128 / 255, 0.0])[:, None, None].expand(3, 4, 3))
    assert bool((image[0, :, :, 3:] == 1.0).all())


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40])
def test_what_is_no_picture_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png"):
        read_picture(tmp_path / "a.png")


def test_a_missing_or_huge_picture_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no picture"):
        read_picture(tmp_path / "none.png")
    Image.new("1", (9000, 9000)).save(tmp_path / "huge.png")
    with pytest.raises(InputError, match="40 million"):
        read_picture(tmp_path / "huge.png")


def test_an_embedded_prompt_says_nothing_of_build_and_pose():
    guidance, body = load_embedded(), load_open_body()
    image = render_query(body, query_vertices(body, torch.zeros(1, body.num_betas)))[0][:2]
    seen, asked = guidance.encode_image(image), encode_prompt(guidance, image)
    assert asked.shape == (2, WIDTH)
    torch.testing.assert_close(asked.norm(dim=-1), torch.ones(2))
    kept = asked != 0
    assert not bool(kept[:, -12:].any())
    ratio = asked[kept] / seen[kept]
    assert float(ratio.std()) < 0.2 * float(ratio.mean())


def test_other_models_are_prompted_with_the_whole_feature():
    class Mean:
        name, version, image_size, licence = "mean", "1", 4, "none"

        def encode_text(self, texts):
            raise NotImplementedError

        def encode_image(self, images):
            return images.mean((2, 3))

    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encode_prompt(Mean(), image), image.mean((2, 3)))
