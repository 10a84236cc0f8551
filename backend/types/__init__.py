"""Typed requests and results: what crosses every boundary (page, command line, HTTP, disk)."""

from backend.types.base import COMPACT, METRIC_VERSION, Array, Frozen, result_key
from backend.types.events import Event, JobState, JobView, ModelStatus, PromptEvent, StageEvent, TokenEvent
from backend.types.models import ModelChoice, StoredResult
from backend.types.requests import (
    MAX_ALPHA,
    MAX_PROMPT_CHARACTERS,
    MAX_ROWS,
    REQUESTS,
    Alpha,
    Asked,
    CettRequest,
    CompareRequest,
    Decoding,
    ExploreRequest,
    NeuronRequest,
    OwnAlpha,
    Population,
    Positions,
    Request,
    Threshold,
    Verb,
)
from backend.types.results import (
    RESULTS,
    Arm,
    Candidate,
    CettFile,
    Comparison,
    DiffPart,
    Exploration,
    Finish,
    Logit,
    ModelInfo,
    NeuronCard,
    Result,
    Role,
    Row,
    RowPlan,
    Split,
    TokenInfo,
    Touched,
)

__all__ = [name for name in dir() if not name.startswith("_")]
