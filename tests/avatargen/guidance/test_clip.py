"""Weights are small random ones, saved in the formats that real files have."""

import gzip
import hashlib
import http.server
import importlib.util
import pickle
import threading
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from avatargen.core.errors import BrokenFileError, MissingAssetError
from avatargen.core.progress import Silent
from avatargen.core.rng import stream
from avatargen.core.settings import GuidanceSettings
from avatargen.guidance.clip import load_clip, prepare_images
from avatargen.guidance.clip_model import Clip, ModifiedResNet, VisionTransformer, build_clip
from avatargen.guidance.fetch import fetch
from avatargen.guidance.model import Guidance
from avatargen.guidance.tokenizer import FILE_NAME
from avatargen.guidance.weights import read_weights

MERGES = ["a b", "ab c</w>", "t a", "ta l", "tal l</w>"]
TOKENS = 512 + len(MERGES) + 2


def fill(model, name="weights"):
    generator = stream(0, name)
    for key, parameter in model.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=1.2 / parameter[0].numel() ** 0.5, generator=generator)
        elif key != "logit_scale":
            nn.init.normal_(parameter, float(key.endswith("weight")), 0.2, generator=generator)
    for key, buffer in model.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2.0, generator=generator)
        elif key.endswith("running_mean"):
            buffer.normal_(0, 0.2, generator=generator)
    return model.eval()


def tiny_vit():
    return fill(Clip(VisionTransformer(32, 8, 64, 2, 24), TOKENS, 20, 64, 2))


def tiny_resnet():
    return fill(Clip(ModifiedResNet(64, (1, 2, 1, 1), 4, 24), TOKENS, 20, 64, 1))


class Scripted(nn.Module):
    """What `torch.jit.script` needs to store a module tree with the right names."""

    def __init__(self, tree):
        super().__init__()
        for name, value in tree.items():
            if isinstance(value, dict):
                self.add_module(name, Scripted(value))
            else:
                self.register_buffer(name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def save_script(state, path):
    tree = {}
    for key, value in state.items():
        *folders, leaf = key.split(".")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    torch.jit.script(Scripted(tree)).save(str(path))


@pytest.fixture(params=[tiny_vit, tiny_resnet])
def model(request):
    return request.param()


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / FILE_NAME
    path.write_bytes(gzip.compress("\n".join(["#version", *MERGES]).encode()))
    return path


def write(state, path, kind):
    match kind:
        case "state dict":
            torch.save(state, path)
        case "old state dict":
            torch.save(state, path, _use_new_zipfile_serialization=False)
        case "wrapped":
            torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
        case "safetensors":
            save_file({k: v.contiguous() for k, v in state.items()}, path)
        case "script":
            save_script({**state, "input_resolution": torch.tensor(32)}, path)
    return path


KINDS = ["state dict", "old state dict", "wrapped", "safetensors", "script"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_features_to_the_last_bit(model, vocabulary, tmp_path, kind):
    path = write(model.state_dict(), tmp_path / "weights.pt", kind)
    guidance = load_clip("ViT-B/32", GuidanceSettings(weights=str(path), vocabulary=str(vocabulary)))
    images = torch.rand(2, 3, guidance.image_size, guidance.image_size, generator=stream(0, "images"))
    with torch.no_grad():
        expected = model.encode_image(prepare_images(images, guidance.image_size))
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(guidance.encode_image(images), expected, rtol=0, atol=1e-6)
    assert isinstance(guidance, Guidance)
    assert guidance.encode_text(["tall abc", "a"]).norm(dim=-1).tolist() == pytest.approx([1.0, 1.0])


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_half_precision_archives_are_read_exactly(tmp_path):
    state = {k: v.half() for k, v in tiny_vit().state_dict().items()}
    save_script(state, tmp_path / "w.pt")
    read = read_weights(tmp_path / "w.pt")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[k], v) and read[k].dtype == v.dtype for k, v in state.items())


