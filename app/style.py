"""The colours of roles and the one look of every chart, by theme.

Owns `Palette`: what is picked, baseline, random twin, sizes, change, tint. Refuses to know what is
drawn with them. Pure: no Streamlit; a page asks `session.palette()` for the browser's theme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    # Not at run time: the style stands in the page's head before anything heavy is imported.
    import plotly.graph_objects as go

Theme = Literal["light", "dark"]
ColorScale = list[tuple[float, str]]

FONT = '"Source Sans", "Source Sans 3", sans-serif'
_AMBER = (240, 178, 35)
_BLACK, _WHITE = "#000000", "#FFFFFF"
SIZES = "Cividis"
"""Scale of sizes, perceptually uniform and readable without red or green: 0 to the largest value."""
WIDE = ("map", "neurons", "score", "stems", "auroc", "effects", "path", "layers", "moved", "before")
"""Figures whose labels need more room than a phone has: they are moved sideways under the finger instead."""
SIDEWAYS = "⟷ Move it sideways to see all of it"
"""What stands above such a figure on a phone, which shows no scroll bar."""
TEXT, TOKEN = 13, 12
"""Pixels of text in charts; tokens' labels."""


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. Shape and word go with a role's colour everywhere: square, circle, diamond."""

    theme: Theme
    page: str
    second: str
    text: str
    muted: str
    border: str
    primary: str
    chosen: str
    """What a person picked: square."""
    baseline: str
    """What was left alone: circle."""
    twin: str
    """What was drawn at random, and nothing else: diamond or hatching."""
    against: str
    """What speaks for a right answer: triangle down; the colour of "right" everywhere."""
    mark: str
    mark_line: str
    """The marked cell: `mark` inside a wider `mark_line`."""
    callout: str
    callout_text: str
    change: tuple[str, str, str, str, str]
    """Fell far, fell, neutral, rose, rose far."""

    @property
    def diverging(self) -> ColorScale:
        """The scale of differences, centred on 0 where the limits are equal on both sides."""
        return [(place / 4, colour) for place, colour in enumerate(self.change)]

    def tint(self, share: float) -> str:
        """Amber behind a token, `share` 0..1 of the largest value: from hardly seen to full."""
        return f"rgba({_AMBER[0]},{_AMBER[1]},{_AMBER[2]},{_opacity(share):.3f})"

    def on_tint(self, share: float) -> str:
        """The text colour that reads best on `tint(share)`: at least 4.5:1 for every share, in both themes."""
        part = _opacity(share)
        ground = tuple(part * a + (1 - part) * p for a, p in zip(_AMBER, _rgb(self.page), strict=True))
        return max((self.text, _BLACK, _WHITE), key=lambda colour: contrast(_rgb(colour), ground))

    def style(self, figure: go.Figure, height: int) -> go.Figure:
        """Give `figure` the look all charts share, `height` pixels high. Changes and returns it."""
        axis: dict[str, Any] = {
            "ticks": "", "ticklabelstandoff": 6, "showgrid": False, "zeroline": False, "fixedrange": True,
            "tickfont": {"size": TEXT, "color": self.muted}, "title": {"font": {"size": TEXT, "color": self.muted}},
            "automargin": False,
        }  # fmt: skip
        figure.update_layout(
            height=height, template="none", showlegend=False, dragmode=False, hovermode="closest",
            paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
            font={"family": FONT, "size": TEXT, "color": self.text},
            hoverlabel={
                "bgcolor": self.callout, "bordercolor": self.mark,
                "font": {"family": FONT, "size": TEXT, "color": self.callout_text},
            },
            margin={"l": 40, "r": 8, "t": 24, "b": 40},
        )  # fmt: skip
        figure.update_xaxes(**axis)
        figure.update_yaxes(**axis)
        return figure


