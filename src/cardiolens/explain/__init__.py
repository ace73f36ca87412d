"""Where a model looks and what its answer hangs on: attention maps, attention by view, ablation, occlusion."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cardiolens.attention import ViewAttention, view_attention

if TYPE_CHECKING:
    from cardiolens.explain.ablation import ablate, ablation_effects
    from cardiolens.explain.bags import StudyClips, clips_of_store, clips_of_study
    from cardiolens.explain.groups import attention_by_condition, attention_table
    from cardiolens.explain.maps import AttentionMap, AttentionMaps, attention_maps
    from cardiolens.explain.run import Chosen, explain_store, explain_study
    from cardiolens.explain.video import to_mp4, write_mp4

_WHERE = {
    "AttentionMap": "maps",
    "AttentionMaps": "maps",
    "Chosen": "run",
    "StudyClips": "bags",
    "ablate": "ablation",
    "ablation_effects": "ablation",
    "attention_by_condition": "groups",
    "attention_maps": "maps",
    "attention_table": "groups",
    "clips_of_store": "bags",
    "clips_of_study": "bags",
    "explain_store": "run",
    "explain_study": "run",
    "to_mp4": "video",
    "write_mp4": "video",
}

__all__ = [
    "AttentionMap",
    "AttentionMaps",
    "Chosen",
    "StudyClips",
    "ViewAttention",
    "ablate",
    "ablation_effects",
    "attention_by_condition",
    "attention_maps",
    "attention_table",
    "clips_of_store",
    "clips_of_study",
    "explain_store",
    "explain_study",
    "to_mp4",
    "view_attention",
    "write_mp4",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
