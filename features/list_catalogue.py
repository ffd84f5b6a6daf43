"""Renders ``docs/list-features.md``: ``python -m features.list_catalogue > docs/list-features.md``."""

from __future__ import annotations

from features.list_features import CATALOGUE

INTRODUCTION = f"""\
# Features of lists

Written by `python -m features.list_catalogue > docs/list-features.md` from
[features/list_features.py](../features/list_features.py); a test compares. `tideline evaluate` computes these
{len(CATALOGUE)} entries for every row of a list ([ranking-quality.md](ranking-quality.md)).

Each is a float32 whose default is NaN, missing. All are computed in numpy by the folds of
[features/running.py](../features/running.py), [past.py](../features/past.py) and
[social_proof.py](../features/social_proof.py), over events strictly before the row; a label counts once it is
known. An entry that a dataset has nothing to compute from is left out of its model. A rate is
(hits + w * prior) / (shown + w), the prior being the rate of all rows by then, w 10. With "rank", the share
of the rows of the same request that have a smaller value is a second column, `<name>_rank`.

| entry | meaning | rank |
|---|---|---|
"""


def render() -> str:
    """The page, as Markdown."""
    rows = (
        f"| `{entry.name}` | {entry.meaning} | {'yes' if entry.relative else ''} |" for entry in CATALOGUE
    )
    return INTRODUCTION + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(render(), end="")