LIGHT = Palette(
    theme="light", page="#FFFFFF", second="#F4F6F8", text="#16212C", muted="#55636F", border="#D5DCE3",
    primary="#A3195B", chosen="#A3195B", baseline="#66747F", twin="#1F7A8C", against="#1B4F86",
    mark="#C2186B", mark_line="#FFFFFF",
    callout="#16212C", callout_text="#FFFFFF", change=("#1F5FA8", "#8DB6DE", "#F7F7F5", "#EDA766", "#B4520A"),
)  # fmt: skip
DARK = Palette(
    theme="dark", page="#10161C", second="#1A232C", text="#E9EEF3", muted="#A7B4C0", border="#34414D",
    primary="#C24480", chosen="#F28BB8", baseline="#93A2AF", twin="#5CC0D4", against="#A9CDF2",
    mark="#C2186B", mark_line="#FFFFFF",
    callout="#05080B", callout_text="#FFFFFF", change=("#7FB8F0", "#33618F", "#1C252E", "#93571F", "#FFAE5C"),
)  # fmt: skip


def css(palette: Palette) -> str:
    """What the theme's settings do not reach: contrast of 4.5:1 and more, focus that is seen, and narrow screens.

    Streamlit's own download of a table is left out: it writes a text that begins like a formula as one. Ours, under
    each table, does not (`backend.spreadsheet`).
    """
    return f"<style>\n{rules(palette)}\n</style>"


def rules(palette: Palette) -> str:
    """The rules of `css`, without the tag around them."""
    checked = '[data-testid="stButtonGroup"] button:is([aria-checked="true"], [aria-pressed="true"])'
    wide = ", ".join(f".st-key-figure-{name}" for name in WIDE)
    return f"""button kbd {{ opacity: 1 !important; color: inherit !important; }}
{checked}, {checked} p {{ color: {palette.chosen} !important; }}
[data-testid="stButtonGroup"] button:not(:is([aria-checked="true"], [aria-pressed="true"])) {{
  border-color: {palette.border} !important;
}}
{checked} {{ position: relative; z-index: 1; }}
[data-testid="stFileUploaderDropzoneInstructions"] span {{ white-space: normal; }}
[data-testid="stTopNavLink"] {{ color: {palette.text} !important; }}
:is(a, button, summary, [role="tab"], [role="radio"]):focus-visible {{
  outline: 2px solid {palette.chosen} !important; outline-offset: 2px !important;
}}
[data-testid="stElementToolbarButton"]:has(button[aria-label^="Download as CSV"]) {{ display: none; }}
[data-testid="stPopoverBody"]:has([data-testid="stDataFrame"]) {{ min-width: min(46rem, 94vw); }}
[data-testid="stPopoverBody"]:has([class*="st-key-wide-"]) {{ min-width: min(75rem, 94vw); }}
@media (max-width: 640px) {{
  [data-testid="stMainBlockContainer"] {{ padding-left: 1rem; padding-right: 1rem; }}
  [data-testid="stButtonGroup"] > div {{ flex-wrap: wrap; row-gap: 6px; }}
  [data-testid="stButtonGroup"] button {{ max-width: 100%; }}
  h2 {{ font-size: 1.25rem !important; overflow-wrap: anywhere; }}
  {wide} {{ overflow-x: auto; }}
  :is({wide}) > div {{ min-width: 600px; }}
  :is({wide})::before {{
    content: "{SIDEWAYS}"; position: sticky; left: 0; width: max-content; color: {palette.muted}; font-size: 0.875rem;
  }}
  .st-key-figure-before {{ pointer-events: auto; }}
  .st-key-figure-before * {{ pointer-events: none; }}
  .st-key-models-name, [class*="st-key-ask-prompt"] {{ flex: 1 0 100% !important; }}
  [data-testid="stHorizontalBlock"]:has(> [class*="st-key-more-"]) {{ flex-wrap: wrap; row-gap: 0; }}
  :has(> [class*="st-key-more-"]) > [data-testid="stElementContainer"]:first-child {{ flex: 1 0 100%; }}
}}"""


def _opacity(share: float) -> float:
    return 0.05 + 0.80 * min(max(share, 0.0), 1.0)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def contrast(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Contrast of two colours, 1 to 21. Source: WCAG 2.2, relative luminance."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def of(theme: str | None) -> Palette:
    """The palette of a theme by its name; light where it is not known."""
    return DARK if theme == "dark" else LIGHT
