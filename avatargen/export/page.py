"""`report.html`: a run on one page that needs no network and no other file.

The viewer is three.js (MIT licence) as trimesh ships it for its own notebook viewer, with the small script in `page.js`
around it. Videos, pictures and the avatar itself are in the page as base64.
"""

import base64
import json
import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import trimesh

from avatargen.core.curves import Curves

_HERE = Path(__file__).parent
_BUNDLE_END = "THREE.GLTFLoader=GLTFLoader;})();"
# Nothing is loaded from anywhere: the browser itself forbids it.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "media-src data:; connect-src data: blob:"
)
_TYPES = {".png": "image/png", ".mp4": "video/mp4", ".gif": "image/gif"}


def three_js() -> str:
    """The text of three.js with its GLTF loader, out of trimesh's viewer; empty where this trimesh has another one."""
    path = Path(trimesh.__file__).parent / "resources" / "templates" / "viewer.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            page = archive.read("viewer.html.template").decode("utf-8")
        start, end = page.index("<script>") + len("<script>"), page.index(_BUNDLE_END) + len(_BUNDLE_END)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""
    return page[start:end]


def run_page(folder: Path, record: Mapping[str, Any], curves: Curves) -> bytes:
    """The page of the run in `folder`, whose files are written.

    Args:
        folder: holds avatar.glb and whatever else the record's `files` name.
        record: the content of run.json.
        curves: what the stages told of each step.
    """
    files = [name for name in record["files"] if (folder / name).is_file()]
    title = ", ".join(text for text in record["texts"].values() if text) or "avatar"
    films = [name for name in files if name.endswith(".mp4")]
    parts = [
        _head(title),
        _header(title, record),
        "<main>",
        _VIEWER,
        _films(folder, films),
        _pictures(folder, [name for name in ("preview.png", "shape_candidates.png") if name in files], record),
        _charts(curves),
        _numbers(record),
        _settings(record),
        "</main>",
        '<footer>Made with avatargen; the 3D view is <a href="https://threejs.org">three.js</a>, MIT licence. '
        "This page is one file and loads nothing.</footer>",
        f'<script type="text/plain" id="model">{_base64(folder / "avatar.glb")}</script>',
        f"<script>{three_js()}</script>",
        f"<script>{_resource('page.js')}</script>",
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part).encode()


def _head(title: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_resource('page.css')}</style></head><body>"
    )


def _resource(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _header(title: str, record: Mapping[str, Any]) -> str:
    texts = dict(record["texts"])
    looks = record.get("description")
    if looks and looks.get("text") != texts.get("appearance"):
        texts["in words"] = looks["text"]
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(text))}</dd>" for key, text in texts.items() if text)
    facts = (
        f"{record['quality']} quality, seed {record['seed']}, guidance {record['guidance']['name']}, "
        f"body {record['body']['kind']}, {record['seconds']['total']:.0f} s, avatargen {record['avatargen']}"
    )
    undone = record.get("left_undone") or []
    note = f"<p><b>Stopped early:</b> {escape(', '.join(undone))}.</p>" if undone else ""
    return (
        f'<header><h1>{escape(title)}</h1><p class="soft">{escape(facts)}</p>{note}'
        f'<dl class="texts">{rows}</dl></header>'
    )


_VIEWER = """<div class="card" style="margin-top:20px"><div id="viewer" style="margin:0">
<div id="say">Loading the avatar…</div></div>
<div class="tools"><button id="play">Pause</button>
<input id="time" type="range" min="0" max="1" step="any" value="0" aria-label="moment of the motion">
<select id="clip" aria-label="clip"></select>
<button id="wire" aria-pressed="false">Wireframe</button><button id="clay" aria-pressed="false">Textureless</button>
<button id="home">Front</button></div></div>
<noscript><p>The 3D view needs JavaScript; videos and pictures are below.</p></noscript>"""


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")


def _data(path: Path) -> str:
    return f"data:{_TYPES[path.suffix]};base64,{_base64(path)}"


def _films(folder: Path, names: Sequence[str]) -> str:
    films = "".join(
        f'<figure class="card"><video controls loop muted playsinline preload="metadata" '
        f'src="{_data(folder / name)}"></video><figcaption>{escape(name)}</figcaption></figure>'
        for name in names
    )
    return f'<h2>Videos</h2><div class="grid">{films}</div>' if films else ""


