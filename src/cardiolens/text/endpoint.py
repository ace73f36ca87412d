"""One request to an OpenAI-compatible chat endpoint: time-outs, retries with back-off, and no detours.

Only the endpoint that was named is spoken to: redirects are refused, and a server on this machine is reached without
any proxy.  The key comes from an environment variable and is in no message, log or file.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import logging
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from cardiolens.addresses import is_loopback
from cardiolens.errors import InputError

log = logging.getLogger(__name__)

FailureKind = Literal[
    "time-out", "connection", "refused by the server", "broken answer", "refusal", "cut off", "withheld"
]
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0
_LARGEST_ANSWER = 8 * 1024 * 1024


class EndpointFailure(Exception):  # noqa: N818 - it is caught, counted and listed, not an error of the program
    """One request that came to nothing; the message never holds report text.

    Attributes:
        kind: for the count.
        again: whether another try may help.
        wait_s: how long the server asks to wait before it.
        hopeless: no other report would fare better (wrong key, wrong address).
    """

    def __init__(
        self, kind: FailureKind, why: str, *, again: bool, wait_s: float | None = None, hopeless: bool = False
    ) -> None:
        super().__init__(why)
        self.kind, self.again, self.wait_s, self.hopeless = kind, again, wait_s, hopeless


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Attributes:
        url: base address such as "http://127.0.0.1:8000/v1".
        key_variable: environment variable that holds the key; a server that wants none gets none.
        timeout_s: for each request.
        retries: after the first try.
        first_wait_s: doubled with each further try, with a random share; the server's Retry-After comes first.
    """

    url: str
    key_variable: str = "CARDIOLENS_LLM_KEY"
    timeout_s: float = 120.0
    retries: int = 4
    first_wait_s: float = 1.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"the endpoint must be an http(s) address such as http://127.0.0.1:8000/v1, got {self.url!r}"
            )
        if parts.username or parts.password or parts.query:
            raise InputError(
                f"the endpoint holds a name, password or query; put the key into {self.key_variable} instead"
            )
        if parts.scheme == "http" and not _is_private(parts.hostname):
            raise InputError(f"{parts.hostname}: reports go to another network by https only")
        if self.timeout_s <= 0 or self.retries < 0:
            raise InputError("the time-out must be over 0 s and the number of retries at least 0")

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return is_loopback(str(urlsplit(self.url).hostname))

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """POST to /chat/completions, again where that may help.

        Raises:
            EndpointFailure: the last failure.
        """
        for attempt in range(self.retries + 1):
            try:
                return self._once(body)
            except EndpointFailure as failure:
                if not failure.again or attempt == self.retries:
                    raise
                wait = failure.wait_s if failure.wait_s is not None else self.first_wait_s * 2**attempt
                wait = min(wait, _LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads the tries
                log.info("%s: try %d of %d after %.1f s", failure.kind, attempt + 2, self.retries + 1, wait)
                self.sleep(wait)
        raise AssertionError("not reached")

    def _once(self, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "cardiolens"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            self.url.rstrip("/") + "/chat/completions", data=json.dumps(body).encode("utf-8"), headers=headers
        )
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if self.is_local:
            handlers.append(urllib.request.ProxyHandler({}))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=self.timeout_s) as answer:
                content = answer.read(_LARGEST_ANSWER)
        except urllib.error.HTTPError as error:
            raise _of_status(error) from None
        except TimeoutError:
            raise EndpointFailure("time-out", f"no answer within {self.timeout_s:g} s", again=True) from None
        except urllib.error.URLError as error:
            late = isinstance(error.reason, TimeoutError)
            why = f"no answer within {self.timeout_s:g} s" if late else f"no connection ({error.reason})"
            raise EndpointFailure("time-out" if late else "connection", why, again=True) from None
        except (OSError, http.client.HTTPException) as error:
            raise EndpointFailure("connection", f"connection broke off ({type(error).__name__})", again=True) from None
        try:
            found = json.loads(content)
        except ValueError:
            raise EndpointFailure("broken answer", "the server's answer is not JSON", again=True) from None
        if not isinstance(found, dict):
            raise EndpointFailure("broken answer", "the server's answer is no JSON object", again=True)
        return found


def _of_status(error: urllib.error.HTTPError) -> EndpointFailure:
    """The failure of an HTTP status; the body may quote the report and is not passed on."""
    wait: float | None = None
    with contextlib.suppress(ValueError):
        wait = max(0.0, float(error.headers.get("Retry-After", "")))
    hint = {401: ": is the key set?", 403: ": is the key allowed this model?", 404: ": is /v1 part of the address?"}
    why = f"HTTP {error.code}{hint.get(error.code, '')}"
    if 300 <= error.code < 400:
        why = f"HTTP {error.code}: the server sends elsewhere; name that address yourself if you trust it"
    hopeless = error.code in hint or 300 <= error.code < 400
    return EndpointFailure("refused by the server", why, again=error.code in _AGAIN, wait_s=wait, hopeless=hopeless)


def _is_private(host: str) -> bool:
    """This machine or an address of a private network; a name could be anywhere and is not."""
    if is_loopback(host):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
