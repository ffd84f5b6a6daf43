from pathlib import Path

from features.catalogue import render
from features.names import CONTEXT_FEATURES, MODEL_INPUT, ONLINE_VIEWS, VIEWS

REPO = Path(__file__).parents[3]


def test_the_catalogue_in_the_docs_is_what_the_vocabulary_says() -> None:
    assert (REPO / "docs" / "features.md").read_text(encoding="utf-8") == render()


def test_the_catalogue_names_type_default_and_engine_of_each_column() -> None:
    lines = set(render().splitlines())
    engines = [(feature, view.engine) for view in (*VIEWS, *ONLINE_VIEWS) for feature in view.features]
    for feature, engine in [*engines, *((feature, "request") for feature in CONTEXT_FEATURES)]:
        assert f"| `{feature.name}` | float32 | missing | {engine} | {feature.meaning} |" in lines


def test_no_two_columns_share_a_name() -> None:
    assert len(set(MODEL_INPUT)) == len(MODEL_INPUT)


def test_the_model_takes_every_view_and_then_the_context() -> None:
    assert len(MODEL_INPUT) == sum(len(view.columns) for view in VIEWS) + len(CONTEXT_FEATURES)
    assert MODEL_INPUT[-len(CONTEXT_FEATURES) :] == tuple(feature.name for feature in CONTEXT_FEATURES)


def test_no_model_takes_what_only_the_stream_computes() -> None:
    assert all(view.offline for view in VIEWS)
    assert not any(view.offline for view in ONLINE_VIEWS)
    assert not {column for view in ONLINE_VIEWS for column in view.columns} & set(MODEL_INPUT)


def test_feast_is_kept_from_loading_every_module_but_its_own() -> None:
    ignored = set((REPO / "features" / ".feastignore").read_text(encoding="utf-8").split())
    modules = {path.name for path in (REPO / "features").glob("*.py")} - {"__init__.py"}
    assert modules - ignored == {"feast_cli.py"}
