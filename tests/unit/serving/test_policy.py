"""The policy file: complete and within its ranges, or refused in one sentence that names the field."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from serving.feed.policy import DEFAULT, Policy, default_policy, load_policy
from serving.toml_file import TomlFileError, decode_toml

TEXT = resources.files("serving.feed").joinpath("policies", DEFAULT).read_text(encoding="utf-8")
FIELDS = [
    (section, field)
    for section, fields in tomllib.loads(TEXT).items()
    if isinstance(fields, dict)
    for field in fields
]


def with_value(field: str, value: str) -> str:
    """The default policy with one field changed."""
    changed, count = re.subn(rf"^{field} = .*$", f"{field} = {value}", TEXT, flags=re.MULTILINE)
    assert count == 1
    return changed


def refusal(text: str) -> str:
    with pytest.raises(TomlFileError) as caught:
        decode_toml(text, Policy, "mine.toml")
    sentence = str(caught.value)
    assert sentence.startswith("mine.toml is not ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_the_default_policy_has_the_published_shares() -> None:
    policy = default_policy()
    assert policy.network.out_of_network == 0.30
    assert (policy.budgets.candidates, policy.budgets.heads) == (500, 150)
    assert (policy.budgets.reduced_candidates, policy.budgets.reduced_heads) == (150, 50)


def test_a_copy_of_the_default_policy_is_the_default_policy(tmp_path: Path) -> None:
    path = tmp_path / "copy.toml"
    path.write_text(TEXT)
    assert load_policy(path) == default_policy()


@pytest.mark.parametrize(("section", "field"), FIELDS)
@pytest.mark.parametrize("value", ["nan", "-0.5", "inf", "1e9", '"1"', "true"])
def test_a_value_out_of_its_range_names_its_field(section: str, field: str, value: str) -> None:
    assert f": {section}.{field}: expected " in refusal(with_value(field, value))


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_a_field_left_out_is_named(section: str, field: str) -> None:
    text = re.sub(rf"^{field} = .*$", "", TEXT, flags=re.MULTILINE)
    assert re.search(rf": {section}: .*missing required field `{field}`", refusal(text))


def test_an_unknown_field_is_named_with_its_section() -> None:
    assert "diversity: object contains unknown field `author_decat`" in refusal(
        TEXT.replace("[diversity]", "[diversity]\nauthor_decat = 0.5")
    )
    assert "unknown field `explore`" in refusal(TEXT + "\n[explore]\nshare = 0.5\n")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("heads", "501", "heads is more than candidates"),
        ("reduced_heads", "151", "reduced_heads is more than reduced_candidates"),
        ("reduced_candidates", "501", "reduced_candidates is more than candidates"),
        ("heads", "49", "reduced_heads is more than heads"),
    ],
)
def test_a_budget_that_holds_less_than_what_it_is_cut_to_is_refused(
    field: str, value: str, sentence: str
) -> None:
    assert refusal(with_value(field, value)) == f"mine.toml is not right: budgets: {sentence}."


@pytest.mark.parametrize(("field", "value"), [("format", "2"), ("version", '"No name"'), ("version", '""')])
def test_another_format_and_an_unusable_name_are_refused(field: str, value: str) -> None:
    assert f"{field}: " in refusal(with_value(field, value))


def test_what_is_no_toml_or_no_file_is_said_in_one_sentence(tmp_path: Path) -> None:
    assert "mine.toml is not TOML" in refusal("[budgets")
    with pytest.raises(TomlFileError, match=r"^absent\.toml cannot be read: No such file or directory\.$"):
        load_policy(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(TomlFileError, match=r"^binary\.toml is not right: it is not UTF-8\.$"):
        load_policy(tmp_path / "binary.toml")
