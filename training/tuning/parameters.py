"""The parameters that a study searches, and the file that carries the best of them to a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from ingestion.whole_files import write_whole
from training.heads import HeadParameters

Value = int | float


class ParametersError(ValueError):
    """The file is not one of parameters; the message is one sentence."""


@dataclass(frozen=True)
class Range:
    """What a parameter may be, both ends included; ``log`` searches by its logarithm."""

    low: Value
    high: Value
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int)

    def holds(self, value: Value) -> bool:
        return isinstance(value, int if self.whole else (int, float)) and self.low <= value <= self.high


SPACE: Mapping[str, Range] = {
    "trees": Range(40, 400),
    "leaves": Range(4, 63, log=True),
    "learning_rate": Range(0.02, 0.2, log=True),
    "smallest_leaf": Range(10, 500, log=True),
    "l2": Range(0.1, 100.0, log=True),
    "feature_share": Range(0.2, 1.0),
    "row_share": Range(0.4, 1.0),
}
"""Fields of :class:`training.heads.HeadParameters`; the others stay as the plan has them."""


class TunedParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a study found: ``head`` are values of :data:`SPACE`; ``value`` is theirs, ``default`` the plan's.

    What is beside ``head`` says where the values come from; a file written by hand needs ``study`` alone.
    """

    study: str
    head: dict[str, Value]
    data_fingerprint: str = ""
    objective: str = ""
    value: float | None = None
    default: float | None = None
    trials: int = 0
    seconds: float = 0.0

    def of(self, head: HeadParameters) -> HeadParameters:
        """``head`` with the values found."""
        return replace(head, **self.head)  # type: ignore[arg-type]


def parameters_file(folder: Path, study: str) -> Path:
    """Where a study leaves its best parameters."""
    return folder / f"{study}.json"


def write_parameters(path: Path, tuned: TunedParameters) -> None:
    """Replaces the file as a whole."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(tuned), indent=1))


def read_parameters(word: str, folder: Path) -> TunedParameters:
    """The parameters in the file ``word``, or of the study of that name in ``folder``.

    Raises:
        ParametersError: there is no such file or study, or it holds something else.
    """
    path = Path(word)
    if not path.is_file():
        path = parameters_file(folder, word)
    try:
        tuned = msgspec.json.decode(path.read_bytes(), type=TunedParameters)
    except OSError:
        raise ParametersError(
            f"{word} is neither a file nor a study that has found parameters: run `tideline tune`."
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ParametersError(f"{path} is not a file of parameters: {error}.") from None
    if unknown := sorted(set(tuned.head) - set(SPACE)):
        raise ParametersError(f"{path} has parameters that are not searched: {', '.join(unknown)}.")
    for name, value in tuned.head.items():
        span = SPACE[name]
        if not span.holds(value):
            kind = "a whole number" if span.whole else "a number"
            raise ParametersError(f"{name} in {path} is {value}, not {kind} from {span.low} to {span.high}.")
    return tuned
