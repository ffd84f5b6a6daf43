"""The closed loop's own logic: the rest of it is the product's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.aggregates import ACCOUNT, TWEET, EngagementFold, add
from features.labels import LABELS
from features.names import AFFINITY_S
from ingestion.events import (
    AuthorHidden,
    ClientReport,
    Event,
    FollowChanged,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
)
from ingestion.world.generate import Ground, settle
from pipelines.stream.engagement_queries import affinities, decode_marks, encode_mark
from stack.closed_loop.folder import claim
from stack.closed_loop.outcomes import Figure, Outcome, adjusted_lead, by_day, labelled, lead, paired_lead
from stack.closed_loop.pages import experiment_of, exploring
from stack.closed_loop.plan import ARMS, CHAMPION, CHRONOLOGICAL, FIRST, LoopPlan
from stack.closed_loop.readers import Readership, Shown, sessions
from stack.closed_loop.report import Lead, problem
from stack.closed_loop.streams import Standing
from stack.errors import UserError
from training.formula import DEFAULT_WEIGHTS

NOW = 1_767_620_000_000
ACTS = (LikeChanged, RetweetChanged, TweetCreated)
ABOVE, AROUND = Figure(0.4, 0.2, 0.6), Figure(0.1, -0.1, 0.3)


@pytest.fixture(scope="module")
def ground() -> Ground:
    return settle(LoopPlan(days=2, readers=60).world)


def readership(ground: Ground, seed: int = 1) -> Readership:
    return Readership(ground, np.random.default_rng(seed))


def some(ground: Ground, count: int, reader: int) -> list[int]:
    """The newest tweets of others before noon of the first day."""
    originals = ground.originals
    now = ground.plan.start_ms + 12 * 3_600_000
    others = (originals.ts < now) & (originals.author != reader - 1)
    return [int(tweet) for tweet in originals.tweet_id[others][-count:]]


def test_a_plan_of_one_day_or_few_readers_is_refused() -> None:
    with pytest.raises(UserError, match="on its second day at the earliest"):
        LoopPlan(days=1)
    with pytest.raises(UserError, match="too few to share among three arms"):
        LoopPlan(readers=10)


def test_a_folder_that_holds_something_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="something else than a loop"):
        claim(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    loop = tmp_path / "loop"
    claim(loop)
    (loop / "old").touch()
    claim(loop)
    assert not (loop / "old").exists()


def test_every_reader_is_in_one_arm_and_the_policy_explores_as_asked() -> None:
    experiment = experiment_of(seed=3)
    readers = {reader: experiment.arm_of(reader).name for reader in range(1, 301)}
    assert set(readers.values()) == set(ARMS)
    assert experiment.control.name == CHRONOLOGICAL
    assert exploring(0.25).exploration.share == 0.25
    assert exploring(0.25).version != "default-1"


def test_sessions_come_by_time_and_everybody_reads(ground: Ground) -> None:
    drawn = sessions(ground, np.random.default_rng(1))
    assert [session.ts for session in drawn] == sorted(session.ts for session in drawn)
    readers = pd.Series([session.reader for session in drawn]).value_counts()
    assert readers.index.min() >= 1
    assert readers.index.max() <= 60
    assert len(drawn) == pytest.approx(60 * 2 * ground.plan.sessions_per_day, rel=0.3)


def test_what_was_read_and_what_is_ones_own_is_passed_over(ground: Ground) -> None:
    readers = readership(ground)
    mine = int(ground.originals.tweet_id[ground.originals.author == 4][0])
    tweets = [*some(ground, 3, 5), mine]
    assert readers.unread(5, tweets) == [0, 1, 2]
    readers.answer(5, NOW, [Shown(tweets[1], "r", 0)])
    assert readers.unread(5, tweets) == [0, 2]
    assert readers.unread(6, tweets[:3]) == [0, 1, 2]


def test_answers_are_drawn_by_the_planted_chances(ground: Ground) -> None:
    """Each reader reads the same page: the engagements are as many as the chances say, within 4 sigma."""
    promised, variance, engaged = 0.0, 0.0, 0
    readers = readership(ground)
    for reader in range(1, 61):
        page = some(ground, 30, reader)
        chances = readers.chances(reader, NOW, page).p_engaged
        promised += float(chances.sum())
        variance += float((chances * (1 - chances)).sum())
        engaged += readers.answer(reader, NOW, [Shown(tweet, "r", i) for i, tweet in enumerate(page)]).engaged
    assert abs(engaged - promised) < 4 * variance**0.5
    assert engaged > 0


def test_an_answer_reports_what_was_read_and_acts_after_it(ground: Ground) -> None:
    readers = readership(ground)
    acts: list[Event] = []
    actions: set[str] = set()
    for reader in range(1, 61):
        page = [Shown(tweet, f"r{reader}", i) for i, tweet in enumerate(some(ground, 30, reader))]
        answers = readers.answer(reader, NOW, page)
        reports = [event for event in answers.events if isinstance(event, ClientReport)]
        seen = [event for event in reports if event.action == "shown"]
        said = [(event.feed_request_id, event.tweet_id, event.position) for event in seen]
        assert said == [(item.request_id, item.tweet, item.position) for item in page]
        done = [event for event in answers.events if isinstance(event, ACTS)]
        assert len({about(event) for event in done}) == answers.engaged
        hidden = [event for event in reports if event.action in ("hide", "report")]
        assert len(hidden) == sum(isinstance(event, AuthorHidden) for event in answers.events)
        actions |= {event.action for event in reports}
        acts += answers.events
    assert {type(act) for act in acts} >= {LikeChanged, RetweetChanged, TweetCreated}
    assert actions >= {"shown", "open", "dwell"}
    assert all(act.ts >= NOW for act in acts)
    assert len({act.event_id for act in acts}) == len(acts)


def about(event: LikeChanged | RetweetChanged | TweetCreated) -> int:
    """The tweet that an act is about."""
    if isinstance(event, TweetCreated):
        return event.in_reply_to or event.quote_of or 0
    return event.tweet_id


def test_what_is_liked_gets_likelier_and_what_is_written_can_be_read(ground: Ground) -> None:
    readers = readership(ground)
    (tweet,) = some(ground, 1, 1)
    before = readers.chances(1, NOW, [tweet]).p_engaged[0]
    written: list[TweetCreated] = []
    for reader in range(2, 61):
        events = readers.answer(reader, NOW, [Shown(tweet, "r", 0)]).events
        written += [event for event in events if isinstance(event, TweetCreated)]
    assert readers.chances(1, NOW, [tweet]).p_engaged[0] > before
    for reply in written:
        assert readers.unread(reply.author_id, [reply.tweet_id]) == []
        assert 0 < readers.chances(1, reply.ts + 1, [reply.tweet_id]).p_engaged[0] < 1


def log() -> list[Event]:
    """Two tweets of account 1, and what accounts 2 and 3 do with them."""
    edge = {"tweet_id": 10, "author_id": 1, "active": True}
    return [
        FollowChanged(event_id="f", ts=NOW, follower_id=2, followee_id=1, active=True),
        TweetCreated(event_id="t", ts=NOW + 1, tweet_id=10, author_id=1, text="a"),
        LikeChanged(event_id="l", ts=NOW + 60_000, user_id=2, **edge),
        RetweetChanged(event_id="r", ts=NOW + 90_000, user_id=3, retweet_id=11, **edge),
        TweetCreated(event_id="a", ts=NOW + 120_000, tweet_id=12, author_id=3, text="b", in_reply_to=10),
        FollowChanged(event_id="u", ts=NOW + 150_000, follower_id=2, followee_id=1, active=False),
    ]


def test_marks_of_a_log_add_up_to_its_fold() -> None:
    standing = Standing()
    marks = [mark for event in log() for mark in standing.marks(event)]
    tweet, account = EngagementFold(TWEET), EngagementFold(ACCOUNT)
    tweet.apply("likes", 2, NOW + 60_000, "l", True)
    tweet.apply("retweets", 3, NOW + 90_000, "r", True)
    tweet.apply("replies", 12, NOW + 120_000, "a", True)
    account.apply("tweets", 10, NOW + 1, "t", True)
    account.apply("followers", 2, NOW + 150_000, "u", False)
    for number, at in enumerate((60_000, 90_000, 120_000)):
        account.apply("received", number, NOW + at, "", True)
    for fold, owner in ((tweet, 10), (account, 1)):
        kind = fold.kind
        mine = [mark for mark in marks if mark[0] == owner and mark[1] in kind.numbers]
        tally, expected = kind.empty(1), fold.tally()
        changes = (np.array([mark[place] for mark in mine]) for place in (1, 2, 3))
        add(kind, tally, np.zeros(len(mine), dtype=np.int64), *changes)
        assert tally["counts"].tolist() == expected["counts"].tolist()
        assert tally["recent"] == pytest.approx(expected["recent"])
        assert tally["version"] == expected["version"]


def test_pairs_weigh_what_stands_by_its_age() -> None:
    standing = Standing()
    for event in log():
        list(standing.marks(event))
    (liked, answered) = standing.take_pairs()
    assert liked[:2] == (2, 1)
    assert answered[:3] == (3, 1, NOW + 120_000)
    worth = affinities(np.array([liked[3], answered[3]]), np.array([liked[2], answered[2]]))
    assert worth == pytest.approx([1.0, 1.0 + np.exp(-30 / AFFINITY_S)])
    assert standing.take_pairs() == []


def test_a_mark_is_what_its_code_says() -> None:
    codes = np.array([encode_mark(slot, sign, NOW) for slot in (0, 11) for sign in (1, -1, 0)])
    slots, signs, moments = decode_marks(codes)
    assert slots.tolist() == [0, 0, 0, 11, 11, 11]
    assert signs.tolist() == [1, -1, 0] * 2
    assert set(moments.tolist()) == {NOW}


def outcome(
    day: int, reader: int, arm: str, request: str, would: dict[str, float], engaged: int = 0
) -> Outcome:
    return Outcome(day, reader, arm, 2, engaged, (request,), None, would)


def test_a_session_is_worth_what_the_labels_of_its_examples_are() -> None:
    would = dict.fromkeys(ARMS, 1.0)
    nothing = dict.fromkeys(LABELS.values(), 0.0)
    liked = nothing | {"label_engaged": 1.0, "label_liked": 1.0}
    both = liked | {"label_retweeted": 1.0}
    examples = pd.DataFrame([liked, both, nothing]).assign(request_id=["a", "a", "b"])
    outcomes = [outcome(1, 1, CHAMPION, "a", would, 2), outcome(1, 2, FIRST, "gone", would)]
    rows = labelled(outcomes, examples, LABELS)
    assert rows["label_engaged"].tolist() == [2.0, 0.0]
    assert rows["worth"].tolist() == [2 * DEFAULT_WEIGHTS["liked"] + DEFAULT_WEIGHTS["retweeted"], 0.0]
    assert rows["engaged"].tolist() == [2, 0]


def planted(difference: float, readers: int = 120) -> pd.DataFrame:
    """Readers who differ much more than the arms do."""
    rng = np.random.default_rng(5)
    outcomes = []
    for reader in range(readers):
        arm, own = ARMS[reader % 3], rng.lognormal(0.0, 0.8)
        for _ in range(4):
            would = {CHRONOLOGICAL: own, FIRST: own, CHAMPION: own + difference * rng.lognormal(0.0, 0.3)}
            outcomes.append(outcome(2, reader, arm, "r", would, int(rng.poisson(would[arm]))))
    examples = pd.DataFrame({"request_id": ["x"], **{label: [0.0] for label in LABELS.values()}})
    return labelled(outcomes, examples, LABELS)


def test_a_small_lead_shows_where_the_same_readers_are_compared() -> None:
    rows = planted(0.1)
    paired = paired_lead(rows, CHAMPION, FIRST, seed=1)
    assert paired.low < 0.1 * np.exp(0.045) < paired.high
    assert paired.above_zero
    unpaired = lead(rows, CHAMPION, FIRST, "engaged", seed=1)
    assert unpaired.high - unpaired.low > 5 * (paired.high - paired.low)


def test_readers_who_differed_before_do_not_make_a_lead() -> None:
    rng = np.random.default_rng(9)
    found = []
    for reader in range(600):
        arm = ARMS[reader % 3]
        own = rng.lognormal(0.0, 0.8) * (1.5 if arm == CHAMPION else 1.0)
        for day in (1, 1, 1, 2, 2, 2):
            more = 0.5 if arm == CHAMPION and day == 2 else 0.0
            row = {"day": day, "reader": reader, "arm": arm, "engaged": own + more + rng.normal(0, 0.1)}
            found.append(row)
    rows = pd.DataFrame(found)
    before, after = rows[rows["day"] == 1], rows[rows["day"] == 2]
    assert lead(after, CHAMPION, FIRST, "engaged", seed=1).low > 0.6
    adjusted = adjusted_lead(after, before, CHAMPION, FIRST, "engaged", seed=1)
    assert adjusted.low < 0.5 < adjusted.high
    assert adjusted.high - adjusted.low < 0.1
    unrelated = before.assign(engaged=rng.normal(0.0, 1.0, len(before)))
    unadjusted = adjusted_lead(after, unrelated, CHAMPION, FIRST, "engaged", seed=1)
    assert unadjusted.value == pytest.approx(lead(after, CHAMPION, FIRST, "engaged", 1).value, abs=0.05)
    assert np.isnan(adjusted_lead(after, before[:0], CHAMPION, FIRST, "engaged", seed=1).value)


def test_no_difference_is_not_above_zero() -> None:
    rows = planted(0.0)
    assert not lead(rows, CHAMPION, CHRONOLOGICAL, "engaged", seed=1).above_zero
    assert not paired_lead(rows, CHAMPION, CHRONOLOGICAL, seed=1).above_zero


def test_a_day_has_a_row_for_each_arm() -> None:
    days = by_day(planted(0.1), seed=1)
    assert [(row.day, row.arm, row.readers, row.sessions) for row in days] == [
        (2, arm, 40, 160) for arm in ARMS
    ]
    assert all(row.engaged.low < row.engaged.value < row.engaged.high for row in days)


def of(over: str, engaged: Figure, expected: Figure, days: tuple[int, ...] = (3, 4)) -> Lead:
    return Lead(over, days, engaged, engaged, engaged, expected)


def test_the_loop_closes_only_if_the_champion_leads_both_by_more_than_chance() -> None:
    assert problem([of(CHRONOLOGICAL, ABOVE, ABOVE), of(FIRST, AROUND, ABOVE)]) is None
    assert problem([]) == "No model was promoted, so that every feed was chronological."
    second = problem([of(CHRONOLOGICAL, ABOVE, ABOVE), of(FIRST, AROUND, AROUND)])
    assert second == "The lead over first (+0.10, -0.10 to +0.30) may be chance."
    logged = problem([of(CHRONOLOGICAL, AROUND, ABOVE), of(FIRST, AROUND, ABOVE)])
    assert logged is not None
    assert "the engagements beyond chronological's" in logged.lower()
    none = problem([of(CHRONOLOGICAL, ABOVE, ABOVE), of(FIRST, AROUND, AROUND, days=())])
    assert none is not None
    assert "No second model" in none
