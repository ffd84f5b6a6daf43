"""The stream jobs and the topics each of them reads."""

from __future__ import annotations

from ingestion.topics import (
    ENGAGEMENTS,
    EVENT_TOPICS,
    FOLLOWS,
    IMPRESSIONS,
    MARKS,
    REPORTS,
    RESTRICTIONS,
    SETTINGS,
    TWEETS,
    USERS,
    Topic,
)

JOB_TOPICS: dict[str, tuple[Topic, ...]] = {
    "timelines": (USERS, FOLLOWS, TWEETS, SETTINGS),
    "content": (USERS, RESTRICTIONS, TWEETS, ENGAGEMENTS),
    "records": (USERS, FOLLOWS, TWEETS, ENGAGEMENTS),
    "engagement": (FOLLOWS, TWEETS, ENGAGEMENTS, IMPRESSIONS, REPORTS),
    "safety": (USERS, FOLLOWS, TWEETS, ENGAGEMENTS),
    "trends": (TWEETS, MARKS),
    "archive": EVENT_TOPICS,
}

DECODING = ("timelines", "content", "records")
"""Jobs that decode every record in Python, and write a dead letter for each that is no event."""

UNDECODED = tuple(
    topic for topic in (*EVENT_TOPICS, MARKS) if not any(topic in JOB_TOPICS[job] for job in DECODING)
)
"""Topics that no such job reads: ``archive`` writes their dead letters."""

ON_REQUEST = ("safety",)
"""Jobs that start only when they are named: with this one too, a million events filled the heap."""

USUAL_JOBS = tuple(job for job in JOB_TOPICS if job not in ON_REQUEST)
"""What starts without being named."""
