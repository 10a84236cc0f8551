"""Neuron files: what people have is read, what could hurt or mislead is refused in words."""

from __future__ import annotations

import io
import json
import pickle
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BadNeurons
from backend.neuron_files import MAX_BYTES, read, read_file, read_path, write_csv
from backend.neurons import MAX_NEURONS, NeuronId, NeuronSet
from tests.places import SHARED

EXPECTED = NeuronSet.of("L3:N5", "L12:N345")
LABELS = SHARED / "gemma3_4b_h_neuron_cett.json"

UNDERSTOOD = {
    "words on a line": "L12:N345, L3:N5",
    "words on lines with remarks": "# strong neurons\nL12:N345  # the largest\n\nL3:N5;L12:N345\n",
    "lower case": "l12:n345 l3:n5",
    "a table": "layer,neuron\n12,345\n3,5\n",
    "a table with weights": "layer,neuron,weight\n12,345,0.5\n3,5,-1e-3\n",
    "a table without a heading": "12,345\n3,5\n",
    "a table with tabs and other names": "weight\tLayer\tIndex\n0.5\t12\t345\n0.1\t3\t5\n",
    "a table with quotes": '"layer","neuron"\n"12","345"\n"3","5"\n',
    "a table of spellings with weights": "neuron,weight\nL12:N345,0.5\nL3:N5,-1e-3\n",
    "a table of spellings alone": "Neuron\nL12:N345\nL3:N5\n",
    "a table of spellings with slashes": "weight;index\n0.5;L12/N345\n;l3/n5\n",
    "words with slashes": "L12/N345 L3/N5",
    "a list of objects with spellings": '[{"neuron": "L12:N345", "weight": 0.5}, {"index": "L3:N5"}]',
    "a heading as NumPy writes it": "# neuron,layer\n345,12\n5,3\n",
    "a remark that is no heading": "# layer by layer, each neuron\n12,345\n3,5\n",
    "parts in capitals": '[{"Layer": 12, "Neuron": 345}, {"LAYER": 3, " index": 5}]',
    "the same list twice": '{"h_neurons": [[12, 345], [3, 5]], "neurons": ["L12:N345", "L3:N5"]}',
    "labels in words beside them": '{"neurons": ["L12:N345", "L3:N5"], "neuron_labels": ["names", "dates"]}',
    "a list of spellings": '["L12:N345", "L3:N5"]',
    "a list of pairs": "[[12, 345], [3, 5, 0.5]]",
    "a list of objects": '[{"layer": 12, "neuron": 345}, {"layer": 3, "index": 5, "weight": 0.5}]',
    "our own form": '{"model": "m", "fingerprint": "f", "neurons": ["L12:N345", "L3:N5"]}',
    "layers": '{"12": [345], "3": [5]}',
    "layers by name": '{"neurons": {"layer_12": [345], "L3": [5]}}',
    "h-neurons, as its first version wrote": json.dumps(
        [
            {"global_idx": 67929, "layer": 12, "layer_name": "model.layers.12.mlp", "position": 345, "weight": 0.02},
            {"global_idx": 16901, "layer": 3, "layer_name": "model.layers.3.mlp", "position": 5, "weight": -0.01},
        ]
    ),
    "h-neurons, as it writes now": json.dumps(
        {
            "model": "microsoft/phi-2",
            "total_neurons": 327680,
            "h_neuron_count": 2,
            "classifier_accuracy": 0.8,
            "neurons": [{"layer": 12, "position": 345}, {"layer": 3, "position": 5}],
        }
    ),
    "hprobes": '{"fit": {"accuracy": 0.7, "h_neurons": [[12, 345], [3, 5]]}, "score": {"auroc": 0.8}}',
    "labels beside figures": '{"n_items": 2, "neuron_labels": ["L12:N345", "L3:N5"], "cett": [[0.1, 0.2]]}',
}


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_known_forms_are_read(text: str) -> None:
    assert read(text.encode(), "set.txt") == EXPECTED


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_byte_order_mark_and_windows_lines_change_nothing(text: str) -> None:
    assert read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(), "set.txt") == EXPECTED