@pytest.mark.parametrize("make", [tiny_vit, tiny_resnet])
def test_the_image_gradient_is_right_and_no_weight_keeps_one(make):
    model = build_clip(make().double().state_dict(), "x").double()
    side = model.visual.resolution
    x = torch.rand(1, 3, side, side, dtype=torch.float64, generator=stream(0, "x"), requires_grad=True)
    direction = torch.randn(x.shape, dtype=torch.float64, generator=stream(0, "d"))
    probe = torch.randn(24, dtype=torch.float64, generator=stream(0, "p"))
    (gradient,) = torch.autograd.grad((model.encode_image(x) * probe).sum(), x)
    with torch.no_grad():
        ahead, behind = (model.encode_image(x + s * 1e-6 * direction) @ probe for s in (1, -1))
    assert (gradient * direction).sum().item() == pytest.approx(((ahead - behind) / 2e-6).item(), rel=1e-5)
    assert not any(p.requires_grad for p in model.parameters())


def test_text_features_do_not_depend_on_what_follows_the_end():
    model = tiny_vit()
    tokens = torch.zeros(2, 20, dtype=torch.int64)
    tokens[:, :4] = torch.tensor([TOKENS - 2, 5, 7, TOKENS - 1])
    tokens[1, 4:] = 9
    with torch.no_grad():
        first, second = model.encode_text(tokens)
    torch.testing.assert_close(first, second)


