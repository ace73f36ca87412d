"""A DICOMweb server: what it has (QIDO-RS), its images (WADO-RS), and its refusals in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pydicom
from pydicom.dataset import Dataset

from cardiolens.addresses import is_loopback
from cardiolens.dicom.tags import Tags
from cardiolens.errors import InputError, ReadError
from cardiolens.pacs.scp import quiet_libraries

TOKEN, USER, PASSWORD = "CARDIOLENS_DICOMWEB_TOKEN", "CARDIOLENS_DICOMWEB_USER", "CARDIOLENS_DICOMWEB_PASSWORD"
_ANY_SYNTAX = (("application/dicom", "*"),)  # as stored; else a server decompresses everything
_RETRIED = tuple(HTTPStatus(code) for code in (408, 429, 500, 502, 503, 504))


@dataclass(frozen=True)
class Series:
    """One series that the server has.

    Attributes:
        study, uid: StudyInstanceUID and SeriesInstanceUID.
        modality, description: as it says, "" where it does not.
        images: how many it says there are, None where it does not.
    """

    study: str
    uid: str
    modality: str
    description: str
    images: int | None


class WebArchive:
    """Speaks with one server; every refusal is a `ReadError` that says what to do."""

    def __init__(self, url: str, *, seconds: float = 60.0, attempts: int = 4, pause_ms: int = 500) -> None:
        """Take an address, and a login from the environment.

        Args:
            url: the root of its DICOMweb service, such as http://127.0.0.1:8042/dicom-web.
            seconds: to wait for an answer.
            attempts: of a request that a busy server refuses, with growing pauses from `pause_ms`.

        Raises:
            InputError: no http address, a login inside it, half a login in the environment, or a login that would
                travel unencrypted.
        """
        from dicomweb_client.api import DICOMwebClient

        self.url = _checked(url)
        quiet_libraries()
        self._client = DICOMwebClient(
            self.url, session=_session(self.url), permissive_uid=True, timeout=seconds, chunk_size=1 << 17
        )
        self._client.set_http_retry_params(
            max_attempts=attempts, wait_exponential_multiplier=pause_ms, retriable_error_codes=_RETRIED
        )

    def studies(self, filters: Mapping[str, str]) -> list[str]:
        """StudyInstanceUID of every study that matches; keys are DICOM keywords."""
        search = partial(self._client.search_for_studies, search_filters=dict(filters))
        return [one.text("StudyInstanceUID") for one in self._all(search, "StudyInstanceUID")]

    def series(self, study: str, modality: str | None = None) -> list[Series]:
        """Every series of a study, of one modality alone if asked."""
        search = partial(
            self._client.search_for_series,
            study,
            search_filters={"Modality": modality} if modality else {},
            fields=["SeriesDescription", "NumberOfSeriesRelatedInstances"],
        )
        told = [
            Series(
                study,
                one.text("SeriesInstanceUID"),
                one.text("Modality").upper(),
                one.text("SeriesDescription"),
                one.integer("NumberOfSeriesRelatedInstances"),
            )
            for one in self._all(search, "SeriesInstanceUID")
        ]
        return [one for one in told if not modality or one.modality in ("", modality.upper())]

    def instances(self, series: Series) -> list[str]:
        """SOPInstanceUID of every image of a series."""
        search = partial(self._client.search_for_instances, series.study, series.uid)
        return [one.text("SOPInstanceUID") for one in self._all(search, "SOPInstanceUID")]

    def _all(self, search: Callable[..., Any], name: str) -> list[Tags]:
        """Everything that a search finds, page by page, until a page brings nothing new; each `name` once."""
        found: dict[str, Tags] = {}
        offset = 0
        while True:
            with self._said():
                page = [Tags(_dataset(one)) for one in search(offset=offset)]
            fresh = {uid: one for one in page if (uid := one.text(name)) and uid not in found}
            if not fresh:
                return list(found.values())
            found |= fresh
            offset += len(page)

    def headers(self, series: Series) -> list[Dataset]:
        """Headers of every image of a series, without pixels."""
        with self._said():
            found = self._client.retrieve_series_metadata(series.study, series.uid)
        return [_dataset(one) for one in found]

    def images(self, series: Series, only: Sequence[str] | None = None) -> Iterator[Dataset]:
        """The images of a series as they are stored: all in one stream, or single ones."""
        with self._said():
            if only is None:
                yield from self._client.iter_series(series.study, series.uid, media_types=_ANY_SYNTAX)
                return
            for instance in only:
                yield self._client.retrieve_instance(series.study, series.uid, instance, media_types=_ANY_SYNTAX)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What goes wrong in between, in words that a person understands."""
        import requests
        from retrying import RetryError  # type: ignore[import-untyped]  # what dicomweb-client retries with

        try:
            yield
        except RetryError as error:
            raise ReadError(f"{self.url}: {_status(error.last_attempt.value)}") from error
        except requests.HTTPError as error:
            raise ReadError(f"{self.url}: {_status(error.response)}") from error
        except requests.exceptions.SSLError as error:
            raise ReadError(
                f"{self.url}: its certificate is not trusted; name the file of your authority in REQUESTS_CA_BUNDLE"
            ) from error
        except requests.Timeout as error:
            raise ReadError(
                f"{self.url}: no answer in time; try again, or ask whether the server is overloaded"
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ReadError(
                f"{self.url}: what answers there is no DICOMweb service; Orthanc's ends in /dicom-web"
            ) from error
        except requests.ConnectionError as error:
            raise ReadError(
                f"{self.url}: cannot be reached; is the server running, and are host and port right?"
            ) from error
        except requests.RequestException as error:
            raise ReadError(f"{self.url}: the connection broke ({type(error).__name__})") from error
        except (ValueError, KeyError, AttributeError, TypeError, pydicom.errors.InvalidDicomError) as error:
            raise ReadError(f"{self.url}: it sent something that is no DICOM ({type(error).__name__})") from error


def _status(response: Any) -> str:
    code = response.status_code
    if code == 401:
        return f"it wants a login, or does not take the one given; set {TOKEN}, or {USER} and {PASSWORD}"
    if code == 403:
        return "your login may not read this (403); ask who runs the server"
    if code == 404:
        return "there is nothing at this address (404); Orthanc's DICOMweb ends in /dicom-web"
    if code in _RETRIED:
        return f"it is out of order or busy ({code}); try again later"
    return f"it refuses with status {code}"


def _checked(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{url!r} is no address of a DICOMweb server, such as http://127.0.0.1:8042/dicom-web")
    if parts.username or parts.password:
        raise InputError(f"leave the login out of the address, where others may read it; set {USER} and {PASSWORD}")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _session(url: str) -> Any:
    """A session with the login of the environment; .netrc is not read."""
    import requests

    token, user, password = (os.environ.get(name) for name in (TOKEN, USER, PASSWORD))
    if bool(user) != bool(password):
        raise InputError(f"set both {USER} and {PASSWORD}, or neither")
    if token and user:
        raise InputError(f"set {TOKEN}, or {USER} and {PASSWORD}, not all of them")
    parts = urlsplit(url)
    if (token or user) and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InputError(f"{url}: a login must not travel unencrypted; use https")
    session = requests.Session()
    session.auth = _Login(parts.hostname or "", token, user, password)
    return session


class _Login:
    """Adds the login to requests to this host, and keeps requests from looking for one in .netrc."""

    def __init__(self, host: str, token: str | None, user: str | None, password: str | None) -> None:
        self._host, self._token, self._user, self._password = host, token, user, password

    def __call__(self, request: Any) -> Any:
        if urlsplit(request.url).hostname != self._host:
            return request
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        elif self._user and self._password:
            from requests.auth import HTTPBasicAuth

            return HTTPBasicAuth(self._user, self._password)(request)
        return request


def _dataset(found: Mapping[str, Any]) -> Dataset:
    """A header from its JSON; pixels that lie elsewhere stay there."""
    return Dataset.from_json(dict(found), bulk_data_uri_handler=lambda tag, vr, uri: None)
