"""What is wrong with a file of a model, before it becomes an error about a folder or a file.

Owns `Fault`, which all checks raise, and how a value is shown in a message. A limit of this program is never reported
as damage: `ours` distinguishes the two.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from backend.errors import ModelError, ModelUnreadable, UnsupportedModel

AGAIN = "name a folder written by save_pretrained of model and tokenizer, or fetch the model again"
FIELD = re.compile(r"^Validation error for field '(\w+)'")
"""Beginning of Transformers' message about a field of a configuration that has the wrong type."""
_MOST = 40
"""Maximum length of a value in a message."""


class Fault(ValueError):
    """Why a file cannot be used.

    `instead` is what to do, if it is not the general advice. `ours` marks a limit of this program.
    """

    def __init__(self, why: str, instead: str = "", *, ours: bool = False) -> None:
        super().__init__(why)
        self.why, self.instead, self.ours = why, instead, ours

    def of_folder(self, folder: Path) -> ModelError:
        """The error about the folder that holds the file."""
        if self.ours:
            advice = "choose another copy of the model, or a model of the table"
            return UnsupportedModel(
                f"The model folder {folder} is not supported here", self.why, self.instead or advice
            )
        return ModelUnreadable(f"The model folder {folder} cannot be loaded", self.why, self.instead or AGAIN)

    def of_file(self, file: Path) -> ModelError:
        """The error about a file that is a complete model."""
        if self.ours:
            advice = "choose the same model as safetensors, or another model"
            return UnsupportedModel(f"{file.name} cannot be converted", self.why, self.instead or advice)
        advice = "download it again, or choose another file"
        return ModelUnreadable(f"{file.name} cannot be read", self.why, self.instead or advice)


def shown(value: Any) -> str:
    """A value as JSON in one line, shortened."""
    try:
        words = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        words = str(value)
    words = " ".join(words.replace(";", ",").split())
    return words if len(words) <= _MOST else f"{words[: _MOST - 4]} ..."
