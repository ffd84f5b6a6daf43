"""Candidates by the reader's own taste: what accounts that like the same like now, and what is popular on the
topics of what the reader likes, retweets and opens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from serving.cache import Cache
from serving.feed.candidates import SIMILAR, Candidates
from serving.feed.out_of_network import EVERYBODY, likers, most_liked, table
from serving.feed.query import FeedQuery
from serving.reads import Reads
from timelines.bodies import TweetBody
from timelines.topics import NO_TOPIC, topics_of_hashtags

ByTopic = Mapping[int, Sequence[TweetBody]]


@dataclass(frozen=True)
class Similar:
    """``liked`` tweets by accounts with the reader's taste, then ``about`` of the reader's topics.

    The topics count what the reader has just done: see ``timelines.interests``. Accounts that the reader
    follows are asked by ``two_hop``. What the reader likes or opened already is left out.
    """

    reads: Reads = field(repr=False)
    popular: Cache[str, ByTopic] = field(repr=False)
    likes_each: int = 10
    liked: int = 40
    about: int = 30
    about_each: int = 6
    name: str = "similar"

    async def fetch(self, query: FeedQuery) -> Candidates:
        interests, followed = query.interests, {*query.followees.tolist(), query.reader}
        done = {act.tweet for act in interests.acts}
        asked = [user for user in interests.similar if user not in followed and user not in query.hidden]
        by_tweet = likers(asked, await self.reads.newest_likes(asked, self.likes_each))
        best = [tweet for tweet in most_liked(by_tweet) if tweet not in done][: self.liked]
        wanted = [*best, *(act.tweet for act in interests.since)]
        bodies = await self.reads.bodies(wanted) if wanted else []
        topics = interests.favourites(
            {body.tweet_id: topics_of_hashtags(body.hashtags) for body in bodies if body is not None}
        )
        popular = (await self.popular.get([EVERYBODY])).get(EVERYBODY, {}) if topics else {}
        about = islice(self._about(topics, popular, followed | query.hidden, done), self.about)
        found = {
            body.tweet_id: body
            for body in (*bodies[: len(best)], *about)
            if body is not None and body.author_id not in followed
        }
        return table(list(found.values()), SIMILAR)

    def _about(
        self, topics: Sequence[int], popular: ByTopic, without: set[int], done: set[int]
    ) -> Iterator[TweetBody]:
        """Of each topic its ``about_each`` most popular tweets, the reader's favourite topic first."""
        for topic in topics:
            fitting = (
                body
                for body in popular.get(topic, ())
                if body.author_id not in without and body.tweet_id not in done
            )
            yield from islice(fitting, self.about_each)


def by_topic(bodies: Sequence[TweetBody]) -> ByTopic:
    """The tweets of each topic, in their order."""
    found: dict[int, list[TweetBody]] = {}
    for body in bodies:
        for topic in set(topics_of_hashtags(body.hashtags)) - {NO_TOPIC}:
            found.setdefault(topic, []).append(body)
    return found
