"""The names of a run's files and of a scoring's, defined only here.

Owns names within such a folder, as paths. Reads and writes nothing, and does not know where runs are
(`backend.probes.library` does). The files inside a folder of features are `backend.identify.features.extract`'s.

    plan.json           what the run was begun with
    questions.jsonl     greedy.jsonl    samples.jsonl               what was asked and answered
    overrules.jsonl     marked.jsonl                                what a person decided
    judged-*.jsonl      worded-*.jsonl                              what an LLM decided
    features*/          effects-*.jsonl  kept-*.jsonl  null-*.jsonl  bootstrap-*.jsonl    what stages computed
    probe.json          neurons.parquet  items.parquet              the artefact
    elsewhere/*.json                                                scorings that ship with it
    going.json          failed.json      outlook.json  speed.json   its state (`backend.runs.status`)
    unpacked.json       which packed answers it was filled from (`backend.runs.archive`)
    .lock               .unpacking.lock                             held while a program works on it, or unpacks it
    .stop                                                           asks the program that works on it to stop

A scoring's folder has greedy.jsonl, readings.jsonl, scoring.json and .lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKED = ".gz"
"""Suffix of a journal that ships packed."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in the folder `path` of a run; the files need not exist."""

    path: Path

    @property
    def plan(self) -> Path:
        """What the run was begun with; a folder with this file holds a run."""
        return self.path / "plan.json"

    @property
    def questions(self) -> Path:
        """The questions, in order."""
        return self.path / "questions.jsonl"

    @property
    def greedy(self) -> Path:
        """Greedy answers."""
        return self.path / "greedy.jsonl"

    @property
    def samples(self) -> Path:
        """Drawn answers."""
        return self.path / "samples.jsonl"

    @property
    def overrules(self) -> Path:
        """A person's verdicts."""
        return self.path / "overrules.jsonl"

    @property
    def marked(self) -> Path:
        """The words that a person marked as the answer."""
        return self.path / "marked.jsonl"

    @property
    def probe(self) -> Path:
        """The artefact; a folder with this file holds a probe."""
        return self.path / "probe.json"

    @property
    def items(self) -> Path:
        """Table beside the artefact, one row for each item."""
        return self.table("items")

    @property
    def neurons(self) -> Path:
        """Table beside the artefact, one row for each neuron."""
        return self.table("neurons")

    @property
    def elsewhere(self) -> Path:
        """Folder of the scorings that ship with the probe: how it did on questions that it was not made from."""
        return self.path / "elsewhere"

    @property
    def going(self) -> Path:
        """Exists while a run is at work; a file that is left shows that it was interrupted."""
        return self.path / "going.json"

    @property
    def failed(self) -> Path:
        """Why the run failed."""
        return self.path / "failed.json"

    @property
    def outlook(self) -> Path:
        """How many usable answers are expected."""
        return self.path / "outlook.json"

    @property
    def speed(self) -> Path:
        """Seconds that an answer takes."""
        return self.path / "speed.json"

    @property
    def unpacked(self) -> Path:
        """Which packed answers it was filled from, and the hash of each file that they made."""
        return self.path / "unpacked.json"

    @property
    def lock(self) -> Path:
        """Held by the program that works on the run."""
        return self.path / ".lock"

    @property
    def stop(self) -> Path:
        """Asks the program that works on the run to stop."""
        return self.path / ".stop"

    @property
    def unpacking(self) -> Path:
        """Held by the program that unpacks the answers."""
        return self.path / ".unpacking.lock"

    def table(self, name: str) -> Path:
        """A table beside the artefact."""
        return self.path / f"{name}.parquet"

    def features(self, of: str = "") -> Path:
        """The folder of features; `of` names what is read differently from the plan."""
        return self.path / (f"features-{of}" if of else "features")

    def stage(self, stage: str, key: str) -> Path:
        """The journal of a stage; `key` is a hash of all that it depends on."""
        return self.path / f"{stage}-{key}.jsonl"

    def replies(self, kind: str, asking: str, place: str) -> Path:
        """An LLM's replies: `asking` is a hash of how it was asked, `place` of its address."""
        return self.path / f"{kind}-{asking}_{place}.jsonl"

    def all_replies(self, kind: str, asking: str = "*") -> list[Path]:
        """The files of replies that exist, of one `asking` or of any."""
        return sorted(self.path.glob(f"{kind}-{asking}_*.jsonl" if asking != "*" else f"{kind}-*.jsonl"))

    @property
    def decided(self) -> tuple[Path, ...]:
        """The files with a person's decisions about answers."""
        return self.overrules, self.marked

    def answers(self) -> list[Path]:
        """The files of answers that exist: all that took hours and depends on no filter, probe or check."""
        named = (self.questions, self.greedy, self.samples, *self.decided)
        return [*(path for path in named if path.exists()), *self.all_replies("judged"), *self.all_replies("worded")]

    def packed(self) -> list[Path]:
        """The packed journals that exist."""
        return sorted(self.path.glob(f"*.jsonl{PACKED}"))

    def is_begun(self) -> bool:
        """Whether the folder holds a run."""
        return self.plan.exists()

    def has_probe(self) -> bool:
        """Whether the folder holds a probe, of a run or not."""
        return self.probe.is_file()


def packed_path(path: Path) -> Path:
    """The packed form's path for the journal `path`."""
    return path.with_name(f"{path.name}{PACKED}")


def run_folders_in(root: Path) -> Iterable[Path]:
    """The folders directly below `root` that hold a run."""
    return (plan.parent for plan in root.glob(f"*/{RunFolder(root).plan.name}"))


def probes_in(root: Path) -> Iterable[Path]:
    """The artefacts in folders directly below `root`."""
    return root.glob(f"*/{RunFolder(root).probe.name}")


@dataclass(frozen=True)
class ScoringFolder:
    """Paths in the folder `path` of a scoring: a probe on questions that it was not made from."""

    path: Path

    @property
    def greedy(self) -> Path:
        """Greedy answers."""
        return RunFolder(self.path).greedy

    @property
    def readings(self) -> Path:
        """What was read of each answer."""
        return self.path / "readings.jsonl"

    @property
    def result(self) -> Path:
        """The figures."""
        return self.path / "scoring.json"

    @property
    def lock(self) -> Path:
        """Held by the program that works on it."""
        return RunFolder(self.path).lock
