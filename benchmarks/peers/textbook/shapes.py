"""What the textbook feed stores and answers: pydantic models throughout."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class Account(BaseModel):
    """Stored as JSON under ``account:{id}``."""

    id: str
    handle: str
    display_name: str
    created_at: datetime
    place: str | None = None


class Tweet(BaseModel):
    """Stored as JSON under ``tweet:{id}``."""

    id: str
    author_id: int
    text: str | None
    created_at: datetime
    lang: str | None = None
    place: str | None = None
    visibility: str = "public"
    in_reply_to: str | None = None
    quote_of: str | None = None
    hashtags: list[str] = []
    mentions: list[str] = []
    media: list[str] = []
    deleted: bool = False


class Candidate(BaseModel):
    """A tweet on its way into a page: ``appearance`` is the tweet's id, or that of the retweet."""

    appearance: int
    author: int
    original: int
    original_author: int
    source: str
    retweeters: list[int] = []
    tweet: Tweet | None = None
    score: float | None = None

    @property
    def is_retweet(self) -> bool:
        return self.appearance != self.original


class AccountCounts(BaseModel):
    followers: int = 0
    following: int = 0
    tweets: int = 0


class AccountViewer(BaseModel):
    follows: bool
    followed_by: bool
    muted: bool
    blocked: bool


class User(Account):
    counts: AccountCounts
    viewer: AccountViewer


class TweetCounts(BaseModel):
    likes: int = 0
    retweets: int = 0
    replies: int = 0
    quotes: int = 0


class TweetViewer(BaseModel):
    liked: bool
    retweeted: bool


class ShownTweet(BaseModel):
    id: str
    author: User
    text: str | None
    created_at: datetime
    lang: str | None
    place: str | None
    visibility: str
    in_reply_to: str | None
    quote_of: str | None
    hashtags: list[str]
    mentions: list[str]
    media: list[str]
    counts: TweetCounts
    viewer: TweetViewer
    retweeted_by: list[User]


class FeedItem(BaseModel):
    tweet: ShownTweet
    appearance_id: str
    position: int
    source: str
    score: float | None
    reason: str


class Ranking(BaseModel):
    model: str
    candidates: int


class FeedPage(BaseModel):
    request_id: str
    items: list[FeedItem] = Field(max_length=100)
    ranking: Ranking
    as_of: datetime
