"""Renders ``docs/features.md`` from the vocabulary: ``python -m features.catalogue > docs/features.md``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from features.names import CONTEXT_FEATURES, FEATURE_SERVICE, MODEL_INPUT, ONLINE_VIEWS, VIEWS, Feature, View

INTRODUCTION = f"""\
# Features

Written by `python -m features.catalogue > docs/features.md` from [features/names.py](../features/names.py);
a test compares. The model of feature service `{FEATURE_SERVICE}` takes {len(MODEL_INPUT)} columns, in the
order of this page.

An offline row is stamped at a moment and covers what happened strictly before it; a row of the stream is
stamped with the newest event it covers. A value that weighs by age holds at that moment, and decays further
until it is read, by the same formula online and in the point-in-time join. Every value is a float32; NaN is a
missing one. A row older than the view's ttl is stale: its values read as missing, and its age is told. Rates
are smoothed: (hits + weight * prior) / (showings + weight).

- **Offline rows**: `<offline>/<namespace>/<view>/day=<UTC day>/*.parquet`, at hourly ticks, only where a
  value changed; of the stream's views at every change, and of `tweet_content` at the tweet's creation. The
  tick that the end of a build cuts short is stamped at that end.
  [pipelines/batch/features_job.py](../pipelines/batch/features_job.py)
- **Training examples**: one per shown item. An act (like, retweet, reply, quote) of the reader on the tweet
  is credited to the newest showing at or before it, within the attribution window (24 hours); a mention of
  the author to the newest showing of that author, within ten minutes.
  [pipelines/batch/showings.py](../pipelines/batch/showings.py),
  [training_examples.py](../pipelines/batch/training_examples.py)
- **Training frame**: the examples with their features: those logged at serving (`logged`), else those of the
  point-in-time join. A registered feature service that lacks a view or a column is refused.
  [features/historical.py](../features/historical.py)
