"""`cardiolens serve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cardiolens.serve import Settings


def serve(
    store: Annotated[Path, typer.Option("--store", "-s", help="Store of studies, as `cardiolens ingest` makes it.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Name that `cardiolens models` lists, or a model folder.")
    ] = "shad-mvit-tiny:phantom",
    segmenter: Annotated[
        str, typer.Option(help="Segmenter: the name of bundled weights, a folder, or none.")
    ] = "phantom",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Folder for results, changes and jobs; default: STORE.serve beside the store."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at. Beyond 127.0.0.1 a token is needed.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CARDIOLENS_TOKEN",
            help="Token that browsers and scripts must show; beyond this machine one is made and printed if none is "
            "given. Best given in the environment, where other users do not see it.",
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name under which the server is asked for, as behind a proxy; repeatable."),
    ] = None,
    upload: Annotated[bool, typer.Option("--upload/--no-upload", help="Let studies be brought in.")] = True,
    upload_mib: Annotated[int, typer.Option(min=1, help="Largest archive taken, in MiB.")] = 2048,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM), with --key.")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS key (PEM), with --certificate.")] = None,
    secure: Annotated[
        bool,
        typer.Option("--secure", help="A proxy before the server speaks https: the session is sent over nothing else."),
    ] = False,
) -> None:
    """Open a store in the browser: work-list, study page with contours that can be corrected, search, cohort, uploads.

    Results, the record of changes and the jobs lie in STORE.serve (or --out); a server that is stopped or killed goes
    on where it was. The studies themselves are never changed; an upload adds some. Nothing is fetched from the network
    and nothing is sent.

    At 127.0.0.1 everybody on this machine gets in; give --token where others use it too. Beyond, use a certificate
    or a proxy with one, else token and pixels travel readable.

    Research use only; not a medical device.

    Example: cardiolens serve --store cohort

    Example: CARDIOLENS_TOKEN=... cardiolens serve --store cohort --host 0.0.0.0 --certificate c.pem --key k.pem
    """
    import logging
    import secrets

    from cardiolens.addresses import is_loopback
    from cardiolens.errors import InputError
    from cardiolens.serve import Settings, UploadLimits, make_app, require_serve
    from cardiolens.serve.settings import MiB

    require_serve()
    if (certificate is None) != (key is None):
        raise InputError("--certificate and --key belong together")
    beyond = not is_loopback(host)
    made = secrets.token_urlsafe(24) if beyond and token is None else None
    settings = Settings(
        store, out, model, None if segmenter == "none" else segmenter, host, port, token or made, tuple(name or ()),
        upload, UploadLimits(bytes=upload_mib * MiB), secure or certificate is not None,
    )  # fmt: skip
    typer.echo("loading the models", err=True)
    app = make_app(settings)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    _run(app, settings, made, certificate, key)


def _run(app: Any, settings: "Settings", made: str | None, certificate: Path | None, key: Path | None) -> None:
    """Listen, say where, and serve until stopped."""
    import socket

    import uvicorn

    from cardiolens.addresses import is_loopback
    from cardiolens.errors import InputError

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3,
        ssl_certfile=certificate, ssl_keyfile=str(key) if key else None, proxy_headers=False,
    )  # fmt: skip
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen()  # who asks at the address that is told below waits, and is not refused
    except OSError as error:
        raise InputError(
            f"cannot listen at {settings.host}, port {settings.port} ({error.strerror}); take another --port"
        ) from error
    port = listener.getsockname()[1]
    scheme = "https" if certificate else "http"
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    typer.echo(f"{scheme}://{shown}:{port}/   Research use only, not a medical device.  Stop with Ctrl-C.")
    if made:
        typer.echo(f"token (shown once): {made}")
    if not is_loopback(settings.host) and not settings.secure:
        typer.echo(
            "warning: without --certificate, or a proxy that speaks https (--secure), token and pixels travel readable "
            "over the network",
            err=True,
        )
    uvicorn.Server(config).run(sockets=[listener])
