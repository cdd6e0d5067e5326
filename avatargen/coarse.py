"""One short text to a body: the coarse stage alone, with its files.

from avatargen.coarse import generate_shape
result = generate_shape("short and chubby")
result.folder          # outputs/short-and-chubby: body.obj, body.glb, shape.json, shape_candidates.png
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from avatargen import pipeline
from avatargen.body.controls import asked_of
from avatargen.body.measure import measure
from avatargen.core.config import load_settings, to_tree
from avatargen.core.errors import InputError
from avatargen.core.files import write_whole
from avatargen.core.locks import locked
from avatargen.core.progress import Reporter, Silent, Stopwatch
from avatargen.core.runs import check_text, slug, write_json
from avatargen.core.values import Mesh, Shape
from avatargen.core.version import VERSION
from avatargen.export.gltf import encode_glb
from avatargen.export.obj import encode_obj
from avatargen.pipeline import Tools, load_tools
from avatargen.shape.rank import percentiles, trait_percentiles


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapeResult:
    """What the coarse stage made of a text."""

    folder: Path
    shape: Shape
    body: Mesh
    """In T-pose, standing on y = 0."""
    files: dict[str, str] = field(default_factory=dict)
    """File name -> what it is."""


def generate_shape(
    text: str,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    body: str | None = None,
    guidance: str | None = None,
    device: str | None = None,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> ShapeResult:
    """The body that `text` describes, as a whole run of quality `standard` finds it, and its files.

    Args:
        text: the body in words.
        out: the folder; `outputs/<slug of the text>` if None.
        seed: the same seed gives the same files.
        body: open | smpl | smplx.
        guidance: auto | embedded | clip:NAME | openclip:NAME:PRETRAINED.
        device: auto | cpu | cuda.
        config: a HOCON file with the keys to change.
        overrides: `key=value` strings.
        reporter: receives progress; silent if None.

    Raises:
        AvatarGenError: with what, where, and what to do.
    """
    clock, told = Stopwatch(), reporter or Silent()
    words = check_text("shape", text)
    if words is None:
        raise InputError('say which body, e.g. avatargen shape "short and chubby"')
    named = {"seed": seed, "body.kind": body, "guidance.model": guidance, "device": device}
    changes = [f"{key}={value}" for key, value in named.items() if value is not None]
    settings = load_settings(
        quality="standard", config=Path(config) if config else None, overrides=[*changes, *overrides]
    )
    asked = [f"{name} {value:g}" for name, value in asked_of(settings.controls).items()]
    folder = Path(out) if out is not None else Path("outputs") / slug(words, *asked)
    tools = load_tools(settings, told)
    with locked(folder):
        shape = pipeline.coarse_shape(words, tools)
        rigged = pipeline.rigged_body(shape, tools)
        files: dict[str, str] = {}

        def put(name: str, data: bytes, what: str) -> None:
            write_whole(folder / name, data)
            files[name] = what

        put("body.obj", encode_obj(rigged.mesh, "body")["body.obj"], "the body in T-pose")
        put("body.glb", encode_glb(rigged, name=slug(words), licence=tools.body.licence), "the body, rigged")
        put(
            "shape_candidates.png",
            pipeline.candidates_picture(words, shape, tools),
            "front, three-quarter and side of the body and the runners-up",
        )
        files["shape.json"] = "betas, score, runners-up, measures and percentiles"
        write_json(folder / "shape.json", shape_record(words, shape, tools) | {"seconds": round(clock.seconds, 2)})
    told.note(f"wrote {folder}/ in {clock.seconds:.1f} s:")
    for name, what in files.items():
        told.note(f"  {folder / name}  {what}")
    return ShapeResult(folder=folder, shape=shape, body=rigged.mesh, files=files)


def shape_record(text: str, shape: Shape, tools: Tools) -> dict[str, Any]:
    """Plain values: the body, its runners-up, and where both stand in the population."""
    return {
        "avatargen": VERSION,
        "text": text,
        "seed": tools.settings.seed,
        "body": {"kind": tools.body.kind, "version": tools.body.version},
        "guidance": {"name": tools.guidance.name, "version": tools.guidance.version},
        "controls": asked_of(tools.settings.controls),
        **_told(shape, tools),
        "runners_up": [_told(candidate, tools) for candidate in shape.candidates],
        "licences": pipeline.licences(tools, []),
        "settings": to_tree(tools.settings.shape),
    }


def _told(shape: Shape, tools: Tools) -> dict[str, Any]:
    if not shape.measures:
        betas = torch.as_tensor(shape.betas, dtype=torch.float32, device=tools.body.template.device)
        shape = replace(shape, measures=measure(tools.body, betas))
    places = percentiles(tools.body, shape.measures) | trait_percentiles(tools.body, shape.betas)
    return {
        "score": None if shape.score is None else round(shape.score, 4),
        "betas": [round(float(b), 5) for b in shape.betas],
        "measures": {name: round(float(value), 4) for name, value in shape.measures.items()},
        "percentiles": {name: round(value, 1) for name, value in places.items()},
    }