def test_attention_equals_torchs_own():
    block = tiny_vit().transformer.resblocks[0].attn
    reference = nn.MultiheadAttention(64, 1, batch_first=True).eval()
    reference.load_state_dict({k: v for k, v in block.state_dict().items()})
    x = torch.randn(2, 7, 64, generator=stream(0, "x"))
    mask = torch.full((7, 7), -torch.inf).triu(1)
    torch.testing.assert_close(block(x, False), reference(x, x, x, need_weights=False)[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(block(x, True), reference(x, x, x, attn_mask=mask)[0], rtol=1e-4, atol=1e-5)


def test_oblong_images_are_filled_up_not_stretched():
    wide = torch.zeros(1, 3, 8, 16)
    wide[..., 4:12] = 1.0
    square = prepare_images(wide, 16)
    assert square.shape[-2:] == (16, 16)
    torch.testing.assert_close(square[0, 0, 0], square[0, 0, 8])
    torch.testing.assert_close(square[0, 0, 0], prepare_images(wide[..., :, :].repeat(1, 1, 2, 1), 16)[0, 0, 0])


def harm(target):
    class Harm:
        def __reduce__(self):
            return Path.write_text, (Path(target), "ran")

    return Harm()


def test_a_hostile_state_dict_is_refused_and_does_not_run(tmp_path):
    trace = tmp_path / "trace"
    torch.save({"text_projection": harm(trace)}, tmp_path / "bad.pt")
    with pytest.raises(BrokenFileError, match="Files that hold code are refused"):
        read_weights(tmp_path / "bad.pt")
    assert not trace.exists()


def test_a_hostile_archive_is_refused_and_does_not_run(tmp_path):
    trace = tmp_path / "trace"
    with zipfile.ZipFile(tmp_path / "bad.pt", "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(harm(trace)))
        archive.writestr("a/constants.pkl", pickle.dumps(()))
    with pytest.raises(BrokenFileError, match="which is not a tensor"):
        read_weights(tmp_path / "bad.pt")
    assert not trace.exists()


def test_an_archive_cannot_reach_outside_its_storage(tmp_path):
    payload = (
        b"\x80\x02c__torch__.M\nM\n)\x81}(X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
        b"K\x00K\x64\x85K\x01\x85\x89}tRub."
    )
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("a/data.pkl", payload)
        archive.writestr("a/constants.pkl", pickle.dumps(()))
        archive.writestr("a/data/0", bytes(8))
    with pytest.raises(BrokenFileError, match="out of bounds"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("kind", ["state dict", "safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_files_are_named(tmp_path, kind, share):
    path = write(tiny_vit().state_dict(), tmp_path / "w.pt", kind)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BrokenFileError, match=r"w\.pt"):
        read_weights(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("text_projection"), "'text_projection' is missing"),
        (lambda s: s.pop("visual.ln_post.bias"), "'visual.ln_post.bias' is missing"),
        (lambda s: s.update(extra=torch.zeros(1)), "'extra' belongs to no CLIP"),
        (lambda s: s.update({"visual.proj": torch.zeros(65, 24)}), r"'visual.proj' is \(65, 24\), expected \(64, 24\)"),
        (lambda s: s["visual.proj"].fill_(torch.nan), "'visual.proj' holds numbers that are not finite"),
        (lambda s: s.pop("visual.conv1.weight"), "not a CLIP model"),
    ],
)
def test_weights_that_are_not_clip_are_refused_by_key(change, words):
    state = tiny_vit().state_dict()
    change(state)
    with pytest.raises(BrokenFileError, match=words):
        build_clip(state, "file.pt")


def test_a_vocabulary_of_another_size_is_refused(vocabulary, tmp_path):
    path = write(tiny_vit().state_dict(), tmp_path / "w.pt", "state dict")
    vocabulary.write_bytes(gzip.compress(b"#version\na b"))
    with pytest.raises(BrokenFileError, match=r"519 tokens, the vocabulary has 515"):
        load_clip("ViT-B/32", GuidanceSettings(weights=str(path), vocabulary=str(vocabulary)))


def test_the_version_follows_the_weights(vocabulary, tmp_path):
    versions = set()
    for k in range(2):
        state = tiny_vit().state_dict()
        state["visual.proj"][0, 0] += k
        path = write(state, tmp_path / f"{k}.pt", "safetensors")
        settings = GuidanceSettings(weights=str(path), vocabulary=str(vocabulary))
        versions.add(load_clip("ViT-B/32", settings).version)
    assert len(versions) == 2


class Server:
    """A local web server that hands out one answer."""

    def __init__(self, data):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/file.pt"


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


def test_a_download_arrives_whole_and_checked(tmp_path, no_proxy):
    server = Server(b"weights" * 100)
    digest = hashlib.sha256(b"weights" * 100).hexdigest()
    path = fetch(server.url, digest, tmp_path / "new" / "w.pt", Silent())
    server.server.shutdown()
    server.server.server_close()
    assert path.read_bytes() == b"weights" * 100
    assert [p.name for p in path.parent.iterdir()] == ["w.pt"]


def test_a_download_with_the_wrong_content_leaves_nothing(tmp_path, no_proxy):
    server = Server(b"something else")
    with pytest.raises(BrokenFileError, match="another file than expected"):
        fetch(server.url, "0" * 64, tmp_path / "w.pt", Silent())
    server.server.shutdown()
    server.server.server_close()
    assert list(tmp_path.iterdir()) == []


def test_without_a_server_the_error_comes_at_once(tmp_path, no_proxy):
    with pytest.raises(MissingAssetError, match="cannot fetch"):
        fetch("http://127.0.0.1:9/w.pt", "0" * 64, tmp_path / "w.pt", Silent())


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_features_equal_those_of_the_clip_package(kind):
    if importlib.util.find_spec("clip") is None:
        pytest.skip("the clip package is not installed (extra [clip])")
    reference_module = pytest.importorskip("clip.model", exc_type=(ImportError, RuntimeError))
    layers = 2 if kind == "vit" else (1, 2, 1, 1)
    with torch.random.fork_rng():
        sizes = (24, 32, layers, 64, 8) if kind == "vit" else (24, 64, layers, 4, None)
        reference = reference_module.CLIP(*sizes, 20, TOKENS, 64, 1, 2)
    fill(reference)
    ours = build_clip(reference.state_dict(), "reference")
    images = torch.randn(2, 3, sizes[1], sizes[1], generator=stream(0, "images"))
    tokens = torch.randint(1, TOKENS, (3, 20), generator=stream(0, "tokens"))
    with torch.no_grad():
        torch.testing.assert_close(ours.encode_image(images), reference.encode_image(images), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(ours.encode_text(tokens), reference.encode_text(tokens), rtol=1e-4, atol=1e-5)
