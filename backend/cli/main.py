"""`hneurons`: the commands and how they end.

Owns the list of commands and the exit status: 0 done, 2 input that cannot be honoured, 1 another failure, 130 Ctrl+C.
"""

from __future__ import annotations

import errno
import logging
import os
import sys

import typer
from typer.exceptions import Abort, TyperException

from backend.cli import cett, identify, models, probe, serve, usage, verbs
from backend.cli.commands import command_of
from backend.cli.output import write_error
from backend.cli.strict import Commands
from backend.errors import HNeuronsError, StoreError, in_tree
from backend.serve.failures import explain
from backend.verbs.table import VERBS
from cache.errors import ExpectedError, cause, remedy

STOPPED = 130


def program() -> typer.Typer:
    """All commands: one for each verb of the table, and the others."""
    app = Commands(
        name="hneurons",
        help="See and switch the feed-forward neurons of a language model.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for row in VERBS.values():
        # A long one has several commands.
        if not row.is_long:
            app.command(row.name)(verbs.OWN.get(row.name) or command_of(row))
    app.command("cett")(cett.cett)
    app.command("serve")(serve.serve)
    app.add_typer(models.app, name="models")
    app.add_typer(identify.app, name="identify")
    app.add_typer(probe.app, name="probe")
    return app


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status. `argv` does not include the program's name."""
    arguments = sys.argv[1:] if argv is None else argv
    as_json = "--json" in arguments
    _open_streams()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        status = program()(args=arguments, prog_name="hneurons", standalone_mode=False) or 0
        if status == STOPPED:
            # Typer returns this status after Ctrl+C, unless it was at a prompt.
            sys.stderr.write("Stopped.\n")
        return status
    except TyperException as error:
        return _end_with_refusal(usage.refusal(error, arguments, typer.main.get_command(program())), as_json)
    except ExpectedError as error:
        return _end_with_refusal(in_tree(error), as_json)
    except (KeyboardInterrupt, Abort) as error:
        if isinstance(error.__cause__, EOFError):
            # A prompt that a person leaves has no cause: here a file ends too early.
            return _end_with_failure(error.__cause__, as_json)
        sys.stderr.write("Stopped.\n")
        return STOPPED
    except BrokenPipeError:
        # The reader of the output has closed it; nothing may be flushed to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        # Commands report errors of the files that they name themselves: this one is of standard output.
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF):
            return _end_unwritten(error)
        return _end_with_failure(error, as_json)
    except Exception as error:
        return _end_with_failure(error, as_json)


def _end_with_refusal(error: HNeuronsError, as_json: bool) -> int:
    """Report an expected error; its own exit status."""
    write_error(error, as_json)
    return error.exit_status


def _end_unwritten(error: OSError) -> int:
    """The result could not be written to standard output; nothing more may be flushed to it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    failure = StoreError("The result could not be written to standard output", cause(error), remedy(error))
    return _end_with_refusal(failure, as_json=False)


def _open_streams() -> None:
    """Open standard streams that the caller closed: otherwise the first file opened would take their place."""
    for number, name, mode in ((0, "stdin", os.O_RDONLY), (1, "stdout", os.O_WRONLY), (2, "stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, mode)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "r" if mode == os.O_RDONLY else "w", encoding="utf-8", closefd=False))


def _end_with_failure(error: BaseException, as_json: bool) -> int:
    """Report an unexpected error, with its traceback in the log."""
    logging.getLogger(__name__).error("The command failed.", exc_info=error)
    write_error(explain(error), as_json)
    return 1
