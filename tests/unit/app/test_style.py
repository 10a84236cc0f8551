"""Both themes can be read, and differences are neutral at zero."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

from app import style
from app.charts import probe_neurons
from app.style import DARK, LIGHT, Palette
from tests import fakes_probe
from tests.fakes_app import INFO


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_in_charts_reads_at_4_5_to_1(palette: Palette) -> None:
    for colour in (palette.text, palette.muted, palette.chosen):
        assert style.contrast(rgb(colour), rgb(palette.page)) >= 4.5
    assert style.contrast(rgb(palette.callout_text), rgb(palette.callout)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_tint_of_a_token_leaves_its_text_readable(palette: Palette) -> None:
    for step in range(101):
        red, green, blue, opacity = (float(v) for v in palette.tint(step / 100)[5:-1].split(","))
        ground = tuple(
            opacity * a + (1 - opacity) * p for a, p in zip((red, green, blue), rgb(palette.page), strict=True)
        )
        assert style.contrast(rgb(palette.on_tint(step / 100)), ground) >= 4.5


def test_the_check_of_contrast_can_fail() -> None:
    assert style.contrast(rgb("#777777"), rgb("#808080")) < 1.5
    assert style.contrast(rgb("#000000"), rgb("#FFFFFF")) == pytest.approx(21)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_the_scale_of_changes_is_neutral_in_the_middle(palette: Palette) -> None:
    assert [place for place, _ in palette.diverging] == [0, 0.25, 0.5, 0.75, 1]
    neutral = rgb(palette.diverging[2][1])
    assert max(neutral) - min(neutral) <= 20


def over(colour: str, opacity: float, ground: str) -> tuple[float, ...]:
    return tuple(opacity * a + (1 - opacity) * b for a, b in zip(rgb(colour), rgb(ground), strict=True))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_what_is_selected_and_the_primary_button_read_at_4_5_to_1(palette: Palette) -> None:
    # Streamlit tints what is selected with a tenth of the primary colour.
    assert style.contrast(rgb(palette.chosen), over(palette.primary, 0.1, palette.page)) >= 4.5
    assert style.contrast(rgb("#FFFFFF"), rgb(palette.primary)) >= 4.5
    sheet = style.css(palette)
    assert palette.chosen in sheet and "opacity: 1" in sheet and ":focus-visible" in sheet
    assert style.SIDEWAYS in sheet, "a figure that reaches beyond a phone's edge says that it can be moved"
    assert sheet.count("{") == sheet.count("}") and sheet.startswith("<style>")


def test_the_colour_of_the_random_twin_is_no_other_role_s() -> None:
    for palette in (LIGHT, DARK):
        others = [palette.chosen, palette.baseline, palette.against, palette.mark, palette.primary, *palette.change]
        assert palette.twin not in others
        card = fakes_probe.probe("mine", INFO)
        assert card.report is not None
        for chart in (
            probe_neurons.stems_figure(card, "effect", palette), probe_neurons.layers_figure(card, palette),
            probe_neurons.path_figure(card.report, card.c, palette),
        ):  # fmt: skip
            assert palette.twin not in chart.to_json()


def test_roles_differ_within_a_theme_and_themes_by_name() -> None:
    assert len({LIGHT.chosen, LIGHT.baseline, LIGHT.twin}) == 3
    assert style.of("dark") is DARK and style.of("light") is LIGHT and style.of(None) is LIGHT


def test_a_styled_chart_is_transparent_and_has_no_legend() -> None:
    chart = LIGHT.style(go.Figure(go.Bar(y=[1])), 200)
    assert chart.layout.height == 200 and chart.layout.showlegend is False
    assert chart.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_a_tint_deepens_with_the_share_and_stays_in_bounds() -> None:
    def opacity(share: float) -> float:
        return float(LIGHT.tint(share)[5:-1].split(",")[3])

    assert opacity(0) == 0.05 and opacity(1) == 0.85 and opacity(0.4) < opacity(0.6)
    assert opacity(-3) == opacity(0) and opacity(9) == opacity(1)
