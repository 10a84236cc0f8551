"""`hneurons models`: list the models, find their folders, and fetch them."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

from backend.cli import options, tables
from backend.cli.output import quiet_stdout, stderr_console, stdout_console, write_line
from backend.cli.running import Teller
from backend.cli.strict import Commands
from backend.serve import opening
from backend.serve.remote.client import HttpClient

app = Commands(help="List, find and fetch models.", rich_markup_mode=None)
Name = Annotated[str | None, options.named(metavar="[NAME]", help="by default the built-in model")]


@app.command("list")
def list_models(backend: options.Backend = None, json: options.Json = False) -> None:
    """List the models known by name: the memory that each needs, and whether it fits."""
    with quiet_stdout():
        there = HttpClient(backend) if backend else None
        rows = there.models.list() if there is not None else opening.choices()
        info = there.models.status().info if there is not None else None
    if json:
        loaded = {} if there is None else {"loaded": None if info is None else info.model_dump(mode="json")}
        write_line(jsonlib.dumps({"models": [row.model_dump(mode="json") for row in rows], **loaded}))
        return
    tables.choices(stdout_console(), rows)
    if info is not None:
        tables.loaded(stdout_console(), info)


@app.command("path")
def path(name: Name = None, json: options.Json = False) -> None:
    """Print the folder of a model, ready for Transformers. A model that is not here is fetched or converted first."""
    _tell_folder(name, json)


@app.command("fetch")
def fetch(name: Name = None, json: options.Json = False) -> None:
    """Fetch or convert a model, so that it is ready to load, and print its folder."""
    _tell_folder(name, json)


def _tell_folder(name: str | None, json: bool) -> None:
    with quiet_stdout():
        teller = Teller(stderr_console())
        name = name or opening.default_model()
        folder = opening.model_folder(name, lambda stage, fraction: teller.say(stage))
    write_line(jsonlib.dumps({"path": str(folder)}) if json else str(folder))