def test_an_expert_is_part_of_the_address() -> None:
    expected = NeuronSet.of("L1:E7:N2")
    assert read(b"layer,expert,neuron\n1,7,2\n", "moe.csv") == expected
    assert read(b'[{"layer": 1, "expert": 7, "neuron": 2}]', "moe.json") == expected
    assert read(b'[{"layer": 1, "neuron": 2}]', "dense.json") != expected


def test_weights_and_model_are_kept_and_doubles_count_once() -> None:
    found = read_file(b'{"model": "m", "neurons": [{"layer": 1, "neuron": 2, "weight": 0.5}, [1, 2, 0.5]]}', "set.json")
    assert found.neurons == NeuronSet.of("L1:N2") and found.weights == {NeuronId(1, 2): 0.5}
    assert (found.model, found.fingerprint) == ("m", None)
    for text in ("neuron,weight\nL1:E3:N2,0.5\n", '[{"neuron": "L1/E3/N2", "weight": 0.5}]'):
        assert read_file(text.encode(), "set").weights == {NeuronId(1, 2, 3): 0.5}


def test_a_probe_beside_the_neurons_is_told_and_not_passed_over() -> None:
    both = b'{"probe": "mine", "neurons": ["L1:N2"]}'
    with pytest.raises(BadNeurons, match=r"set.json names a probe beside its neurons: .*'mine'; take it out"):
        read(both, "set.json")
    assert read_file(both, "set.json").probe == "mine"
    assert read(b'{"probe": {"auroc": 0.8}, "neurons": ["L1:N2"]}', "set.json") == NeuronSet.of("L1:N2")


REFUSED = {
    "two weights": (b"[[1, 2, 0.5], [1, 2, 9]]", "L1:N2 two weights: 0.5 and 9"),
    "a column twice": (b"layer,neuron,Neuron\n3,5,7\n", "two columns 'neuron'"),
    "two lists": (b'{"neurons": ["L1:N2"], "h_neurons": ["L1:N3"]}', "other neurons under 'h_neurons' than under"),
    "a list beside one in an object": (b'{"fit": {"h_neurons": [[1, 2]]}, "neurons": [[1, 3]]}', "under 'fit' than"),
    "parts that differ in case": (b'[{"layer": 1, "neuron": 2, "Neuron": 3}]', "differ only in case"),
    "nothing": (b"", "no neuron"),
    "blank": (b" \n\n", "no neuron"),
    "an empty list": (b"[]", "no neuron"),
    "prose": (b"hello world", "line 1: 'hello' is not a neuron"),
    "a wrong word far down": (b"L1:N2\nL3:N4\nL5\n", "line 3: 'L5' is not a neuron"),
    "broken JSON": (b'{"neurons": [\n  "L1:N2",\n  "L3:N4"\n', "line 4, column 1"),
    "a list in an object that is none of ours": (b'{"tokens": [1, 2]}', "'tokens' is no layer"),
    "a number alone": (b"[3]", "entry 1 is no neuron"),
    "a fraction": (b"[[1, 2.5]]", "2.5 is no whole number"),
    "a truth value": (b"[[true, 2]]", "True is no whole number"),
    "a negative layer": (b"[[-1, 2]]", "is not a neuron"),
    "an enormous number": (b"[[1, 99999999999999999999]]", "is not a neuron"),
    "no column of neurons": (b"layer,weight\n1,0.5\n", "no column of neurons"),
    "a number in a table of spellings": (b"neuron,weight\n67929,0.5\n", "line 2: '67929' is not a neuron"),
    "a spelling without a weight that is one": (b"neuron,weight\nL1:N2,x\n", "'x' is no number"),
    "an infinite weight of a spelling": (b"neuron,weight\nL1:N2,inf\n", "not finite"),
    "a table of spellings with no neuron": (b"neuron,weight\n,0.5\n", "'' is not a neuron"),
    "an object without a layer": (b'[{"neuron": 5}]', "entry 1 is no neuron"),
    "a short row": (b"layer,neuron\n1\n", "line 2 is no row"),
    "a long row": (b"layer,neuron\n1,2,3\n", "line 2 is no row"),
    "NaN in JSON": (b"[[1, 2, NaN]]", "holds NaN"),
    "infinity in JSON": (b"[[1, 2, 1e999]]", "not finite"),
    "NaN in a table": (b"layer,neuron,weight\n1,2,nan\n", "not finite"),
    "a word for a weight": (b"layer,neuron,weight\n1,2,heavy\n", "'heavy' is no number"),
    "a pickle": (pickle.dumps([(1, 2)]), "pickled data"),
    "an old pickle": (pickle.dumps([(1, 2)], protocol=0), "not a neuron"),
    "an array": (b"\x93NUMPY\x01\x00v\x00", "NumPy"),
    "UTF-16": ("L1:N2".encode("utf-16"), "UTF-16"),
    "Latin-1": ("L1:N2 # f\xfcr".encode("latin-1"), "byte 9"),
    "nested without end": (b"[" * 100_000, "deep"),
    "nested objects": (b'{"neurons":' * 900 + b"[]" + b"}" * 900, "deep"),
    "too many": (b"".join(b"L1:N%d\n" % i for i in range(MAX_NEURONS + 1)), "too many"),
    "too large": (b" " * (MAX_BYTES + 1), "too large"),
}


