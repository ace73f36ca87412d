"""Reports tokenised once, sentence by sentence, in one indexed file; sentences are drawn from it at each training step.

A draw gives exactly the tokens that tokenising the drawn sentences would: WordPiece parts text at spaces, so sentences
can be tokenised one by one.  The file is a plain NumPy archive, read without pickle.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiolens._version import __version__
from cardiolens.errors import InputError, ReportError
from cardiolens.store.atomic import write_whole
from cardiolens.text.sentences import Splitter, split_sentences
from cardiolens.text.tokenizer import ReportTokenizer, TokenBatch

_ARRAYS = ("ids", "sentences", "studies")


class TokenStore:
    """Token numbers of every sentence of every report.

    Attributes:
        keys: studies, in the order of the file.
        tokenizer_sha256: of the vocabulary; other vocabularies number words differently.
        reports_sha256: over keys and texts.
    """

    def __init__(
        self,
        keys: Sequence[str],
        ids: npt.NDArray[np.int32],
        sentences: npt.NDArray[np.int64],
        studies: npt.NDArray[np.int64],
        tokenizer_sha256: str,
        reports_sha256: str,
    ) -> None:
        self.keys = tuple(keys)
        self._index = {key: i for i, key in enumerate(self.keys)}
        self._ids, self._sentences, self._studies = ids, sentences, studies
        self.tokenizer_sha256, self.reports_sha256 = tokenizer_sha256, reports_sha256

    def __len__(self) -> int:
        return len(self.keys)

    def __contains__(self, key: object) -> bool:
        return key in self._index

    @classmethod
    def build(cls, reports: Mapping[str, str], tokenizer: ReportTokenizer, splitter: Splitter = "pysbd") -> TokenStore:
        """Split and tokenise every report.

        Raises:
            ReportError: a report without a sentence.
        """
        ids: list[int] = []
        sentences, studies = [0], [0]
        for key, report in reports.items():
            parts = split_sentences(report, splitter)
            if not parts:
                raise ReportError(f"the report of {key} holds no sentence; leave it out")
            for encoded in tokenizer.tokenizer.encode_batch(list(parts), add_special_tokens=False):
                ids.extend(encoded.ids)
                sentences.append(len(ids))
            studies.append(len(sentences) - 1)
        arrays = (np.array(ids, np.int32), np.array(sentences, np.int64), np.array(studies, np.int64))
        return cls(list(reports), *arrays, vocabulary_sha256(tokenizer), reports_sha256(reports))

    def save(self, path: Path) -> None:
        """Write the file whole."""
        head = {
            "cardiolens": __version__,
            "keys": self.keys,
            "tokenizer_sha256": self.tokenizer_sha256,
            "reports_sha256": self.reports_sha256,
        }
        content = io.BytesIO()
        np.savez_compressed(
            content,
            ids=self._ids,
            sentences=self._sentences,
            studies=self._studies,
            head=np.frombuffer(json.dumps(head).encode(), dtype=np.uint8),
        )
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: Path, tokenizer: ReportTokenizer) -> TokenStore:
        """Read the file.

        Raises:
            ReportError: not such a file, or of another vocabulary.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                head = json.loads(file["head"].tobytes())
                ids, sentences, studies = (file[name] for name in _ARRAYS)
        except (KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise ReportError(f"{path}: not a file of tokens ({error}); build it again") from error
        if head["tokenizer_sha256"] != vocabulary_sha256(tokenizer):
            raise ReportError(f"{path}: its tokens are of another vocabulary; build it again with this tokenizer")
        return cls(head["keys"], ids, sentences, studies, head["tokenizer_sha256"], head["reports_sha256"])

    def n_sentences(self, key: str) -> int:
        """How many sentences a report has."""
        study = self._study(key)
        return int(self._studies[study + 1] - self._studies[study])

    def draw(self, key: str, n: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Tokens of `n` different sentences in report order, all of them where there are fewer; no special tokens.

        The same generator state draws the same sentences as `sample_sentences`.
        """
        if n < 1:
            raise InputError(f"the number of sentences to draw must be at least 1, got {n}")
        first, count = int(self._studies[self._study(key)]), self.n_sentences(key)
        chosen = range(count) if count <= n else np.sort(rng.choice(count, size=n, replace=False))
        parts = [self._ids[self._sentences[first + i] : self._sentences[first + i + 1]] for i in chosen]
        drawn: npt.NDArray[np.int32] = np.concatenate(parts)
        return drawn

    def _study(self, key: str) -> int:
        try:
            return self._index[key]
        except KeyError:
            raise InputError(f"no report of {key} among these tokens") from None


def pad_tokens(rows: Iterable[npt.NDArray[np.int32]], tokenizer: ReportTokenizer, *, max_tokens: int) -> TokenBatch:
    """Drawn tokens as the batch that `ReportTokenizer` makes of their text."""
    kept = list(rows)
    if not kept or max_tokens < 3:
        raise InputError("a batch of tokens needs at least one row and room for three tokens")
    width = min(max_tokens, max(len(row) for row in kept) + 2)
    ids = np.full((len(kept), width), tokenizer.pad_id, dtype=np.int64)
    mask = np.zeros(ids.shape, dtype=np.bool_)
    for i, row in enumerate(kept):
        whole = np.concatenate([[tokenizer.cls_id], row[: max_tokens - 2], [tokenizer.sep_id]])
        ids[i, : len(whole)] = whole
        mask[i, : len(whole)] = True
    return TokenBatch(ids, mask, sum(len(row) > max_tokens - 2 for row in kept))


def reports_sha256(reports: Mapping[str, str]) -> str:
    """Over keys and texts, in their order."""
    return hashlib.sha256(json.dumps(dict(reports)).encode()).hexdigest()


def vocabulary_sha256(tokenizer: ReportTokenizer) -> str:
    """Of the words and their numbers."""
    return hashlib.sha256(json.dumps(sorted(tokenizer.vocabulary().items())).encode()).hexdigest()
