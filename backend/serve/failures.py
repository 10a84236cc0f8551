"""Every exception as an error of `backend.errors`, so that all doors report a failure in the same words.

Owns which exception becomes which error, including out of memory and bugs. The words for a refused request are
`backend.types.refusal`'s. It formats for no door and logs nothing.
"""

from __future__ import annotations

from pydantic import ValidationError

from backend.errors import HNeuronsError, Internal, OutOfMemory, in_tree
from backend.types.refusal import refused
from cache.errors import ExpectedError


def explain(error: BaseException) -> HNeuronsError:
    """The error of `backend.errors` for any exception."""
    if isinstance(error, ExpectedError):
        return in_tree(error)
    if isinstance(error, ValidationError):
        return refused(error)
    if out_of_memory(error):
        return OutOfMemory(
            "The memory is exhausted",
            "this run needs more than is free",
            "shorten the prompt or the answer, ask for fewer rows, or open a smaller model",
        )
    return Internal(
        "Something went wrong inside the program",
        f"{type(error).__name__}: {str(error)[:300] or 'no further message'}",
        "run it again; if it fails again, report it with the log",
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory, of the machine or of an accelerator, ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory")
    )
