"""Words to numbers: a WordPiece vocabulary, built from a corpus of reports or loaded from a folder.

Built on the `tokenizers` library alone, which loads in milliseconds; the files are those of any Hugging Face BERT.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from cardiolens.errors import CheckpointError, InputError

UNKNOWN = "[UNK]"
SPECIAL = ("[PAD]", UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
_ALPHABET = sorted(string.ascii_lowercase + string.digits + string.punctuation)


class TokenBatch(NamedTuple):
    """ids (text, token) int64, padded with 0; mask (text, token) bool, True for a real token; number of texts cut."""

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    truncated: int


class ReportTokenizer:
    """A BERT tokenizer: lower case, WordPiece, [CLS] words [SEP].

    >>> tokenizer = ReportTokenizer.train(["LVEF is 55.2 %.", "Normal LV size."], vocabulary=200)
    >>> tokenizer(["LVEF is 40 %."], max_tokens=32).ids.shape[0]
    1
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        missing = [token for token in SPECIAL[:4] if tokenizer.token_to_id(token) is None]
        if missing:
            raise CheckpointError(f"the vocabulary lacks {', '.join(missing)}; is it a BERT vocabulary?")
        self.tokenizer = tokenizer
        self.pad_id, self.cls_id, self.sep_id = (self._id(token) for token in ("[PAD]", "[CLS]", "[SEP]"))

    def _id(self, token: str) -> int:
        return int(self.tokenizer.token_to_id(token) or 0)

    def __len__(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def __call__(self, texts: Sequence[str], *, max_tokens: int) -> TokenBatch:
        """Tokenise; a text longer than `max_tokens` (with [CLS] and [SEP]) loses its end and is counted."""
        if not texts or max_tokens < 3:
            raise InputError("tokenising needs at least one text and room for three tokens")
        encoded = [e.ids for e in self.tokenizer.encode_batch(list(texts), add_special_tokens=False)]
        rows = [[self.cls_id, *ids[: max_tokens - 2], self.sep_id] for ids in encoded]
        out = np.full((len(rows), max(map(len, rows))), self.pad_id, dtype=np.int64)
        mask = np.zeros(out.shape, dtype=np.bool_)
        for i, row in enumerate(rows):
            out[i, : len(row)] = row
            mask[i, : len(row)] = True
        return TokenBatch(out, mask, sum(len(ids) > max_tokens - 2 for ids in encoded))

    def words(self, ids: Sequence[int]) -> str:
        """Text of token numbers, special tokens left out."""
        return str(self.tokenizer.decode([int(i) for i in ids]))

    def vocabulary(self) -> dict[str, int]:
        return dict(self.tokenizer.get_vocab())

    @classmethod
    def train(cls, corpus: Iterable[str], *, vocabulary: int = 4000) -> ReportTokenizer:
        """Learn a WordPiece vocabulary of at most `vocabulary` entries; the same corpus always gives the same.

        Every ASCII character is in it, so no English report holds an unknown word.
        """
        letters = [*_ALPHABET, *(f"##{letter}" for letter in _ALPHABET)]
        if vocabulary < len(SPECIAL) + len(letters):
            raise InputError(f"a vocabulary needs at least {len(SPECIAL) + len(letters)} entries, got {vocabulary}")
        tokenizer = _bare(_wordpiece({UNKNOWN: 0}), lowercase=True)
        texts = [_ascii(text) for text in corpus]
        # The trainer numbers new letters in the order of a randomly seeded hash map and breaks ties by number; every
        # letter given beforehand, in order, takes the chance out of it.
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary, min_frequency=2, special_tokens=[*SPECIAL, *letters], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        found = tokenizer.get_vocab()
        ordered = sorted(found, key=lambda word: found[word])
        return cls(_bare(_wordpiece({word: i for i, word in enumerate(ordered)}), lowercase=True))

    def save(self, folder: Path) -> None:
        """Write tokenizer.json and vocab.txt."""
        folder.mkdir(parents=True, exist_ok=True)
        found = self.vocabulary()
        self.tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "vocab.txt").write_text("\n".join(sorted(found, key=lambda w: found[w])) + "\n", encoding="utf-8")

    @classmethod
    def of_package(cls) -> ReportTokenizer:
        """The vocabulary that ships with the package: 3,493 words of cardiac MRI reports, all of them synthetic."""
        return cls.load(Path(__file__).parent / "data" / "vocabulary")

    @classmethod
    def load(cls, folder: Path) -> ReportTokenizer:
        """Read tokenizer.json, or else the vocab.txt of a BERT folder."""
        folder = Path(folder)
        whole, words = folder / "tokenizer.json", folder / "vocab.txt"
        if whole.is_file():
            try:
                tokenizer = Tokenizer.from_file(str(whole))
            except Exception as error:  # the library raises bare Exception
                raise CheckpointError(f"{whole} is not a tokenizer file: {error}") from error
            tokenizer.no_truncation()
            tokenizer.no_padding()
            return cls(tokenizer)
        if not words.is_file():
            raise CheckpointError(f"{folder}: no tokenizer.json and no vocab.txt; bring the text model's own")
        lines = words.read_text(encoding="utf-8").splitlines()
        vocabulary = {word: i for i, word in enumerate(lines)}
        if len(vocabulary) != len(lines):
            raise CheckpointError(f"{words} lists a word twice")
        settings = folder / "tokenizer_config.json"
        lowercase = not settings.is_file() or json.loads(settings.read_text(encoding="utf-8")).get(
            "do_lower_case", True
        )
        return cls(_bare(_wordpiece(vocabulary), lowercase=bool(lowercase)))


def _wordpiece(vocabulary: dict[str, int]) -> models.WordPiece:
    return models.WordPiece(vocab=vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=100)


def _bare(model: models.WordPiece, *, lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    known = [token for token in SPECIAL if tokenizer.token_to_id(token) is not None]
    if len(known) == len(SPECIAL):
        ids = {token: int(tokenizer.token_to_id(token) or 0) for token in known}
        tokenizer.add_special_tokens(known)
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return tokenizer


def _ascii(text: str) -> str:
    """Only what the alphabet holds: other letters are left to [UNK] rather than to chance."""
    return "".join(c if c in string.printable else " " for c in text)
