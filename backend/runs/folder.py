"""The files of a run: how each is called, in the one place that spells it.

Owns names within a run's folder, as paths. Refuses to read or write, and to know where runs lie
(`backend.probes.library`). What stands inside a folder of features is `backend.identify.features.extract`'s.

    plan.json           what the run was begun with
    questions.jsonl     greedy.jsonl    samples.jsonl               what was asked and answered
    overrules.jsonl     marked.jsonl                                what a person decided
    judged-*.jsonl      worded-*.jsonl                              what an LLM decided
    features*/          effects-*.jsonl  kept-*.jsonl  null-*.jsonl  bootstrap-*.jsonl    what stages computed
    probe.json          neurons.parquet  items.parquet              the artefact
    going.json          failed.json      outlook.json  speed.json   how it stands (`backend.runs.status`)
    unpacked.json       which packed answers it was filled from (`backend.runs.archive`)
    .lock               .unpacking.lock                             held by whoever works on it, or unpacks it
    .stop                                                           that whoever works on it is to stop
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PACKED = ".gz"
"""Behind the name of a journal that ships packed."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in the folder `path` of a run; none of them need be there."""

    path: Path

    @property
    def plan(self) -> Path:
        """What the run was begun with; a run is there where this is."""
        return self.path / "plan.json"

    @property
    def questions(self) -> Path:
        """What it asks, in their order."""
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
        """The artefact; a probe is there where this is."""
        return self.path / "probe.json"

    @property
    def items(self) -> Path:
        """A row an item, beside the artefact."""
        return self.table("items")

    @property
    def neurons(self) -> Path:
        """A row a neuron, beside the artefact."""
        return self.table("neurons")

    @property
    def going(self) -> Path:
        """That a run is at work."""
        return self.path / "going.json"

    @property
    def failed(self) -> Path:
        """Why it failed."""
        return self.path / "failed.json"

    @property
    def outlook(self) -> Path:
        """What is to be expected of its answers."""
        return self.path / "outlook.json"

    @property
    def speed(self) -> Path:
        """What an answer takes."""
        return self.path / "speed.json"

    @property
    def unpacked(self) -> Path:
        """Which packed answers it was filled from, and the hash of each file that they made."""
        return self.path / "unpacked.json"

    @property
    def lock(self) -> Path:
        """Held by whoever works on the run."""
        return self.path / ".lock"

    @property
    def stop(self) -> Path:
        """That whoever works on the run is to stop, in whichever program that is."""
        return self.path / ".stop"

    @property
    def unpacking(self) -> Path:
        """Held by whoever unpacks its answers."""
        return self.path / ".unpacking.lock"

    def table(self, name: str) -> Path:
        """A table beside the artefact."""
        return self.path / f"{name}.parquet"

    def features(self, of: str = "") -> Path:
        """The folder of features, `of` what is read otherwise than the plan has it."""
        return self.path / (f"features-{of}" if of else "features")

    def stage(self, stage: str, key: str) -> Path:
        """The journal of a stage, by what it hangs on."""
        return self.path / f"{stage}-{key}.jsonl"

    def replies(self, kind: str, asking: str, place: str) -> Path:
        """An LLM's replies, by how and where it was asked."""
        return self.path / f"{kind}-{asking}_{place}.jsonl"

    def all_replies(self, kind: str, asking: str = "*") -> list[Path]:
        """Those that are there; of one way of asking, or of any."""
        return sorted(self.path.glob(f"{kind}-{asking}_*.jsonl" if asking != "*" else f"{kind}-*.jsonl"))

    @property
    def decided(self) -> tuple[Path, ...]:
        """What a person said of answers."""
        return self.overrules, self.marked

    def answers(self) -> list[Path]:
        """The files of answers that are there: all that cost hours and hang on no filter, probe or check."""
        named = (self.questions, self.greedy, self.samples, *self.decided)
        return [*(path for path in named if path.exists()), *self.all_replies("judged"), *self.all_replies("worded")]

    def packed(self) -> list[Path]:
        """The journals that are there packed."""
        return sorted(self.path.glob(f"*.jsonl{PACKED}"))

    def is_begun(self) -> bool:
        """Whether a run is there."""
        return self.plan.exists()

    def has_probe(self) -> bool:
        """Whether a probe is there, of a run or not."""
        return self.probe.is_file()


def packed(path: Path) -> Path:
    """Where the journal `path` lies packed."""
    return path.with_name(f"{path.name}{PACKED}")


def begun_in(root: Path) -> Iterable[Path]:
    """The folders below `root` in which a run is."""
    return (plan.parent for plan in root.glob(f"*/{RunFolder(root).plan.name}"))


def probes_in(root: Path) -> Iterable[Path]:
    """The artefacts in folders below `root`."""
    return root.glob(f"*/{RunFolder(root).probe.name}")
