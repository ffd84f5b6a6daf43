"""The feed page in headless Chromium, against both APIs on a real Valkey with a small seeded world.

The log is in memory here: what the stream jobs would do with a write, the tests do.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from page_demo import Demo, running

from ingestion.snowflake import snowflake
from timelines import commands
from timelines.bodies import TweetBody, TweetCounts

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000

pytestmark = [
    pytest.mark.valkey,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)."),
]


@pytest.fixture(scope="module")
def demo(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    yield from running(valkey, tmp_path_factory.mktemp("demo"), dev_login=True)


@pytest.fixture(scope="module")
def modelless(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The same without a model to rank with."""
    yield from running(valkey, tmp_path_factory.mktemp("modelless"), dev_login=True, model=False)


@pytest.fixture(scope="module")
def closed(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The same without the development login."""
    yield from running(valkey, tmp_path_factory.mktemp("closed"), dev_login=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()
    # Playwright's sync driver leaves its loop set in this thread, which later tests' asyncio.run would meet.
    asyncio.set_event_loop(None)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh page; an error in its script or a refusal by its policy fails the test."""
    opened = browser.new_page(viewport={"width": 1360, "height": 900})
    opened.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
    yield opened
    opened.close()
    assert errors == []


def sign_in(page: Any, demo: Demo) -> None:
    page.goto(demo.url)
    page.locator("#user-id").fill(str(demo.world.readers[0]))
    page.get_by_role("button", name="Sign in").click()
    page.locator("#ranked .item").first.wait_for()
    page.locator("#chronological .item").first.wait_for()


def ids(page: Any, column: str) -> list[str]:
    found: list[str] = page.locator(f"#{column} .item").evaluate_all(
        "nodes => nodes.map(n => n.dataset.tweet)"
    )
    return found


def test_both_feeds_stand_side_by_side_with_their_rung_and_model(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    assert page.locator("#ranked .rung").inner_text() == "full"
    assert "demo-ranker@1" in page.locator("#ranked [data-role=facts]").inner_text()
    assert page.locator("#chronological .rung").inner_text() == "chronological"
    assert len(ids(page, "ranked")) == len(ids(page, "chronological")) == 20
    assert ids(page, "ranked") != ids(page, "chronological")
    if folder := os.environ.get("TIDELINE_SCREENSHOTS"):
        page.locator("#ranked .why summary").first.click()
        page.locator(".trends li").first.wait_for()
        page.screenshot(path=f"{folder}/feed.png")


def test_anyone_offered_can_be_signed_in_as(page: Any, demo: Demo) -> None:
    page.goto(demo.url)
    page.locator(".person").first.click()
    page.locator("#ranked .item").first.wait_for()
    assert page.locator("#who-name").inner_text() != ""


def test_a_ranked_tweet_says_why_it_stands_where_it_does(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    why = page.locator("#ranked .why").first
    assert not why.locator(".term").first.is_visible()
    why.locator("summary").press("Enter")
    said = why.inner_text()
    assert re.search(r"liked [\d.]+ % × 0\.5", said)
    assert "By time it would be #" in said
    assert "The chance that it stands here was" in said
    assert "Strongest features" in said
    model, *multipliers, score = [
        float(figure) for figure in re.findall(r"\d+\.\d+", why.locator(".product").inner_text())
    ]
    assert len(multipliers) == 3
    assert score == pytest.approx(model * math.prod(multipliers), abs=0.005)


def test_a_column_says_what_its_filters_removed(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.locator("#ranked .flow summary").click()
    removed = page.get_by_role("table", name="Removed by the filters")
    assert int(removed.get_by_role("row", name="duplicates").get_by_role("cell").inner_text()) > 0
    stages = page.get_by_role("table", name="Stages")
    assert "home timeline" in stages.inner_text()
    assert "policy default-1: at most 30 %" in page.locator("#ranked .flow").inner_text()


def test_a_tweet_of_a_stranger_says_who_of_those_followed_likes_it(page: Any, demo: Demo) -> None:
    stranger, now = 77_777, time.time_ns() // 1_000_000
    tweet_id = snowflake(now, 4)
    pipe = demo.client.pipeline(transaction=False)
    commands.put_body(pipe, demo.keys, TweetBody(tweet_id, stranger, "From further away", now))
    for author in demo.world.authors:
        commands.set_like(pipe, demo.keys, author, tweet_id, now, active=True)
    pipe.execute()
    sign_in(page, demo)
    origin = page.locator(f"#ranked .item[data-tweet='{tweet_id}'] .origin")
    while not origin.count():
        page.locator("#ranked .more").click()
    assert "liked by followees" in origin.inner_text()
    assert re.search(r"Liked by \w+ Writer \d+ and \d+ more whom you follow", origin.inner_text())


def test_an_answer_that_could_not_be_ranked_says_why(page: Any, modelless: Demo) -> None:
    sign_in(page, modelless)
    rung = page.locator("#ranked .rung")
    assert (rung.inner_text(), rung.get_attribute("data-state")) == ("chronological", "fallback")
    assert "Newest first: no model is loaded yet" in page.locator("#ranked [data-role=facts]").inner_text()
    assert ids(page, "ranked") == ids(page, "chronological")
    assert page.locator("#ranked .why").count() == 0
    page.locator("#ranked .origin", has_text="From an account you follow").first.wait_for()


def test_more_of_a_feed_follows_without_repeating_anything(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    for column in ("ranked", "chronological"):
        page.locator(f"#{column} .more").click()
        page.locator(f"#{column} .item").nth(39).wait_for()
        shown = ids(page, column)
        assert len(shown) == len(set(shown)) == 40


def test_trends_are_listed(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.locator(".trends li").first.wait_for()
    assert "#harbour" in page.locator(".trends").inner_text()


def test_a_new_tweet_is_announced_and_shown_on_demand(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    tweet_id = demo.publish("Fresh from the harbour")
    page.locator("#fresh:not([hidden])").click()
    page.locator(f"#chronological .item[data-tweet='{tweet_id}']").wait_for()
    assert ids(page, "chronological")[0] == str(tweet_id)


def test_changed_counts_show_without_a_reload(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    tweet_id = ids(page, "chronological")[3]
    pipe = demo.client.pipeline(transaction=False)
    now = time.time_ns() // 1_000_000
    commands.set_tweet_counts(pipe, demo.keys, int(tweet_id), TweetCounts(741, 52, 3, 0), now)
    pipe.execute()
    item = page.locator(f"#chronological .item[data-tweet='{tweet_id}']")
    item.locator("[data-like]", has_text="741").wait_for()
    assert "52 retweets" in item.inner_text()


def test_a_like_is_shown_in_both_columns_and_kept(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    tweet_id = ids(page, "chronological")[0]
    page.locator(f"#chronological [data-like='{tweet_id}']").click()
    page.locator(f"#chronological [data-like='{tweet_id}'][aria-pressed=true]").wait_for()
    page.reload()
    page.locator(f"#chronological [data-like='{tweet_id}'][aria-pressed=true]").wait_for()


def test_what_one_posts_stands_in_ones_own_feed_at_once(page: Any, demo: Demo) -> None:
    sign_in(page, demo)
    page.locator("#text").fill("Posted from the page <b>& more</b>")
    page.get_by_role("button", name="Post").click()
    mine = page.locator("#chronological .item", has_text="Posted from the page <b>& more</b>")
    mine.first.wait_for()
    assert mine.locator("b").count() == 0


def test_without_the_development_login_the_page_says_so(page: Any, closed: Demo) -> None:
    page.goto(closed.url)
    page.get_by_text("This service has no development login").wait_for()
    assert page.locator("#sign-in-form").is_hidden()
