from __future__ import annotations

import pytest

from benchmarks.harness import BenchmarkRefusedError, Spread, Trial, measure, open_trial


def counting(name: str, values: list[float], calls: list[str]) -> dict[str, float]:
    calls.append(name)
    return {f"{name}_per_s": values[sum(call == name for call in calls) - 1]}


def test_trial_and_baseline_alternate_and_warm_ups_do_not_count() -> None:
    calls: list[str] = []
    trial = Trial(
        "demo",
        lambda: counting("ours", [1000, 10, 30, 20], calls),
        baseline=lambda: counting("theirs", [1000, 5, 5, 40], calls),
        ratio=("ours_per_s", "theirs_per_s"),
    )
    seen: list[tuple[int, int]] = []
    result = measure(trial, 3, lambda done, total: seen.append((done, total)))
    assert calls == ["ours", "theirs"] * 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert result.figures == {"ours_per_s": Spread(10, 20, 30)}
    assert result.ratio == 4
    assert result.as_json() == {
        "name": "demo",
        "repeats": 3,
        "ratio": 4,
        "ours_per_s": 20,
        "baseline_theirs_per_s": 5,
        "spread": {"ours_per_s": [10, 20, 30], "baseline_theirs_per_s": [5, 5, 40]},
    }


def test_without_a_baseline_there_is_no_ratio() -> None:
    result = measure(Trial("demo", lambda: {"p50_ms": 2.0}), 2, lambda done, total: None)
    assert result.as_json() == {
        "name": "demo",
        "repeats": 2,
        "p50_ms": 2.0,
        "spread": {"p50_ms": [2.0, 2.0, 2.0]},
    }
    assert result.table().row_count == 1


def test_an_unknown_benchmark_is_refused_by_name() -> None:
    with pytest.raises(BenchmarkRefusedError, match="no benchmark speed; there are"):
        open_trial("speed")


def test_fanout_is_refused_without_redis_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fanout.shutil.which", lambda program: None)
    with pytest.raises(BenchmarkRefusedError, match="redis-tools"), open_trial("fanout"):
        pass
