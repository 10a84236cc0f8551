"""What is wrong with a model's file, before it is known which refusal a door shows for it.

Owns `Fault`, the one form in which the checks say it, and how a value stands in a sentence. A limit of this program is
never told as damage: `ours` parts the two. Refuses nothing by itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from backend.errors import ModelError, ModelUnreadable, UnsupportedModel

AGAIN = "name a folder written by save_pretrained of model and tokenizer, or fetch the model again"
FIELD = re.compile(r"^Validation error for field '(\w+)'")
"""How Transformers begins to say which field of a configuration is of another type than its class says."""
_MOST = 40
"""Characters of a value that are shown."""


class Fault(ValueError):
    """Why a file cannot be used, and what to do instead where that is not the usual."""

    def __init__(self, why: str, instead: str = "", *, ours: bool = False) -> None:
        super().__init__(why)
        self.why, self.instead, self.ours = why, instead, ours

    def of_folder(self, folder: Path) -> ModelError:
        """The refusal of the folder that the file lies in."""
        if self.ours:
            other = "choose another copy of the model, or a model of the table"
            return UnsupportedModel(f"The model folder {folder} is not supported here", self.why, self.instead or other)
        return ModelUnreadable(f"The model folder {folder} cannot be loaded", self.why, self.instead or AGAIN)

    def of_file(self, file: Path) -> ModelError:
        """The refusal of a file that is a model by itself."""
        if self.ours:
            other = "choose the same model as safetensors, or another model"
            return UnsupportedModel(f"{file.name} cannot be converted", self.why, self.instead or other)
        other = "download it again, or choose another file"
        return ModelUnreadable(f"{file.name} cannot be read", self.why, self.instead or other)


def shown(value: Any) -> str:
    """A value as it stands in JSON, in one line and not too long."""
    try:
        words = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        words = str(value)
    words = " ".join(words.replace(";", ",").split())
    return words if len(words) <= _MOST else f"{words[: _MOST - 4]} ..."
