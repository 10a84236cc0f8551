"""Data lie under one folder, and no name leads out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cache
from cache import PathEscapes, home, inside, models_dir, results_dir
from cache.paths import portable


def test_the_environment_names_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HNEURONS_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data"
    assert results_dir() == tmp_path / "data" / "results"
    assert models_dir() == tmp_path / "data" / "models"
    assert not home().exists(), "asking for a path must not make it"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_it_the_data_lie_in_the_cache_folder(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("HNEURONS_HOME", raising=False)
    else:
        monkeypatch.setenv("HNEURONS_HOME", value)
    assert home() == Path(cache.__file__).resolve().parent / "data"


def test_a_relative_home_and_a_tilde_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HNEURONS_HOME", "here")
    assert home() == tmp_path.resolve() / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HNEURONS_HOME", "~/there")
    assert home() == tmp_path.resolve() / "there"


@pytest.mark.parametrize("name", ["model", "org/model", "a.b-c_d", "...", "..hidden", "model name é", "a/./b"])
def test_a_plain_name_stays_where_it_is_put(tmp_path: Path, name: str) -> None:
    assert inside(tmp_path, name) == (tmp_path / name).resolve()


@pytest.mark.parametrize(
    "name",
    ["", ".", "./", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "//host/x", "a\\..\\..\\x", "C:\\x", "C:x",
     "\\\\host\\share", "a\0b", "a\nb", "a\x7fb"],
    ids=repr,
)  # fmt: skip
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PathEscapes) as refusal:
        inside(tmp_path, name)
    assert all((refusal.value.what, refusal.value.why, refusal.value.instead))


def test_a_link_that_leads_out_is_refused_and_one_that_stays_is_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, root / "real", outside):
        folder.mkdir()
    (root / "out").symlink_to(outside)
    (root / "in").symlink_to(root / "real")
    with pytest.raises(PathEscapes):
        inside(root, "out")
    with pytest.raises(PathEscapes):
        inside(root, "out/file")
    assert inside(root, "in/file") == (root / "real" / "file").resolve()


def test_a_folder_with_the_root_as_prefix_of_its_name_is_outside(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "root-beside")
    with pytest.raises(PathEscapes):
        inside(root, "link")


@given(name=st.text(alphabet="ab./\\:~\0 ", max_size=12))
def test_whatever_the_name_the_path_is_below_the_root_or_refused(name: str) -> None:
    root = Path("/nowhere/root")
    try:
        path = inside(root, name)
    except PathEscapes:
        return
    assert root in path.parents


@pytest.mark.parametrize(
    "name", ["CON", "nul", "Aux.json", "com1", "LPT9.x.y", "nul .txt", "a.", "a ", "org/nul", "..."]
)
def test_a_name_that_windows_cannot_have_is_known(name: str) -> None:
    assert not portable(name)


@pytest.mark.parametrize("name", ["console", "com10", "a.con", "null", "my-probe.v2", "org/model", ".hidden"])
def test_other_names_are_for_every_system(name: str) -> None:
    assert portable(name)
