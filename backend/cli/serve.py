"""`hneurons serve`: the HTTP service in front of one engine."""

from __future__ import annotations

import socket
import sys
from typing import Annotated

import typer

from backend.cli import options
from backend.errors import BadSettings
from cache.errors import cause

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, options.naming(help="address to listen at; 127.0.0.1 is this machine alone")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen at; 0 takes a free one")] = 8000,
    model: options.Model = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    store: options.Keep = True,
) -> None:
    """Run the HTTP service until Ctrl+C. Its routes are described at /docs."""
    import uvicorn

    from backend.serve.hosts import trusted
    from backend.serve.http import wire
    from backend.serve.http.app import create_app
    from backend.serve.local.client import LocalClient

    hosts = trusted(host)
    listening = _listen(host, port)
    if host not in LOOPBACK:
        sys.stderr.write("Everybody who can reach this address can use the engine: there is no password.\n")
    shown = f"[{host}]" if ":" in host else host
    sys.stderr.write(f"Listening at http://{shown}:{listening.getsockname()[1]} (routes: /docs). Ctrl+C ends it.\n")
    client = LocalClient.start(model, device, dtype, keep=store, ahead=True)
    config = wire.config(create_app(client, hosts), log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address. Raises BadSettings if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        raise BadSettings(
            f"The service cannot listen at {host}:{port}", cause(error), "choose another --port, or 0"
        ) from error
    return bound
