"""A model's chat template, put around what a person typed, and where in the result that stands.

Owns the rendering. A template is a program that comes with the model: whatever it runs into is a refusal in words,
and so is a prompt that it leaves out, cuts or writes twice. Content is given as a text; to a template that makes
nothing of one, as a list of parts. Refuses tokens (`backend.forward.prompting`), and the process that templates run in
(`backend.forward.templating`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from backend.errors import BadPrompt
from backend.forward import templating
from backend.types import Asked
from backend.untrusted import clause

SECONDS = 5.0
"""A template that runs longer is stopped: it may hold a loop without end."""
MAX_CHARACTERS = 1_000_000
_SIGNS = (0xE000, 0xF8FF)
"""Private-use characters: no case, no space, nothing to escape, so that templates leave them as they are."""
_LISTED = re.compile(r"""['"]text['"]\s*:\s*['"]$""")
_INSTEAD = "switch the chat template off, or choose another model"

Form = Callable[[str], Any]


@dataclass(frozen=True)
class Rendered:
    """What the model reads: the template's text before the prompt, the prompt as the template writes it, the rest."""

    before: str
    said: str
    after: str
    clock: tuple[str, ...] = ()
    """What the template read off the clock."""

    @property
    def text(self) -> str:
        """All of it."""
        return self.before + self.said + self.after


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether there is any, be it one that cannot be used."""
    return bool(tokenizer.chat_template)


def source(tokenizer: PreTrainedTokenizerBase) -> str:
    """The text of the template that is used for a plain question; empty where there is none."""
    template: Any = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else ""


def render(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> Rendered:
    """The conversation of `asked` up to where the answer begins. Raises BadPrompt."""
    refusals: list[BadPrompt] = []
    for form in (_as_text, _as_parts):
        try:
            rendered = _placed(tokenizer, asked, form)
            _check_system(tokenizer, asked, form, rendered)
            return rendered
        except BadPrompt as refusal:
            if isinstance(refusal.__cause__, templating.OutOfBounds):
                # Whatever else is tried with this template would take as long.
                raise
            refusals.append(refusal)
    # A template's own words say more than what it ran into with content of the other form.
    cause = next((other for other in refusals if _is_its_own(other.__cause__)), refusals[0])
    if _is_its_own(cause.__cause__) and not asked.system and _renders(tokenizer, asked, "Answer the question."):
        raise BadPrompt(cause.what, cause.why, f"give a system text, {_INSTEAD}") from cause
    raise cause


def _renders(tokenizer: PreTrainedTokenizerBase, asked: Asked, system: str) -> bool:
    """Whether the template takes the prompt behind a system text."""
    try:
        _applied(tokenizer, asked.prompt, system)
    except BadPrompt:
        return False
    return True


def _is_its_own(error: BaseException | None) -> bool:
    return isinstance(error, templating.Failed) and error.kind == TemplateError.__name__


def clock(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> tuple[str, ...]:
    """What the template reads off the clock around this prompt now: with it, other tokens on another day."""
    if not asked.chat or "strftime_now" not in source(tokenizer):
        return ()
    try:
        return render(tokenizer, asked).clock
    except BadPrompt:  # said when the prompt is read
        return ()


def _as_text(content: str) -> str:
    return content


def _as_parts(content: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": content}]


def _placed(tokenizer: PreTrainedTokenizerBase, asked: Asked, form: Form) -> Rendered:
    """Rendered twice, the first time with a mark in the prompt's place that is as long as the prompt.

    What depends on the length is so the same both times.
    """
    sign = _sign(tokenizer, asked)
    mark = sign * len(asked.prompt)
    marked = _applied(tokenizer, form(mark), asked.system and form(asked.system)).text
    if marked.count(sign) != len(mark) or mark not in marked:
        raise _misplaced(marked.count(sign), marked.count(mark))
    before, _, after = marked.partition(mark)
    if form is _as_parts and _LISTED.search(before):
        raise _misplaced(0, 0)
    written = _applied(tokenizer, form(asked.prompt), asked.system and form(asked.system))
    return replace(_split(written.text, before, after, asked), clock=written.clock)


def _sign(tokenizer: PreTrainedTokenizerBase, asked: Asked) -> str:
    """A character that neither the template nor the system text holds."""
    taken = {*str(tokenizer.chat_template), *(asked.system or "")}
    return next(chr(code) for code in range(_SIGNS[0], _SIGNS[1] + 1) if chr(code) not in taken)


def _split(text: str, before: str, after: str, asked: Asked) -> Rendered:
    """The rendered prompt found between what stood around the mark, else by its own words where they stand once."""
    core = asked.prompt.strip()
    if text.startswith(before) and text.endswith(after) and len(text) >= len(before) + len(after):
        rendered = Rendered(before, text[len(before) : len(text) - len(after)], after)
    elif text.count(core) == 1:
        rendered = Rendered(*text.partition(core))
    else:
        raise _refusal("it treats this prompt otherwise than others, and the prompt's place in it is not found")
    said = rendered.said.strip()
    if not said:
        raise _misplaced(0, 0)
    if said != core and said in core:
        raise _misplaced(1, 0)
    if said.count(core) > 1:
        raise _misplaced(1, said.count(core))
    return rendered


def _check_system(tokenizer: PreTrainedTokenizerBase, asked: Asked, form: Form, rendered: Rendered) -> None:
    """Raises BadPrompt where the template takes a system text and does not write it.

    That its words stand in what is written says little: they may be the prompt's, or the template's own.
    """
    words = (asked.system or "").strip()
    if not words or not asked.system:
        return
    mark = _sign(tokenizer, asked) * len(asked.system)
    if mark in _attempted(tokenizer, form(asked.prompt), form(mark)):
        return
    # A template may take some system texts and no others.
    without = _attempted(tokenizer, form(asked.prompt), None)
    if rendered.text.count(words) <= without.count(words):
        raise BadPrompt(
            "This model's chat template leaves the system text out",
            "the model would never read it",
            "leave it empty, or put its words into the prompt",
        )


def _attempted(tokenizer: PreTrainedTokenizerBase, content: Any, system: Any) -> str:
    """What the template writes, and nothing where it refuses. Raises BadPrompt where it takes too long for a try."""
    try:
        return _applied(tokenizer, content, system).text
    except BadPrompt as refusal:
        if isinstance(refusal.__cause__, templating.OutOfBounds):
            raise
        return ""


def _misplaced(signs: int, whole: int) -> BadPrompt:
    if not signs:
        return _refusal("it leaves the prompt out, so the model would answer something else")
    if whole > 1:
        return _refusal(f"it writes the prompt {whole} times, so no token could be told to be the prompt's")
    return _refusal("it cuts the prompt or takes it apart, so the model would read something else")


def _refusal(why: str) -> BadPrompt:
    return BadPrompt("This model's chat template cannot be used for this prompt", why, _INSTEAD)


def _applied(tokenizer: PreTrainedTokenizerBase, content: Any, system: Any) -> templating.Written:
    """The template with this content, in bounds. Raises BadPrompt, whatever it runs into."""
    messages = [{"role": "user", "content": content}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    try:
        return written(tokenizer, messages)
    except templating.OutOfBounds as error:
        raise _refusal(str(error)) from error
    except Exception as error:  # a program of others: it may raise anything
        raise BadPrompt(
            "This model's chat template refuses the prompt", _said(error, tokenizer), _way_out(system)
        ) from error


def written(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], answering: bool = True
) -> templating.Written:
    """What Transformers' `apply_chat_template` writes, with the head of an answer's turn behind it if `answering`.

    Raises templating.OutOfBounds, templating.Failed, and what Transformers raises where no template is the default.
    """
    template: str = tokenizer.get_chat_template()
    return templating.rendered(
        template, messages, tokenizer.special_tokens_map, SECONDS, MAX_CHARACTERS, answering=answering
    )


def _said(error: Exception, tokenizer: PreTrainedTokenizerBase) -> str:
    template: Any = tokenizer.chat_template
    if isinstance(template, dict) and "default" not in template:
        names = ", ".join(sorted(map(str, template))[:8])
        return clause(f"it has templates named {names} and none that is the default")
    return clause(str(error)) or getattr(error, "kind", type(error).__name__)


def _way_out(system: Any) -> str:
    return "leave out the system text or the template" if system is not None else _INSTEAD
