"""The feed page in headless Chromium, against both APIs on a real Valkey with a small seeded world.

The log is in memory here: what the stream jobs would do with a write, the tests do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
import uvicorn

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from ingestion.api.settings import WriteSettings
from ingestion.publisher import MemoryPublisher
from ingestion.settings import SecuritySettings
from ingestion.snowflake import snowflake
from serving.model_store import LAST_GOOD_FILE
from serving.settings import ServingSection, ServingSettings
from stack.asgi import build
from timelines import commands, entry
from timelines.bodies import TweetBody, TweetCounts
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.settings import MlflowSettings

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


@dataclass
class Demo:
    """A running app; ``world`` as seeded."""

    url: str
    world: World
    client: Any
    settings: ServingSettings

    @property
    def keys(self) -> Keyspace:
        return Keyspace(self.settings.namespace, self.settings.redis.partitions)

    def publish(self, text: str) -> int:
        """A new tweet of a followee, as the stream jobs would put it into the store."""
        author, reader = self.world.authors[-1], self.world.readers[0]
        now = time.time_ns() // 1_000_000
        tweet_id = snowflake(now, 3)
        entries = entry.entry(tweet_id, author, tweet_id, author)
        pipe = self.client.pipeline(transaction=False)
        commands.put_body(pipe, self.keys, TweetBody(tweet_id, author, text, now))
        commands.append_outbox(pipe, self.keys, self.settings.timelines, entries)
        commands.deliver(pipe, self.keys, self.settings.timelines, np.array([reader]), entries)
        pipe.execute()
        return tweet_id


@pytest.fixture(scope="module")
def demo(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    yield from running(valkey, tmp_path_factory.mktemp("demo"), dev_login=True)


@pytest.fixture(scope="module")
def closed(valkey: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The same without the development login."""
    yield from running(valkey, tmp_path_factory.mktemp("closed"), dev_login=False)


def running(valkey: str, home: Path, dev_login: bool) -> Iterator[Demo]:
    common: dict[str, Any] = {
        "home": home,
        "namespace": home.name,
        "redis": RedisSettings(url=valkey),
        "security": SecuritySettings(
            private_key=home / "token.pem", public_key=home / "token.pub.pem", dev_login=dev_login
        ),
    }
    settings = ServingSettings(
        **common,
        mlflow=MlflowSettings(tracking_uri="http://127.0.0.1:1"),
        serving=ServingSection(cursor_key=home / "cursor.key", deadline_ms=60_000),
    )
    client = redis.Redis.from_url(valkey)
    world = seed(
        client,
        Keyspace(settings.namespace, settings.redis.partitions),
        settings.timelines,
        time.time_ns() // 1_000_000,
        readers=3,
        authors=12,
        tweets=120,
    )
    folder = home / "serving" / "model" / settings.namespace
    folder.mkdir(parents=True)
    write_model(folder / "demo-1", trees=20, leaves=7)
    (folder / LAST_GOOD_FILE).write_text("demo-1\ndemo-ranker@1\n")
    app = build(WriteSettings(**common), settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started or app.state.serving.models.current is None:
        assert time.monotonic() < deadline, "The app did not start."
        time.sleep(0.05)
    app.state.writes = dataclasses.replace(app.state.writes, publisher=MemoryPublisher())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Demo(f"http://127.0.0.1:{port}", world, client, settings)
    finally:
        server.should_exit = True
        thread.join(timeout=30)


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
    page.locator("#ranked .why summary").first.click()
    why = page.locator("#ranked .why").first.inner_text()
    assert "engaged" in why
    assert "Strongest features" in why
    page.locator("#ranked .flow summary").click()
    assert "home timeline" in page.locator("#ranked .flow table").inner_text()


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