- **Readers' interests**, which are no model's input: topics and accounts with the same taste, for the feed's
  source [`similar`](ranking.md#similar-tastes).
  [pipelines/batch/reader_interests.py](../pipelines/batch/reader_interests.py)
- **Expectations**: Great Expectations on pandas frames of the whole table; above a million rows, of a sample
  of whole entities. A table that fails replaces nothing. Labels of one kind, or nearly all positive, are told
  and stop the model, not the features. Results: `<quality>/<namespace>/<table>.json`, and as data docs
  `<quality>/<namespace>/data_docs/index.html`, built without fetching anything; a browser loads their styles
  from public servers, or shows them plain. [pipelines/batch/quality.py](../pipelines/batch/quality.py)
- **Before materialization** the newest rows of at most 10,000 entities a view, of those that had rows last:
  of the newest day, and of as many days before it as it takes to have so many, must be in range and finite,
  have values, be at most 48 hours old, miss at most 5 points more of a column than when the last training
  set ended, and rates and text have moved by at most 0.5 since (PSI,
  [features/drift.py](../features/drift.py), from 200 entities on). Else
  `tideline features materialize` writes nothing and exits 1, as it does where a view has no row within its
  ttl; the limits are settings (`TIDELINE_FEATURES__MATERIALIZATION__STABILITY_INDEX` and so on).
  [pipelines/batch/before_materialization.py](../pipelines/batch/before_materialization.py)
- **Bad input**: a file of the lake that is cut short, or lacks a column that every event has, stops the
  build by its name; files that begin with a dot or an underscore are still being written, or were left by a
  writer that died, and are not read. A day without events is an empty day.
- **Feast**: [features/feature_views.py](../features/feature_views.py); the point-in-time join is
  [features/offline_store.py](../features/offline_store.py).
- **Online rows**: packed, versioned by event time, [features/rows.py](../features/rows.py); Feast reads and
  writes them through [features/online_store.py](../features/online_store.py). A row names the schema it was
  written for: after a view's columns, join keys or lifetimes change, older rows read as missing until they
  are written again (`tideline features materialize --full`, and the stream by its next event).

`tideline features build` makes the offline rows and the training frame of the days that are new or were
built in part, and of those, up to `features.late_days` (3) back, that have more events in the lake than when
they were built; with such a day all after it, as counts run on. It says which older days have new events and
leaves them: `--full` builds everything. `--day 2026-11-21` builds that one day. Counts go on from the newest
row of each entity, in which they are kept beside the features (`carried`); what a like, follow or deletion
takes back is looked up in the lake. Examples of the day before are made again, as acts are credited to what
was shown in the attribution window before. A day is written beside its table and renamed, and then noted as
built (`.built.json`): a build that fails is made up for by the next, and so is one that dies before its
examples are joined (`.unjoined.json` says from when on). Events are counted only of days of the lake whose
folders changed since they were counted (`.lake_days.json`).
[pipelines/batch/days.py](../pipelines/batch/days.py),
[lake_days.py](../pipelines/batch/lake_days.py),
[earlier.py](../pipelines/batch/earlier.py)

One command at a time uses the tables of a namespace, their registry and the results of checks: a second one
says which it waits for, and waits. Training holds them only while it reads.
[stack/offline_tables.py](../stack/offline_tables.py)

`apply` registers views and service,
`materialize` writes the newest rows and the interests to Redis. A later row replaces an earlier one and never
the reverse, so each may be repeated at any time.

`tideline features doctor` compares a sample of the online rows with the newest offline row of each entity.
For each feature it prints how many values are equal, differ, are stale (the online row is the older one) or
are missing on one side, with examples (`--json` for machines); the exit code is 1 where anything is amiss.
Values that decay are compared at one moment, and rows of the stream newer than anything offline passed over.

`tideline features parity` compares the features that pages were served with, as impressions log them, with
the offline ones of the same moment: for each feature the share that is equal, how many differ or are missing
on one side, and the largest difference. Values are equal within 1e-4 of the offline one. What Spark computes
is online as of the last materialization, or of the one before while rows are being written, so a logged value
may be the one of either instead (`as materialized`), if that is at most 25 hours ago; what the stream and the
request compute must be that of the moment itself. How an item reached the reader is known from the log alone,
and is not compared. Above 2 % of a feature the exit code is 1, `tideline train` records the check `parity` as
failed, and the gate refuses the model; `--version` records it with a version that is there. Without any
logged row it exits 1, and `tideline train` records nothing, which the gate [lets pass](models.md#the-gate)
only where no champion could have served. The limits are settings: `TIDELINE_FEATURES__PARITY__DIFFERING` and
so on. [features/parity.py](../features/parity.py)

The store is a plugin that any Feast repo can use: [features/README.md](../features/README.md).
"""

ONLINE = """\
# Online only

Views that the stream writes and nothing computes offline: for display and rules, and in no model's input.
"""


def render() -> str:
    """The page, as Markdown."""
    parts = [INTRODUCTION, *(_view(view) for view in VIEWS), _context(), ONLINE]
    parts += [_view(view) for view in ONLINE_VIEWS]
    return "\n".join(parts)


def _view(view: View) -> str:
    keys = ", ".join(f"`{entity}`" for entity in view.entities)
    lines = [f"## {view.name}", "", f"Keys {keys}; computed by {view.engine}; ttl {view.ttl_days} days.", ""]
    return "\n".join([*lines, *_table(view.features, view.engine)])


def _context() -> str:
    head = ["## Context", "", "Computed from the request and the candidate; not stored.", ""]
    return "\n".join([*head, *_table(CONTEXT_FEATURES, "request")])


def _table(features: Sequence[Feature], engine: str) -> list[str]:
    """A row for each entry of the vocabulary."""
    rows = [
        f"| `{feature.name}` | {feature.dtype} | {_default(feature)} | {engine} | {feature.meaning} |"
        for feature in features
    ]
    return ["| column | type | default | engine | meaning |", "|---|---|---|---|---|", *rows, ""]


def _default(feature: Feature) -> str:
    return "missing" if math.isnan(feature.default) else f"{feature.default:g}"


if __name__ == "__main__":
    print(render(), end="")