def _pictures(folder: Path, names: Sequence[str], record: Mapping[str, Any]) -> str:
    about = record["files"]
    shown = "".join(
        f'<figure class="card" style="margin-bottom:16px">'
        f'<img alt="{escape(about[name])}" src="{_data(folder / name)}">'
        f"<figcaption>{escape(about[name])}</figcaption></figure>"
        for name in names
    )
    textured = record["mesh"].get("texture")
    if textured:
        shown += (
            '<figure class="card" style="max-width:520px"><canvas id="texture" width="1" height="1"></canvas>'
            f"<figcaption>texture, {textured[1]} x {textured[0]} pixels</figcaption></figure>"
        )
    return f"<h2>Pictures</h2>{shown}" if shown else ""


def _charts(curves: Curves) -> str:
    charts = "".join(
        f'<figure class="card">{_chart(rows)}<figcaption>{escape(stage)}: {escape(name)}, '
        f"{rows[0][1]:.4g} to {rows[-1][1]:.4g} in {len(rows)} steps</figcaption></figure>"
        for stage, values in curves.items()
        for name, rows in values.items()
        if len(rows) > 1
    )
    return f'<h2>Optimisation</h2><div class="grid">{charts}</div>' if charts else ""


def _chart(rows: list[list[float]], width: float = 400.0, height: float = 180.0) -> str:
    """A line over steps, with the extremes written at its sides."""
    left, right, top, bottom = 52.0, 12.0, 14.0, 26.0
    steps, values = [row[0] for row in rows], [row[1] for row in rows]
    low, high = min(values), max(values)
    across = (width - left - right) / max(steps[-1] - steps[0], 1e-9)
    up = (height - top - bottom) / max(high - low, 1e-9)
    points = " ".join(
        f"{left + (step - steps[0]) * across:.1f},{height - bottom - (value - low) * up:.1f}"
        for step, value in zip(steps, values, strict=True)
    )
    base = height - bottom
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img">'
        f'<line x1="{left}" x2="{width - right}" y1="{base}" y2="{base}"/>'
        f'<line x1="{left}" x2="{left}" y1="{top}" y2="{base}"/><path d="M{points}"/>'
        f'<text x="{left - 6}" y="{top + 4}" text-anchor="end">{high:.3g}</text>'
        f'<text x="{left - 6}" y="{base}" text-anchor="end">{low:.3g}</text>'
        f'<text x="{left}" y="{height - 8}">step {steps[0]:g}</text>'
        f'<text x="{width - right}" y="{height - 8}" text-anchor="end">{steps[-1]:g}</text></svg>'
    )


def _numbers(record: Mapping[str, Any]) -> str:
    mesh, motion = record["mesh"], record.get("motion")
    scores = record["scores"]
    facts: dict[str, Any] = {"vertices": mesh["vertices"], "triangles": mesh["faces"]}
    if motion:
        facts["motion"] = f"{motion['frames']} frames, {motion['seconds']:.2f} s"
    if scores.get("shape") is not None:
        facts["score of the shape"] = f"{scores['shape']:.4f}"
    for name, value in (scores.get("appearance") or {}).items():
        facts[f"score of the appearance ({name})"] = f"{value:.4f}"
    if record.get("peak_memory_mb"):
        facts["memory"] = f"{record['peak_memory_mb']} MB"
    measures = {
        name.replace("_", " "): f"{value:.3f} {'m³' if name == 'volume' else 'm'}"
        for name, value in record["body"]["measures"].items()
    }
    seconds = {name: f"{value:.1f} s" for name, value in record["seconds"].items()}
    tables = [("Result", facts), ("Body", measures), ("Time", seconds)]
    return f'<h2>Numbers</h2><div class="grid">{"".join(_table(name, rows) for name, rows in tables)}</div>'


def _table(caption: str, rows: Mapping[str, Any], kind: str = "n") -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(str(key))}</th><td class="{kind}">{escape(str(value))}</td></tr>'
        for key, value in rows.items()
    )
    return f'<div class="card"><table><caption>{escape(caption)}</caption>{cells}</table></div>'


def _settings(record: Mapping[str, Any]) -> str:
    licences = record["licences"] | {"3D view of this page (three.js)": "MIT"}
    settings = escape(json.dumps(record["settings"], indent=2, ensure_ascii=False))
    versions = escape(json.dumps(record["versions"], indent=2))
    return (
        f"<h2>Where it comes from</h2>{_table('Licences', licences, 't')}<br>"
        f"{_table('Files', record['files'], 't')}<br>"
        f'<details class="card"><summary>Settings</summary><pre>{settings}</pre></details><br>'
        f'<details class="card"><summary>Versions</summary><pre>{versions}</pre></details>'
    )
