"""Reports: sections, sentences and tokens; the 35 conditions, and their labels by rules or by a language model."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cardiolens.text.definitions import Definition, load_definitions
    from cardiolens.text.endpoint import Endpoint
    from cardiolens.text.identifiers import find_identifiers
    from cardiolens.text.labels import Labeller, Labels, Mention
    from cardiolens.text.llm import LLMLabeller
    from cardiolens.text.rules import RuleLabeller
    from cardiolens.text.sections import Section, split_sections
    from cardiolens.text.sentences import sample_sentences, split_sentences
    from cardiolens.text.token_store import TokenStore
    from cardiolens.text.tokenizer import ReportTokenizer, TokenBatch

__all__ = [
    "Definition",
    "Endpoint",
    "LLMLabeller",
    "Labeller",
    "Labels",
    "Mention",
    "ReportTokenizer",
    "RuleLabeller",
    "Section",
    "TokenBatch",
    "TokenStore",
    "find_identifiers",
    "load_definitions",
    "sample_sentences",
    "split_sections",
    "split_sentences",
]

_HOMES = {
    "Definition": "definitions",
    "Endpoint": "endpoint",
    "LLMLabeller": "llm",
    "Labeller": "labels",
    "Labels": "labels",
    "Mention": "labels",
    "ReportTokenizer": "tokenizer",
    "RuleLabeller": "rules",
    "Section": "sections",
    "TokenBatch": "tokenizer",
    "TokenStore": "token_store",
    "find_identifiers": "identifiers",
    "load_definitions": "definitions",
    "sample_sentences": "sentences",
    "split_sections": "sections",
    "split_sentences": "sentences",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cardiolens.text' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"cardiolens.text.{_HOMES[name]}"), name)
