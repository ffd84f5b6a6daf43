"""The stream jobs: what each is called, and the topics it reads."""

from __future__ import annotations

from collections.abc import Sequence

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
    "content": (USERS, RESTRICTIONS, TWEETS, ENGAGEMENTS, MARKS, REPORTS),
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

FILLED_FROM_LAKE = ("timelines", "content", "engagement")
"""Jobs to which the order of events is nothing, so that a replay may give them old ones beside the log."""


def owner(namespace: str, projection: str = "") -> str:
    """Whose a job is: the first part of its name, and the folder of its checkpoints."""
    return projection or namespace or "main"


def job_title(job: str, namespace: str, projection: str = "") -> str:
    """The name under which the cluster lists a job; also its consumer group."""
    return f"{owner(namespace, projection)}-{job}"


def topic_names(
    job: str, namespace: str, projection: str = "", topics: Sequence[Topic] | None = None
) -> list[str]:
    """The names on the broker of what a job reads, or of these of its topics.

    What the log has deleted stands for a named projection on topics of its own.
    """
    read = JOB_TOPICS[job] if topics is None else topics
    names = [topic.full_name(namespace) for topic in read]
    if projection and job in FILLED_FROM_LAKE:
        names += [topic.full_name(projection) for topic in read if not topic.compacted]
    return names
