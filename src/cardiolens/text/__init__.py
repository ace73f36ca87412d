"""Reports: sentences and tokens."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.text.sentences import sample_sentences, split_sentences
    from cardiolens.text.tokenizer import ReportTokenizer, TokenBatch

__all__ = ["ReportTokenizer", "TokenBatch", "sample_sentences", "split_sentences"]

_HOMES = {
    "ReportTokenizer": "tokenizer",
    "TokenBatch": "tokenizer",
    "sample_sentences": "sentences",
    "split_sentences": "sentences",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens.text' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"cardiolens.text.{_HOMES[name]}"), name)
