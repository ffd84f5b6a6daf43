"""What requests and answers of the write API look like."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ingestion.text import TEXT_LIMIT

LARGEST_ID = (1 << 63) - 1
LARGEST_USER = (1 << 56) - 1


def _decimal(value: object) -> int:
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19):
        raise ValueError("An id is a string of decimal digits.")
    if not 0 < int(value) <= LARGEST_ID:
        raise ValueError("An id lies between 1 and 2^63 - 1.")
    return int(value)


def _user(value: int) -> int:
    if value > LARGEST_USER:
        raise ValueError("A user's id lies below 2^56.")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("The text is empty.")
    return value


def _trimmed(value: str) -> str:
    if "\0" in value:  # PostgreSQL keeps none
        raise ValueError("A word does not hold U+0000.")
    return _not_blank(value).strip()


TweetId = Annotated[
    int, BeforeValidator(_decimal), WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,19}$"})
]
UserId = Annotated[TweetId, AfterValidator(_user)]


MutedWord = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_trimmed)]


class Request(BaseModel):
    """A request body: fields that are not listed are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NewTweet(Request):
    text: Annotated[str, Field(max_length=TEXT_LIMIT), AfterValidator(_not_blank)]
    in_reply_to: TweetId | None = None
    quote_of: TweetId | None = None
    visibility: Literal["public", "followers"] = "public"
    place: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    media: Annotated[list[AnyHttpUrl], Field(max_length=4)] = []


class PostedTweet(BaseModel):
    id: str
    created_at: str
    fan_out_status: Literal["queued"] = "queued"


class MutedWords(Request):
    words: Annotated[list[MutedWord], Field(max_length=200)]


class Report(Request):
    """One thing a client saw or did."""

    feed_request_id: Annotated[str, Field(min_length=1, max_length=100)]
    tweet_id: TweetId
    position: Annotated[int, Field(ge=0, le=100_000)]
    event: Literal["shown", "open", "dwell", "hide", "report"]
    ms: Annotated[int, Field(ge=0, le=24 * 3600 * 1000)] | None = None


class Reports(Request):
    items: Annotated[list[Report], Field(min_length=1, max_length=500)]


class DevelopmentLogin(Request):
    user_id: UserId


class AccessToken(BaseModel):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the type of a token is no secret
    expires_in: int


def rfc3339(ms: int) -> str:
    """A moment in milliseconds UTC as RFC 3339 with milliseconds."""
    moment = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
