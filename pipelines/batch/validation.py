"""Runs Great Expectations suites on pandas frames, keeps their results, and renders them as data docs.

``<results>/<table>.json`` is the newest outcome of a table, ``<results>/data_docs`` the site of all of them.
In memory a suite costs a second where the Spark engine starts a job for every expectation.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ingestion.whole_files import write_whole

DATA_DOCS = "data_docs"
_STORES = "great_expectations"
# Its address carries an id of this installation to whoever serves the image.
_LOGO = re.compile(r"<img[^>]*great-expectations-web-assets[^>]*>")


class DataQualityError(RuntimeError):
    """A table does not meet its expectations; the message is one sentence that names them."""


@dataclass(frozen=True)
class QualityReport:
    """The outcome of one suite."""

    table: str
    rows: int
    expectations: int
    failures: tuple[str, ...]


def validate(table: str, frame: pd.DataFrame, suite: Sequence[Any], results: Path) -> QualityReport:
    """Run a suite and keep its results under ``results``.

    Raises:
        DataQualityError: an expectation is not met.
    """
    report = examined(table, frame, suite, results)
    if report.failures:
        raise DataQualityError(
            f"The table {table} fails {'; '.join(report.failures)} (see {results / table}.json)."
        )
    return report


def examined(table: str, frame: pd.DataFrame, suite: Sequence[Any], results: Path) -> QualityReport:
    """As :func:`validate`, but what is not met is only told."""
    import great_expectations as gx

    context = _context(results)
    # One page a table: the site shows what is so, runs in MLflow what was so.
    shutil.rmtree(_stores(results) / "validations" / table, ignore_errors=True)
    asset = context.data_sources.add_pandas("tideline").add_dataframe_asset(table)
    named = context.suites.add_or_update(gx.ExpectationSuite(name=table, expectations=list(suite)))
    definition = gx.ValidationDefinition(
        name=table, data=asset.add_batch_definition_whole_dataframe("all"), suite=named
    )
    context.validation_definitions.add_or_update(definition)
    outcome = definition.run(batch_parameters={"dataframe": frame})
    failures = tuple(_sentence(result) for result in outcome.results if not result.success)
    outcome_text = json.dumps(outcome.to_json_dict(), indent=1, default=str)
    write_whole(results / f"{table}.json", outcome_text)
    return QualityReport(table, len(frame), len(outcome.results), failures)


def write_data_docs(results: Path) -> Path:
    """Render all kept results as a site; returns its first page.

    Nothing is fetched to build it. A browser that shows it loads styles and scripts from public servers,
    and shows it plain where it reaches none.
    """
    site = results / DATA_DOCS
    shutil.rmtree(site, ignore_errors=True)
    _context(results).build_data_docs()
    for page in site.rglob("*.html"):
        page.write_text(_LOGO.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    return site / "index.html"


def _context(results: Path) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        FilesystemStoreBackendDefaults,
        ProgressBarsConfig,
    )

    defaults = FilesystemStoreBackendDefaults(root_directory=str(_stores(results).absolute()))
    defaults.stores[defaults.validation_results_store_name]["store_backend"]["base_directory"] = (
        "validations/"
    )
    defaults.data_docs_sites = {
        "local_site": {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str((results / DATA_DOCS).absolute()),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
    }
    config = DataContextConfig(
        store_backend_defaults=defaults,
        progress_bars=ProgressBarsConfig(globally=False),
        analytics_enabled=False,
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _stores(results: Path) -> Path:
    return results / _STORES


def _sentence(result: Any) -> str:
    config = result.expectation_config
    kwargs = config.kwargs
    subject = (
        kwargs.get("column") or kwargs.get("column_list") or [kwargs.get("column_A"), kwargs.get("column_B")]
    )
    columns = subject if isinstance(subject, str) else ", ".join(map(str, subject))
    count = result.result.get("unexpected_count")
    observed = result.result.get("observed_value")
    rows = f" in {count} rows" if count else ""
    found = f" ({observed:g})" if isinstance(observed, int | float) and not count else ""
    return f"{config.type} on {columns}{rows}{found}"
