"""What can be measured on a page as a browser draws it: contrast, labels that touch, what is cut or scrolls.

Owns the measurements as scripts, each of which lists what is wrong in words. Refuses to say what must hold: tests do.
"""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.conftest import until

FAINT = """() => {
  const numbers = (colour) => (colour.match(/[0-9.]+/g) || []).map(Number);
  const over = (top, ground) => [0, 1, 2].map((i) => (top[3] ?? 1) * top[i] + (1 - (top[3] ?? 1)) * ground[i]);
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, words = texts.currentNode.textContent.trim();
    if (!words || !element.checkVisibility() || element.closest("svg, style, script, [disabled]")) continue;
    const style = getComputedStyle(element), grounds = [];
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) {
      opacity *= Number(getComputedStyle(one).opacity);
      grounds.unshift(numbers(getComputedStyle(one).backgroundColor));
    }
    if (!style.color.startsWith("rgb")) continue;
    const ground = grounds.reduce((below, top) => over(top, below), [255, 255, 255]);
    const [r, g, b, a] = numbers(style.color);
    const [dark, bright] = [light(over([r, g, b, (a ?? 1) * opacity], ground)), light(ground)].sort((x, y) => x - y);
    const large = parseFloat(style.fontSize) >= 24 || /Material/.test(style.fontFamily);
    const contrast = (bright + 0.05) / (dark + 0.05);
    if (contrast < (large ? 3 : 4.49)) found.push(`${words.slice(0, 40)} ${contrast.toFixed(2)}:1`);
  }
  return found;
}"""
"""Texts whose contrast with their ground is below WCAG's AA: 4.5:1, of large ones and icons 3:1 (4.49, since colours
are whole numbers)."""

TOUCHING = """() => {
  const found = [];
  for (const chart of document.querySelectorAll(".js-plotly-plot")) {
    const key = [...(chart.closest("[class*=st-key-figure-]")?.classList ?? [])].find((name) => /figure/.test(name));
    const frame = chart.getBoundingClientRect();
    const labels = [...chart.querySelectorAll("svg.main-svg text")].map((text) => [text.textContent.trim(), text])
      .filter(([words, text]) => words && text.checkVisibility())
      .map(([words, text]) => [words, text.getBoundingClientRect()]).filter(([, box]) => box.width);
    labels.forEach(([words, box], place) => {
      const outside = Math.max(frame.left - box.left, box.right - frame.right, frame.top - box.top,
        box.bottom - frame.bottom);
      if (outside > 1) found.push(`${key}: ${words} is cut`);
      for (const [other, its] of labels.slice(place + 1)) {
        const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
        const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
        if (wide > 1 && high > 3) found.push(`${key}: ${words} on ${other}`);
      }
    });
  }
  return found;
}"""
"""Labels of charts that stand on one another (by more than their line's leading), or over their chart's edge."""

SQUEEZED = """() => {
  const found = [];
  for (const group of document.querySelectorAll("[data-testid=stButtonGroup]")) {
    if (!group.checkVisibility()) continue;
    for (const part of [group, ...group.querySelectorAll("*")]) {
      const moves = getComputedStyle(part).overflowX !== "visible";
      if (moves && part.clientWidth && part.scrollWidth > part.clientWidth + 1)
        found.push(`${part.textContent.slice(0, 40)} scrolls within itself or is cut`);
    }
    for (const button of group.querySelectorAll("button")) {
      const box = button.getBoundingClientRect();
      if (box.left < 0 || box.right > innerWidth || button.scrollWidth > button.clientWidth + 1)
        found.push(`${button.textContent} is cut`);
    }
  }
  return found;
}"""
"""Pills and switches that do not fit: cut, scrolling within themselves, or beyond the window."""

CLIPPED = """() => [...document.querySelectorAll("[data-testid=stDataFrame]")].filter((one) => one.checkVisibility())
  .flatMap((table) => {
    const inside = table.querySelector(".dvn-scroller"), box = table.getBoundingClientRect();
    const name = table.querySelector("canvas")?.getAttribute("aria-label") ?? table.textContent.slice(0, 60);
    const body = table.closest("[data-testid=stPopoverBody]");
    const found = [];
    if (!inside) found.push(`${name}: nothing is drawn`);
    if (inside && inside.scrollWidth > inside.clientWidth + 1 && !table.closest(".st-key-wide-map-table"))
      found.push(`${name}: ${inside.scrollWidth} pixels of columns in ${inside.clientWidth}`);
    if (box.left < 0 || box.right > innerWidth) found.push(`${name}: beyond the window`);
    if (body && body.scrollWidth > body.clientWidth + 1) found.push(`${name}: beyond its popover`);
    return found;
  })"""
"""Tables with columns out of sight. One of a map has a column for each token, and is moved sideways."""


def steady(page: Page, measure: str) -> list[str]:
    """What `measure` lists once two looks in a row list the same: not the middle of a transition or of a rerun."""
    looks: list[list[str]] = []

    def still() -> bool:
        looks.append(page.evaluate(measure))
        return len(looks) > 1 and looks[-1] == looks[-2]

    until(page, still, "a page that stands still")
    return looks[-1]
