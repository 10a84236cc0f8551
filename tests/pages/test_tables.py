"""Tables that a page draws by itself write small figures as sentences do: none as 0, none without its head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.cell import Cell
from app.shared.neuron import ranked
from backend.neurons import NeuronId
from backend.types import Comparison, Exploration, Result, Verb
from tests import pages_run
from tests.fakes_app import FakeClient, FakeResults

TINY = {4e-5: "4 × 10⁻⁵", 1e-9: "10⁻⁹"}


class Tiny(FakeClient):
    """A client whose finished examples hold `size` where a table begins, and whose probe has a neuron of that q."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.results = TinyExamples(self, size)
        probe = self.shelf["shipped"]
        neurons = tuple(one.model_copy(update={"q": size}) for one in probe.neurons)
        self.shelf["shipped"] = probe.model_copy(update={"neurons": neurons})


@dataclass
class TinyExamples(FakeResults):
    size: float

    def example(self, verb: Verb) -> Result:
        made = super().example(verb)
        if isinstance(made, Exploration):
            largest, cett, usual = made.cett_max.copy(), made.top_cett.copy(), made.top_usual.copy()
            largest[-1, 3] = self.size
            cett[17, -2, -1], usual[17, -2, -2] = self.size, cett[17, -2, -2] / self.size
            return made.model_copy(update={"cett_max": largest, "top_cett": cett, "top_usual": usual})
        if isinstance(made, Comparison):
            moved = made.rows[1].delta_max.copy()
            moved[:] = 0
            moved[20, -2], moved[21, -2] = 0.25, -self.size
            row = made.rows[1].model_copy(update={"delta_max": moved})
            return made.model_copy(update={"rows": (made.rows[0], row, *made.rows[2:])})
        return made


opened = pages_run.opened


def table(app: AppTest, column: str) -> Any:
    """The first table with a column whose name begins so, as it is shown."""
    return next(one for one in app.dataframe if any(str(name).startswith(column) for name in one.value.columns))


def written(app: AppTest, column: str) -> list[Any]:
    shown = table(app, column).value
    return list(shown[next(name for name in shown.columns if str(name).startswith(column))])


def formats(app: AppTest, column: str) -> dict[str, Any]:
    """How the columns of a table are written where they are numbers."""
    told = json.loads(table(app, column).proto.columns or "{}")
    return {name: config.get("type_config", {}).get("format") for name, config in told.items()}


@pytest.mark.parametrize(("size", "words"), TINY.items())
def test_the_maps_table_writes_a_tiny_cett_with_its_power(size: float, words: str) -> None:
    app = opened("explore", Tiny(size))
    assert not app.exception
    assert written(app, "3 ")[0] == words
    others = [name for name, format in formats(app, "3 ").items() if format]
    assert others and all(format in (None, "%.4f") for format in formats(app, "3 ").values())


@pytest.mark.parametrize(("size", "words"), TINY.items())
def test_the_ranked_neurons_write_a_tiny_cett_and_a_tiny_ratio_with_their_power(size: float, words: str) -> None:
    example = FakeClient().results.example("explore")
    assert isinstance(example, Exploration)
    place = len(example.tokens) - 2
    app = opened("explore", Tiny(size), cell=str(Cell(17, place)))
    assert not app.exception
    assert written(app, "CETT")[-1] == words
    assert written(app, "× mean")[-2] == words


def test_without_tiny_figures_the_ranked_neurons_keep_their_bars_and_few_digits() -> None:
    app = opened("explore", FakeClient())
    assert formats(app, "CETT")["CETT"] == "%.2f" and formats(app, "CETT")["× mean"] == "%.0f×"
    assert all(isinstance(value, float) for value in written(app, "CETT"))
    frame = pd.DataFrame({"cett": np.array([0.3, 0.004], np.float32), "usual": [21.0, 0.3]})
    shown, columns = ranked._figures(frame)
    assert columns["CETT"]["type_config"]["format"] == "%.3f"
    assert columns["× mean"]["type_config"]["format"] == "%.1f×" and shown["× mean"][1] == 0.3


@pytest.mark.parametrize(("size", "words"), TINY.items())
def test_the_table_of_what_else_moved_writes_a_tiny_difference_with_its_power_and_sign(size: float, words: str) -> None:
    app = opened("compare", Tiny(size))
    assert not app.exception
    assert written(app, "CETT difference")[:3] == ["0.25", f"−{words}", "0"]


@pytest.mark.parametrize(("size", "words"), TINY.items())
def test_a_tiny_q_stands_in_the_table_of_all_neurons_with_its_power(size: float, words: str) -> None:
    app = opened("identify", Tiny(size))
    parts = next(one for one in app.button_group if one.key == "more-of-card")
    parts.set_value("All neurons").run()
    assert not app.exception and set(written(app, "q (FDR)")) == {words}


@pytest.mark.parametrize("alpha", [4e-5, 0.333])
def test_an_alpha_of_ones_own_stands_in_its_field_and_in_the_table_as_it_is(alpha: float) -> None:
    one = opened("compare", FakeClient(), prompt="Who?", neurons="L17:N412", alphas=str(alpha))
    (field,) = [field for field in one.number_input if field.key == "switch.alpha.L17:N412"]
    assert field.value == alpha and field.proto.format == "%g"
    many = ",".join(str(NeuronId(3, index)) for index in range(20))
    app = opened("compare", FakeClient(), prompt="Who?", neurons=many, alphas=str(alpha))
    config = json.loads(table(app, "α").proto.columns)["α"]["type_config"]
    assert config["format"] == "%g" and config.get("step") is None, "with a step what lies between is cut"
