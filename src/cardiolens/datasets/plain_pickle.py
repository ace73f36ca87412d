"""Numbers and arrays out of a pickle, which is read as data: nothing in it is called or imported.

`pickle.load` runs whatever a file names.  Here the opcodes are gone through one by one (`pickletools.genops`), and only
those of plain values are known, and the few calls by which NumPy writes an array of numbers; anything else is refused.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cardiolens.errors import ReadError

MAX_BYTES = 2**30
_MARK = object()
_NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXTS = ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_PUSHED = frozenset((*_NUMBERS, *_TEXTS, "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"))
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "MARK": lambda: _MARK,
}
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFERS = ("numpy.core.numeric", "numpy._core.numeric")


@dataclass
class _Name:
    """A global that the file names."""

    module: str
    name: str


@dataclass
class _Made:
    """What a call gives; `value` is set when it is built."""

    kind: str
    value: Any = None


def read_plain(path: Path) -> Any:
    """The content of a pickle of dictionaries, lists, tuples, texts, numbers and arrays of numbers.

    Raises:
        ReadError: not a pickle, damaged, larger than 1 GiB, or with anything else in it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReadError(f"{path}: larger than {MAX_BYTES // 2**20} MiB")
        return parse(path.read_bytes())
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from error
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror})") from error


def parse(data: bytes) -> Any:
    """The same from bytes."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(io.BytesIO(data)):
            if opcode.name == "STOP":
                return _plain(stack.pop())
            _step(opcode.name, argument, stack, memo)
    except ReadError:
        raise
    except Exception as error:  # damaged bytes lead anywhere
        raise ReadError(f"not a readable pickle of arrays ({type(error).__name__}: {error})") from error
    raise ReadError("not a whole pickle: it ends before its end mark")


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in ("PROTO", "FRAME"):
        return
    if name in _PUSHED:
        stack.append(argument)
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name]())
    elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
        memo[int(argument)] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("GET", "BINGET", "LONG_BINGET"):
        stack.append(memo[int(argument)])
    elif name == "GLOBAL":
        stack.append(_Name(*argument.split(" ")))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_Name(module, attribute))
    elif name == "REDUCE":
        arguments, called = stack.pop(), stack.pop()
        stack.append(_call(called, tuple(_plain(each) for each in arguments)))
    elif name == "BUILD":
        state = stack.pop()
        _build(stack[-1], tuple(_plain(each) for each in state))
    else:
        _collect(name, stack)


def _collect(name: str, stack: list[Any]) -> None:
    """Tuples, lists and dictionaries."""
    if name in ("TUPLE1", "TUPLE2", "TUPLE3"):
        count = int(name[-1])
        stack[-count:] = [tuple(stack[-count:])]
    elif name == "TUPLE":
        stack.append(tuple(_to_mark(stack)))
    elif name == "LIST":
        stack.append(_to_mark(stack))
    elif name == "APPEND":
        last = stack.pop()
        stack[-1].append(last)
    elif name == "APPENDS":
        more = _to_mark(stack)
        stack[-1].extend(more)
    elif name in ("DICT", "SETITEMS"):
        flat = _to_mark(stack)
        if name == "DICT":
            stack.append({})
        stack[-1].update(zip(flat[::2], flat[1::2], strict=True))
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    else:
        raise ReadError(f"holds {name}, which plain arrays do not need; not read")


def _to_mark(stack: list[Any]) -> list[Any]:
    place = max(i for i, each in enumerate(stack) if each is _MARK)
    taken = stack[place + 1 :]
    del stack[place:]
    return taken


def _call(called: Any, arguments: tuple[Any, ...]) -> Any:
    """What NumPy's own calls would give; anything else is refused."""
    who = (called.module, called.name) if isinstance(called, _Name) else ("", str(called))
    if who == ("numpy", "dtype"):
        return _Made("dtype", _dtype(arguments[0]))
    if who[0] in _ARRAYS and who[1] == "_reconstruct" and arguments[0] == _Name("numpy", "ndarray"):
        return _Made("array")
    if who[0] in _ARRAYS and who[1] == "scalar":
        return np.frombuffer(_bytes(arguments[1]), arguments[0])[0]
    if who[0] in _BUFFERS and who[1] == "_frombuffer":
        buffer, dtype, shape, order = arguments
        return _Made("whole array", np.frombuffer(_bytes(buffer), dtype).reshape(shape, order=order))
    if who == ("_codecs", "encode") and arguments[1:] in (("latin1",), ("latin-1",)):
        return arguments[0].encode("latin-1")
    raise ReadError(f"names {'.'.join(who)}, which plain arrays do not need; not read")


def _build(made: Any, state: tuple[Any, ...]) -> None:
    if isinstance(made, _Made) and made.kind == "dtype":
        if state[1] not in ("<", ">", "|", "="):
            raise ReadError(f"an array of byte order {state[1]!r}; not read")
        made.value = made.value.newbyteorder(state[1])
    elif isinstance(made, _Made) and made.kind == "array":
        _, shape, dtype, fortran, buffer = state
        if not isinstance(dtype, np.dtype):
            raise ReadError("an array without a type of numbers; not read")
        made.value = np.frombuffer(_bytes(buffer), dtype).reshape(shape, order="F" if fortran else "C")
    else:
        raise ReadError("sets the state of something that is no array; not read")


def _dtype(text: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(text))
    if dtype.kind not in "biuf":
        raise ReadError(f"an array of type {dtype}; only numbers are read")
    return dtype


def _bytes(value: Any) -> bytes:
    """Of a buffer; Python 2 wrote it as text."""
    return value.encode("latin-1") if isinstance(value, str) else bytes(value)


def _plain(value: Any) -> Any:
    if isinstance(value, _Made):
        if value.value is None:
            raise ReadError("an array that was begun and not built; the file is damaged")
        return value.value
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(each) for each in value)
    return value
