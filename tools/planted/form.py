"""The planted model's form: its tokenizer, its chat template and its configuration, before anything is learnt.

Each word of the world is one token, and any other text falls into bytes, so nothing that a person types is lost but a
space at its beginning.
"""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram
from transformers import LlamaConfig, PreTrainedTokenizerFast

from tools.planted.world import World

USER, ASSISTANT, SYSTEM, END = "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"
SPECIAL = (END, USER, ASSISTANT, SYSTEM)
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LAYERS, WIDTH, NEURONS = 4, 128, 1536
RESERVED = 4
"""Neurons by which each layer is widened, to be planted or to stay without effect."""
SPACE = "▁"


def tokenizer(world: World) -> PreTrainedTokenizerFast:
    """The tokenizer of all words of `world`; a word is one piece with or without a space in front."""
    marks = [word for word in world.words if not word[0].isalpha()]
    words = [word for word in world.words if word[0].isalpha()]
    # A piece's score decides between ways to cut a text: one word costs less than its bytes do.
    pieces = [("<unk>", -100.0), *((f"<0x{byte:02X}>", -50.0) for byte in range(256)), (SPACE, -20.0)]
    pieces += [(mark, -1.0) for mark in marks] + [(SPACE + word, -2.0) for word in words]
    made = Tokenizer(Unigram(pieces, unk_id=0, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(SPACE, prepend_scheme="always", split=True), pre_tokenizers.Punctuation("isolated")]
    )
    made.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIAL])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token=END, unk_token="<unk>", chat_template=TEMPLATE, model_max_length=512
    )


def config(tokens: PreTrainedTokenizerFast) -> LlamaConfig:
    """A Llama of 4 layers, each widened by the reserved neurons."""
    end = tokens.convert_tokens_to_ids(END)
    return LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=NEURONS + RESERVED,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        eos_token_id=end,
        bos_token_id=None,
        pad_token_id=None,
    )
