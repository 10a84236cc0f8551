"""Chat templates are programs of others: each is read as Transformers reads it, or refused in words."""

from __future__ import annotations

import copy
import dataclasses
import re
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from backend.errors import BadPrompt
from backend.forward import chat, prompting, templating
from backend.forward.prompting import encode, encode_answer
from backend.models.loaded import LoadedModel
from backend.types import Asked
from tests.tiny import CHAT_TEMPLATE, EOS, START, make_tokenizer


def turn(content: str) -> str:
    return "<|im_start|>{{ m['role'] }}\n" + content + "<|im_end|>\n"


def loop(content: str) -> str:
    """A template of ChatML whose turns hold `content`."""
    head = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    return "{% for m in messages %}" + turn(content) + "{% endfor %}" + head


PARTS = "{% for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"

AS_THEY_ARE = {
    "plain": CHAT_TEMPLATE,
    "trimmed": loop("{{ m['content'] | trim }}"),
    "stripped": loop("{{ m['content'].strip() }}"),
    "upper case": loop("{{ m['content'] | upper }}"),
    "escaped": loop("{{ m['content'] | e }}"),
    "replaced": loop("{{ m['content'].replace('\n', ' ') }}"),
    "as JSON": loop("{{ m['content'] | tojson }}"),
    "parts alone": loop(PARTS),
    "parts or text": loop("{% if m['content'] is string %}{{ m['content'] }}{% else %}" + PARTS + "{% endif %}"),
    "letter by letter": loop("{% for part in m['content'] %}{{ part }}{% endfor %}"),
    "the first part, else an error": loop("{{ m['content'][0]['text'].strip() }}"),
    "by its length": loop("{% if m['content'] | length > 5 %}Long: {% endif %}{{ m['content'] }}"),
    "by what it holds": loop("{% if '?' in m['content'] %}A question: {% endif %}{{ m['content'] }}"),
    "thoughts prefilled": (loop("{{ m['content'] }}")) + "<think>\n",
    "the date": "{{ strftime_now('%d %b %Y') }}" + loop("{{ m['content'] }}"),
    "tools": "{% if tools %}{{ tools | tojson }}{% endif %}" + loop("{{ m['content'] }}"),
    "no generation prompt": "{% for m in messages %}" + turn("{{ m['content'] }}") + "{% endfor %}",
    "in the system turn": "{% for m in messages %}<|im_start|>system\nAnswer: {{ m['content'] }}<|im_end|>{% endfor %}",
}
PROMPTS = ["What is the capital of Egypt?", "a", "  x \n", "user", "<|im_star", "Straße & <b>?\n\nDon't {{ 7 * 7 }}"]
FORMS = {"the first part, else an error", "parts alone"}


@pytest.fixture(scope="module")
def model(tiny: Callable[[str], LoadedModel]) -> LoadedModel:
    model = tiny("llama")
    return dataclasses.replace(model, info=model.info.model_copy(update={"context": 100_000}), extras={})


def with_template(model: LoadedModel, template: Any) -> LoadedModel:
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = template
    return dataclasses.replace(model, tokenizer=tokenizer, extras={})


def theirs(model: LoadedModel, prompt: str, parts: bool, system: str | None = None) -> tuple[int, ...]:
    """What Transformers makes of the same messages."""
    said = [("system", system), ("user", prompt)] if system else [("user", prompt)]
    messages: Any = [{"role": r, "content": [{"type": "text", "text": c}] if parts else c} for r, c in said]
    coded: Any = model.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    return tuple(coded["input_ids"])


def prompts_own(model: LoadedModel, encoded: Any) -> str:
    mine = [token for token, role in zip(encoded.ids, encoded.roles, strict=True) if role == "prompt"]
    return str(model.tokenizer.decode(mine, clean_up_tokenization_spaces=False))


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_the_tokens_are_those_that_transformers_makes_of_the_same_messages(
    model: LoadedModel, name: str, prompt: str
) -> None:
    one = with_template(model, AS_THEY_ARE[name])
    encoded = encode(one, Asked(prompt=prompt))
    assert encoded.ids == theirs(one, prompt, name in FORMS)
    assert "prompt" in encoded.roles
    if name not in {"upper case", "escaped", "replaced", "as JSON"}:
        assert prompt.strip() in prompts_own(one, encoded)


