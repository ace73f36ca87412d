"""The page of a search: what was found, with the loops of its best clips where the store is at hand."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt
from PIL import Image

from cardiolens._version import __version__
from cardiolens.search.queries import ClipHit, Hit
from cardiolens.store import StudyStore
from cardiolens.study import Study

_SIDE, _PHASES, _FRAME_MS = 176, 20, 50
_CSS = """
:root{color-scheme:light dark;--line:#d9e0e6;--quiet:#566573;--bar:#1f6f9e}
@media(prefers-color-scheme:dark){:root{--line:#2b3843;--quiet:#9cabb8;--bar:#5eb3e4}}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;max-width:1080px;margin:0 auto;
  padding:24px 20px 48px}
h1{font-size:1.4rem;margin:0 0 4px}h2{font-size:1rem;margin:0;overflow-wrap:anywhere}
.quiet{color:var(--quiet);font-size:.88rem;margin:0}
.device{border-left:4px solid #D55E00;padding:4px 14px;margin:14px 0}
article{display:grid;grid-template-columns:minmax(210px,1fr) 3fr;gap:18px;border-top:1px solid var(--line);
  padding:14px 0}
@media(max-width:640px){article{grid-template-columns:1fr}}
.clips{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0}figcaption{font-size:.85rem}
img{display:block;background:#000;border-radius:4px}
meter{width:100%;height:10px}
"""


def search_page(query: str, hits: Sequence[Hit], model: str, searched: int, store: StudyStore | None = None) -> str:
    """The HTML text; loops are embedded, nothing is loaded from elsewhere.

    Args:
        query: the words or the study asked for.
        searched: how many studies were looked at.
        store: where the pixels are; None for a page without loops.

    Raises:
        StoreError: a study found that the store does not hold.
    """
    best = max((hit.score for hit in hits), default=1.0)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">",
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(query)}</title><style>{_CSS}</style></head><body>",
        f"<h1>{escape(query)}</h1>",
        f'<p class="quiet">{len(hits):,} of {searched:,} studies · {escape(model)} · cardiolens {__version__}</p>',
        '<p class="device"><strong>Research use only; not a medical device.</strong>  A score is a cosine similarity '
        "for ranking within this search, no probability.</p>",
        *(_hit(hit, best, store) for hit in hits),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _hit(hit: Hit, best: float, store: StudyStore | None) -> str:
    study = None if store is None else store.read(hit.key)
    figures = "".join(_clip(hit.key, clip, study, store) for clip in hit.clips)
    return (
        f"<article><div><h2>{hit.rank}. {escape(hit.key)}</h2>"
        f'<p class="quiet">score {hit.score:.3f}</p>'
        f'<meter min="0" max="{max(best, 1e-6):.4f}" value="{max(hit.score, 0):.4f}"></meter></div>'
        f'<div class="clips">{figures}</div></article>'
    )


def _clip(key: str, clip: ClipHit, study: Study | None, store: StudyStore | None) -> str:
    caption = f"<figcaption>{clip.view}, plane {clip.plane} · {clip.score:.3f}</figcaption>"
    if study is None or store is None:
        return f"<figure>{caption}</figure>"
    spacing = next(cine.spacing_mm for cine in study.cines if cine.view == clip.view)
    picture = loop(store.frames(key, clip.view, clip.plane), spacing or (1.0, 1.0))
    uri = "data:image/webp;base64," + base64.b64encode(picture).decode("ascii")
    return f'<figure><img alt="{clip.view} loop" src="{uri}">{caption}</figure>'


def loop(frames: npt.NDArray[np.generic], spacing_mm: tuple[float, float]) -> bytes:
    """(time, row, col) as an animated WebP picture at the true aspect ratio, longer side 176 pixels."""
    phases = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _PHASES)).round().astype(int))
    values = np.nan_to_num(np.asarray(frames[phases], dtype=np.float32), posinf=0.0, neginf=0.0)
    low, high = np.percentile(values[:, ::2, ::2], (1.0, 99.5))
    grey = ((values - low) * (255.0 / max(float(high - low), 1e-6))).clip(0, 255).astype(np.uint8)
    tall, wide = values.shape[1] * spacing_mm[0], values.shape[2] * spacing_mm[1]
    scale = _SIDE / max(tall, wide)
    size = (max(1, round(wide * scale)), max(1, round(tall * scale)))
    pictures = [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS).convert("RGB") for frame in grey]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=_FRAME_MS, loop=0, quality=60, method=2
    )
    return buffer.getvalue()
