"""``e2v serve``: the service over HTTP and WebSocket, and its page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from ..serve.settings import (
    DECODE_WORKERS,
    GRACE_SECONDS,
    HOST,
    JOBS,
    KEEP_MINUTES,
    PORT,
    QUEUE,
    SESSIONS,
    SPOOL_MB,
    UPLOAD_MB,
    ServeSettings,
    read_token,
)
from .options import model_options

if TYPE_CHECKING:
    from ..settings import ModelSettings

_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default=HOST, show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=PORT,
    show_default=True,
    help="Port to listen at; 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=_file,
    help="File with the token that every request must bring; needed for another address than "
    "loopback.",
)
@click.option("--ssl-certfile", type=_file, help="Certificate for HTTPS, PEM.")
@click.option("--ssl-keyfile", type=_file, help="Key of the certificate, PEM.")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Name, besides localhost, under which the service may be asked. May be repeated.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Another site whose pages may use the service: https://example.org. May be repeated.",
)
@click.option(
    "--max-upload-mb", type=click.IntRange(1), default=UPLOAD_MB, show_default=True,
    help="Megabytes of the largest request.",
)  # fmt: skip
@click.option("--max-seconds", type=float, help="Refuse recordings that are longer, in seconds.")
@click.option(
    "--spool", type=click.Path(file_okay=False, path_type=Path),
    help="Folder for recordings that wait; the system's temporary folder by default.",
)  # fmt: skip
@click.option(
    "--spool-mb", type=click.IntRange(1), default=SPOOL_MB, show_default=True,
    help="Megabytes of all recordings together that wait there.",
)  # fmt: skip
@click.option(
    "--queue", type=click.IntRange(1), default=QUEUE, show_default=True,
    help="Requests that wait; more are refused.",
)  # fmt: skip
@click.option(
    "--workers-decode", "decode_workers", type=click.IntRange(1, 64), default=DECODE_WORKERS,
    show_default=True, help="Threads that decode recordings. The model runs in one.",
)  # fmt: skip
@click.option(
    "--sessions", type=click.IntRange(0), default=SESSIONS, show_default=True,
    help="Live sessions at the same time.",
)  # fmt: skip
@click.option(
    "--jobs", type=click.IntRange(0), default=JOBS, show_default=True,
    help="Jobs that are kept, waiting and done together.",
)  # fmt: skip
@click.option(
    "--keep-minutes", type=float, default=KEEP_MINUTES, show_default=True,
    help="Minutes that the result of a job is kept.",
)  # fmt: skip
@click.option(
    "--jobs-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the results of jobs there, so that they outlive the process; in memory by default.",
)
@click.option(
    "--grace", type=float, default=GRACE_SECONDS, show_default=True,
    help="Seconds that running work has to end after Ctrl-C or SIGTERM.",
)  # fmt: skip
@click.option("--feedback", type=_file, help="Take corrections into this store of e2v feedback.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    help="Let clients search this store of e2v embed, and see its map with the paths in it.",
)
@click.option("--no-page", is_flag=True, help="Serve no page, only the addresses for programs.")
@click.option("--preload", is_flag=True, help="Load and warm up the model first.")
@click.option(
    "--log-format", type=click.Choice(["line", "json"]), default="line", show_default=True,
    help="Log on stderr for people or for programs.",
)  # fmt: skip
@model_options
def serve(
    token_file: Path | None, ssl_certfile: Path | None, ssl_keyfile: Path | None,
    max_upload_mb: int, spool_mb: int, no_page: bool, preload: bool, log_format: str,
    model_settings: ModelSettings, **options: object,
) -> None:  # fmt: skip
    """Serve recognition over HTTP and WebSocket, with a page, until Ctrl-C or SIGTERM.

    Nothing is fetched from anywhere. Other machines need --host, --token-file and, for the
    microphone of a browser, HTTPS.
    """
    settings = ServeSettings(
        model=model_settings,
        token=None if token_file is None else read_token(token_file),
        certificate=ssl_certfile,
        key=ssl_keyfile,
        upload_bytes=max_upload_mb * 1_000_000,
        spool_bytes=spool_mb * 1_000_000,
        page=not no_page,
        **options,  # type: ignore[arg-type]
    )
    _check_extra()
    from ..serve import monitoring, server

    monitoring.start_logging(next(f for f in get_args(monitoring.LogFormat) if f == log_format))
    server.serve(settings, preload=preload, ready=_announce)


def _announce(url: str) -> None:
    click.echo(f"e2v serve: {url}  (Ctrl-C ends it)", err=True)


def _check_extra() -> None:
    """Refuse to begin without the packages of the extra.

    Raises:
        MissingExtraError: one is not installed.
    """
    import importlib.util

    from ..errors import MissingExtraError

    for name in ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(
                f"the service needs {name}: pip install 'emotion2vec-edge[serve]'"
            )