@given(prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(str.strip))
def test_any_prompt_without_control_tokens_is_read_as_transformers_reads_it(model: LoadedModel, prompt: str) -> None:
    for name in ("plain", "trimmed", "parts alone", "by its length"):
        one = with_template(model, AS_THEY_ARE[name])
        assert encode(one, Asked(prompt=prompt)).ids == theirs(one, prompt, name in FORMS)


def test_a_template_that_wants_parts_has_the_question_in_the_users_turn(model: LoadedModel) -> None:
    one = with_template(model, AS_THEY_ARE["parts alone"])
    encoded = encode(one, Asked(prompt="Who?", system="Be brief."))
    assert encoded.ids == theirs(one, "Who?", True, "Be brief.")
    assert prompts_own(one, encoded) == "Who?"
    assert one.tokenizer.decode(list(encoded.ids)).count(f"{START}user\nWho?{EOS}") == 1


@pytest.mark.parametrize("name", ["plain", "parts alone", "trimmed"])
def test_a_given_answer_stands_behind_the_same_tokens(model: LoadedModel, name: str) -> None:
    one = with_template(model, AS_THEY_ARE[name])
    asked = Asked(prompt=" Who?\n")
    prompt = encode(one, asked)
    answer = encode_answer(one, asked, prompt, "Cairo.")
    assert one.tokenizer.decode(list(answer.ids)) == "Cairo."


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (loop("{{ m['content'] }} I repeat: {{ m['content'] }}"), "writes the prompt 2 times"),
        (loop(""), "leaves the prompt out"),
        (loop("{{ m['content'][:5] }}"), "cuts the prompt"),
        (loop("{{ m['content'] | truncate(8) }}"), "cuts the prompt"),
        (loop("{% for c in m['content'] %}{{ c }}-{% endfor %}"), "takes it apart"),
        (loop("{{ m['content'].split(' of ')[0] }}"), "cuts the prompt"),
        (loop("{{ m['content'].split('?')[0] }}"), "cuts the prompt"),
        (loop("{{ m['content'].rstrip('?') }}"), "cuts the prompt"),
        (loop("{% if m['content'] is string %}{% else %}{{ m['content'] }}{% endif %}"), "leaves the prompt out"),
        (loop("{% if '?' in m['content'] %}{{ m['content'] }}{% endif %}{{ m['content'] }}"), "writes the prompt 2"),
        (loop("{% if '?' not in m['content'] %}{{ m['content'] }}{% endif %}"), "leaves the prompt out"),
        (loop("{{ m['content'] + 7 }}"), "can only concatenate|can't|must be str"),
        (loop("{{ m['content'] | int(0) // 0 }}"), "by zero"),
        (loop("{{ raise_exception('Roles must alternate') }}"), "Roles must alternate"),
        (loop("{{ m.content.no.such }}"), "has no"),
        (loop("{{ {}['key'] + m['missing'] }}"), "has no|undefined"),
        (loop("{{ range(10 ** 9) | list }}"), "Range too big"),
        (loop("{{ m.content.__class__.__mro__ }}"), "unsafe"),
        (loop("{{ '%d' % m['content'] }}"), "number is required|not str|not all"),
        (loop("{{ m['content'].encode('ascii', 'strict').decode('utf-16') }}"), "truncated|codec"),
        ("{% for m in messages %}{{ m['content'] }}", "end of template|endfor"),
        ("{% import 'os' as os %}", "no loader"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recursion"),
        ({"rag": CHAT_TEMPLATE, "tool_use": CHAT_TEMPLATE}, "named rag, tool_use and none that is the default"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_refused_in_words(model: LoadedModel, template: Any, says: str) -> None:
    one = with_template(model, template)
    with pytest.raises(BadPrompt, match="chat template") as refused:
        encode(one, Asked(prompt="What is the capital of Egypt?"))
    assert re.search(says, refused.value.why), refused.value.why
    assert not any(0xE000 <= ord(character) <= 0xF8FF for character in refused.value.sentence)


def test_the_default_of_several_named_templates_is_used(model: LoadedModel) -> None:
    one = with_template(model, {"tool_use": loop(""), "default": CHAT_TEMPLATE})
    assert encode(one, Asked(prompt="Who?")) == encode(model, Asked(prompt="Who?"))


def test_a_template_without_end_is_stopped_and_the_next_prompt_is_read(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "SECONDS", 0.3)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    started = time.monotonic()
    with pytest.raises(BadPrompt, match="it was not done after 0.3 s"):
        encode(with_template(model, endless), Asked(prompt="Who?"))
    assert time.monotonic() - started < 10
    assert encode(model, Asked(prompt="Who?")).ids


GREEDY = {
    "a text repeated": "{{ 'x' * 10 ** 10 }}",
    "a list repeated": "{{ [0] * 10 ** 9 }}",
    "a width": "{{ '%1000000000d' % 1 }}",
    "a filter": "{{ 'x' | center(10 ** 10) }}",
    "doubling": "{% set n = namespace(x='x') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "doubling behind a condition": "{% if '?' in messages[0].content %}{{ 'x' * 10 ** 10 }}{% endif %}",
}


@pytest.mark.parametrize("name", GREEDY)
def test_a_template_that_asks_for_much_memory_is_refused_and_takes_none_of_this_process(
    model: LoadedModel, name: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadPrompt, match="it asked for more than 256 MB of memory; switch the chat template off"):
        encode(with_template(model, GREEDY[name] + CHAT_TEMPLATE), Asked(prompt="Who?"))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"
    assert encode(model, Asked(prompt="Who?")).ids


def test_a_computation_that_nothing_interrupts_is_ended_with_its_process(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power is worked out inside one call, where no exception reaches it."""
    assert encode(model, Asked(prompt="Who?")).ids
    monkeypatch.setattr(chat, "SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(BadPrompt, match="it was not done after 0.5 s"):
        encode(with_template(model, "{{ 10 ** (10 ** 10) }}" + CHAT_TEMPLATE), Asked(prompt="Who?"))
    assert time.monotonic() - started < 10, "and it is not tried again with content of another form"
    monkeypatch.undo()
    assert encode(model, Asked(prompt="Who?")).ids


def test_a_process_that_somebody_ends_is_begun_again_and_nobody_notices(model: LoadedModel) -> None:
    before = encode(model, Asked(prompt="Who?"))
    running = templating._PROCESS._running
    assert running is not None
    with ThreadPoolExecutor() as pool:
        found = [pool.submit(encode, model, Asked(prompt="Who?")) for _ in range(20)]
        running.kill()
        assert all(one.result() == before for one in found)
    assert templating._PROCESS._running is not running


def test_what_a_template_draws_is_the_same_each_time(model: LoadedModel) -> None:
    one = with_template(model, "{% for i in range(20) %}{{ range(9) | list | random }}{% endfor %}" + CHAT_TEMPLATE)
    assert encode(one, Asked(prompt="Who?")) == encode(one, Asked(prompt="Who?"))


DATED = "{{ strftime_now('%d %b %Y') }}" + CHAT_TEMPLATE


def test_the_moment_that_a_template_reads_is_the_one_that_is_given(model: LoadedModel) -> None:
    one = with_template(model, DATED)
    with templating.at(datetime(2024, 2, 29)):
        encoded = encode(one, Asked(prompt="Who?"))
        assert chat.clock(one.tokenizer, Asked(prompt="Who?")) == ("29 Feb 2024",)
    assert str(one.tokenizer.decode(list(encoded.ids))).startswith("29 Feb 2024")
    assert chat.clock(model.tokenizer, Asked(prompt="Who?")) == ()
    assert chat.clock(one.tokenizer, Asked(prompt="Who?", chat=False)) == ()


def test_a_template_that_writes_without_measure_is_refused(model: LoadedModel) -> None:
    with pytest.raises(BadPrompt, match="characters of it"):
        encode(with_template(model, "{{ 'x' * 2000000 }}{{ messages[0].content }}"), Asked(prompt="Who?"))


def test_a_system_text_that_the_template_leaves_out_is_refused_and_one_it_changes_is_not(model: LoadedModel) -> None:
    deaf = "{% for m in messages if m['role'] == 'user' %}" + turn("{{ m['content'] }}") + "{% endfor %}"
    with pytest.raises(BadPrompt, match="leaves the system text out"):
        encode(with_template(model, deaf), Asked(prompt="Who?", system="Be brief."))
    assert encode(with_template(model, deaf), Asked(prompt="Who?")).ids
    loud = with_template(model, loop("{{ m['content'] | upper }}"))
    assert encode(loud, Asked(prompt="Who?", system="Be brief.")).ids == theirs(loud, "Who?", False, "Be brief.")


def test_only_the_first_line_of_a_prompt_is_not_the_prompt(model: LoadedModel) -> None:
    one = with_template(model, loop("{{ m['content'].split('\n')[0] }}"))
    assert encode(one, Asked(prompt="Who?")).ids == theirs(one, "Who?", False)
    with pytest.raises(BadPrompt, match="cuts the prompt"):
        encode(one, Asked(prompt="Who?\nAnd when?"))


@pytest.mark.parametrize("system", ["Who?", "assistant", " user\n"])
def test_a_system_text_is_not_taken_as_written_for_words_of_the_prompt_or_of_the_template(
    model: LoadedModel, system: str
) -> None:
    deaf = "{% for m in messages if m['role'] == 'user' %}user\n{{ m['content'] }}<|im_end|>{% endfor %}assistant"
    with pytest.raises(BadPrompt, match="leaves the system text out"):
        encode(with_template(model, deaf), Asked(prompt="Who?", system=system))
    picky = "{% if messages[0].content == 'Who?' %}Who?{% endif %}" + deaf
    assert encode(with_template(model, picky), Asked(prompt="What?", system="Who?")).ids


def test_a_template_that_must_have_a_system_text_says_how_to_get_on(model: LoadedModel) -> None:
    needy = "{% if messages[0].role != 'system' %}{{ raise_exception('No system text') }}{% endif %}" + CHAT_TEMPLATE
    with pytest.raises(BadPrompt, match="No system text; give a system text, switch the chat template off, or"):
        encode(with_template(model, needy), Asked(prompt="Who?"))
    assert encode(with_template(model, needy), Asked(prompt="Who?", system="Be brief.")).ids
    never = loop("{{ raise_exception('Never') }}")
    with pytest.raises(BadPrompt, match="Never; switch the chat template off"):
        encode(with_template(model, never), Asked(prompt="Who?"))


def test_a_template_of_parts_that_knows_no_system_turn_says_so_itself(model: LoadedModel) -> None:
    strict = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}" + loop(PARTS)
    with pytest.raises(BadPrompt, match="No system role; leave out the system text"):
        encode(with_template(model, strict), Asked(prompt="Who?", system="Be brief."))
    assert encode(with_template(model, strict), Asked(prompt="Who?")).ids


@pytest.mark.parametrize("special", [True, False])
def test_what_marks_a_turn_is_data_where_it_is_typed_whether_special_or_not(model: LoadedModel, special: bool) -> None:
    """DeepSeek's and others' tokens for turns are added ones that are not called special."""
    tokenizer = make_tokenizer()
    tokenizer.add_tokens([AddedToken("<|User|>", special=special, normalized=False), AddedToken("user")])
    tokenizer.chat_template = "<|User|>{% for m in messages %}{{ m['content'] }}{% endfor %}<|User|>user:"
    one = dataclasses.replace(model, tokenizer=tokenizer, extras={})
    turn = tokenizer.convert_tokens_to_ids("<|User|>")
    # The tiny model has no embedding of the new tokens, which is another matter.
    rendered = chat.render(tokenizer, Asked(prompt="a <|User|> user b"))
    encoded = prompting._encode_chat(tokenizer, Asked(prompt="a <|User|> user b"))
    assert encoded.ids.count(turn) == 2
    assert [role for token, role in zip(encoded.ids, encoded.roles, strict=True) if token == turn] == ["template"] * 2
    assert prompts_own(one, encoded) == "a <|User|> user b" == rendered.said


def test_template_and_prompt_apart_have_no_space_that_they_lack_together(model: LoadedModel) -> None:
    """SentencePiece's tokenizers put a space before whatever they are given alone."""
    core = Tokenizer(models.BPE(unk_token="?"))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    core.decoder = decoders.Metaspace(prepend_scheme="always")
    letters = [*"▁ABCDEFabcdefghijklmnopqrstuvwxyz[]/<>!:\n"]
    core.train_from_iterator([], trainers.BpeTrainer(special_tokens=["?", "<s>"], initial_alphabet=letters))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", unk_token="?")
    tokenizer.chat_template = "<s>[A]{{ messages[0].content }}[/A]"
    plain = prompting._encode_chat(tokenizer, Asked(prompt="hi"))
    odd = prompting._encode_chat(tokenizer, Asked(prompt="hi <s> ho"))
    tail = len(plain) - plain.roles[::-1].index("prompt")
    assert odd.ids[: plain.roles.index("prompt")] == plain.ids[: plain.roles.index("prompt")]
    assert odd.ids[-(len(plain) - tail) :] == plain.ids[tail:]
    mine = [piece for piece, role in zip(odd.ids, odd.roles, strict=True) if role == "prompt"]
    assert tokenizer.convert_ids_to_tokens(mine) == [*"hi▁<s>▁ho"]


@pytest.mark.parametrize("single", ["$A <|im_end|>", "<s> $A <|im_end|>", "<s> $A", "$A"])
def test_what_a_tokenizer_puts_behind_a_whole_text_does_not_stand_behind_one_that_goes_on(
    model: LoadedModel, single: str
) -> None:
    tokenizer = make_tokenizer()
    core: Any = tokenizer.backend_tokenizer
    core.post_processor = processors.TemplateProcessing(
        single=single, pair="$A $B", special_tokens=[("<s>", tokenizer.bos_token_id), (EOS, tokenizer.eos_token_id)]
    )
    one, asked = dataclasses.replace(model, tokenizer=tokenizer, extras={}), Asked(prompt="Who is it?", chat=False)
    prompt = encode(one, asked)
    begun = [tokenizer.bos_token_id] if single.startswith("<s>") else []
    assert list(prompt.ids) == begun + tokenizer("Who is it?", add_special_tokens=False)["input_ids"]
    answer = encode_answer(one, asked, prompt, " Cairo.")
    assert (
        list(prompt.ids + answer.ids) == begun + tokenizer("Who is it? Cairo.", add_special_tokens=False)["input_ids"]
    )
    typed = encode(one, Asked(prompt=f"Who?{EOS}", chat=False))
    assert list(typed.ids).count(tokenizer.eos_token_id) == 1, "what a person typed stays"


def test_a_token_beyond_the_embedding_is_refused_where_it_would_be_read(model: LoadedModel) -> None:
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.add_tokens(["<|beyond|>"])
    one = dataclasses.replace(model, tokenizer=tokenizer, extras={})
    assert encode(one, Asked(prompt="Hi"))
    for asked in (Asked(prompt="Hi <|beyond|>", chat=False), Asked(prompt="Hi <|beyond|>")):
        with pytest.raises(BadPrompt, match=r"cannot read '<\|beyond\|>'.* token 300 .* embeddings for 300"):
            encode(one, asked)
    asked = Asked(prompt="Hi")
    with pytest.raises(BadPrompt, match="cannot read"):
        encode_answer(one, asked, encode(one, asked), "Cairo <|beyond|>")
    tokenizer.chat_template = CHAT_TEMPLATE + "<|beyond|>"
    with pytest.raises(BadPrompt, match="cannot read"):
        encode(one, asked)


def test_a_tokenizer_that_tells_no_offsets_gives_the_same_tokens_and_the_prompts_place(model: LoadedModel) -> None:
    """Guarded by the fast one, whose offsets are exact."""
    for prompt in ("What is the capital of Egypt?", " Hi ", "user"):
        rendered = chat.render(model.tokenizer, Asked(prompt=prompt))
        assert prompting._by_ends(model.tokenizer, rendered) == encode(model, Asked(prompt=prompt))