@pytest.mark.parametrize(("data", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_understood_is_refused_naming_the_place(data: bytes, words: str) -> None:
    with pytest.raises(BadNeurons) as caught:
        read(data, "set.txt")
    assert words in caught.value.sentence
    assert len(caught.value.sentence) < 400


class Trap:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (str(self.path), "w"))


def test_pickled_data_is_never_loaded(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("data.pkl", pickle.dumps(Trap(trap)))
    array = io.BytesIO()
    np.save(array, np.array([Trap(trap)], dtype=object), allow_pickle=True)
    trap.unlink(missing_ok=True)
    for data in (pickle.dumps(Trap(trap)), pickle.dumps(Trap(trap), 0), archive.getvalue(), array.getvalue()):
        with pytest.raises(BadNeurons):
            read(data, "probe.pkl")
    assert not trap.exists()
    open_again = pickle.loads(pickle.dumps(Trap(trap)))
    open_again.close()
    assert trap.exists(), "the trap works"


def test_a_file_of_100_mb_is_refused_without_reading_it(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(100_000_000)
    started = time.monotonic()
    with pytest.raises(BadNeurons, match="too large"):
        read_path(large)
    assert time.monotonic() - started < 2


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadNeurons, match="cannot be read"):
        read_path(tmp_path / "none.json")


NEURONS = st.builds(NeuronId, st.integers(0, 200), st.integers(0, 10**6), st.sampled_from([-1, -1, 0, 7]))
SETS = st.lists(NEURONS, min_size=1, max_size=30).map(lambda ids: NeuronSet(tuple(ids)))


@given(SETS)
def test_what_is_written_is_read_back(neurons: NeuronSet) -> None:
    assert read(write_csv(neurons), "set.csv") == neurons
    assert read(str(neurons).encode(), "set.txt") == neurons


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_give_a_set_or_a_sentence(data: bytes) -> None:
    try:
        assert len(read(data, "set")) > 0
    except BadNeurons as error:
        assert error.what and error.why and error.instead


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["layer", "neuron", "neurons", "weight", "expert", "fit", "3"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_gives_a_set_or_a_sentence(value: object) -> None:
    try:
        assert len(read(json.dumps(value).encode(), "set.json")) > 0
    except BadNeurons as error:
        assert error.what and error.why and error.instead


def test_published_labels_are_read() -> None:
    if not LABELS.exists():
        pytest.skip(f"{LABELS.name} is not on this machine")
    found = read_path(LABELS)
    assert len(found) == 38 and NeuronId.parse("L20:N4288") in found
