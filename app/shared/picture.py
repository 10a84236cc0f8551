"""Saving a figure as a picture, made in the browser from what is on the screen.

Owns the small script that gathers a Plotly chart's drawing into one SVG, and paints it for PNG. Refuses
to draw anything itself: the picture is the chart, with the page's colour behind it.
"""

from __future__ import annotations

import streamlit as st

_HTML = """
<div class="row">
  <button data-form="png">PNG</button><button data-form="svg">SVG</button><span role="status"></span>
</div>
"""

_CSS = """
.row { display: flex; gap: 8px; align-items: center; font: inherit; }
button {
  font: inherit; font-size: 0.875rem; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 6px 12px; min-height: 40px;
}
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-link-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
span { color: var(--st-gray-text-color); font-size: 0.875rem; }
"""

_JS = """
const SVG = "http://www.w3.org/2000/svg";

function drawing(chart, ground) {
  const box = chart.getBoundingClientRect();
  const whole = document.createElementNS(SVG, "svg");
  whole.setAttribute("xmlns", SVG);
  whole.setAttribute("width", box.width);
  whole.setAttribute("height", box.height);
  whole.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  const back = document.createElementNS(SVG, "rect");
  back.setAttribute("width", "100%");
  back.setAttribute("height", "100%");
  back.setAttribute("fill", ground);
  whole.appendChild(back);
  for (const part of chart.querySelectorAll("svg.main-svg")) whole.appendChild(part.cloneNode(true));
  for (const unseen of whole.querySelectorAll(".draglayer, .hoverlayer")) unseen.remove();
  return { text: new XMLSerializer().serializeToString(whole), width: box.width, height: box.height };
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function paint(picture, done, failed) {
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = picture.width * 2;
    canvas.height = picture.height * 2;
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    pen.drawImage(image, 0, 0);
    canvas.toBlob(done, "image/png");
  };
  image.onerror = failed;
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(picture.text);
}

export default function (component) {
  const { data, parentElement } = component;
  const said = parentElement.querySelector("span");
  for (const button of parentElement.querySelectorAll("button")) {
    button.setAttribute("aria-label", `Save ${data.title} as ${button.textContent}`);
    button.onclick = () => {
      const chart = document.querySelector(`.st-key-${data.chart} .js-plotly-plot`);
      if (!chart) { said.textContent = "The figure is not on the page."; return; }
      const picture = drawing(chart, data.ground);
      const name = `${data.name}.${button.dataset.form}`;
      said.textContent = "";
      if (button.dataset.form === "svg") save(new Blob([picture.text], { type: "image/svg+xml" }), name);
      else paint(picture, (blob) => save(blob, name), () => { said.textContent = "PNG fails here: save the SVG."; });
    };
  }
}
"""


def buttons(chart: str, name: str, title: str, ground: str, key: str) -> None:
    """PNG and SVG buttons for the Plotly chart inside the container with key `chart`.

    Args:
        chart: key of the container around the chart.
        name: file name without its ending.
        title: the figure's name, for those who hear the page.
        ground: CSS colour behind the figure.
        key: key of the buttons.
    """
    mount = st.components.v2.component("save_picture", html=_HTML, css=_CSS, js=_JS)
    mount(key=key, data={"chart": chart, "name": name, "title": title, "ground": ground})
