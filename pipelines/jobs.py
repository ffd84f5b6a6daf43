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

ON_REQUEST = ("safety",)
"""Jobs that start only when they are named: with this one too, a million events filled the heap."""

USUAL_JOBS = tuple(job for job in JOB_TOPICS if job not in ON_REQUEST)
"""What starts without being named."""
