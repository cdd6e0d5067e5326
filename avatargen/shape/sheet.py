"""A contact sheet: the chosen body and the runners-up, side by side, with height and score."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from avatargen.body.model import BodyModel
from avatargen.core.values import Shape
from avatargen.shape.query import query_vertices, render_query

_VIEWS = 3  # front, three-quarter, side


def contact_sheet(shape: Shape, body: BodyModel, text: str = "", size: int = 256) -> UInt8[np.ndarray, "h w 3"]:
    """One column per body: the chosen one first, then up to five runners-up; front, three-quarter and side below."""
    shapes = (shape, *shape.candidates[:5])
    betas = torch.tensor(np.stack([s.betas for s in shapes]), dtype=torch.float32, device=body.template.device)
    with torch.no_grad():
        vertices = query_vertices(body, betas)
        pictures = render_query(body, vertices, size, _VIEWS).cpu()
    tall = vertices[..., 1].amax(1).tolist()
    columns = pictures.permute(0, 1, 3, 4, 2).reshape(len(shapes), _VIEWS * size, size, 3)
    pixels = np.concatenate([(c.numpy() * 255).round().astype(np.uint8) for c in columns], axis=1)
    banner = np.full((size // 6, pixels.shape[1], 3), 24, dtype=np.uint8)
    image = Image.fromarray(np.concatenate([banner, pixels]))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(9, size // 18))
    for number, (entry, height) in enumerate(zip(shapes, tall, strict=True)):
        name = (text[:28] or "chosen") if number == 0 else f"runner-up {number}"
        score = "" if entry.score is None else f"  score {entry.score:.3f}"
        draw.text((number * size + 6, 4), f"{name}\n{height:.2f} m{score}", fill=(235, 235, 230), font=font, spacing=1)
    return np.asarray(image)
