"""The SQL of the ``trends`` job: from tweets to ranked lists of terms per place and window."""

from __future__ import annotations

from dataclasses import dataclass

from ingestion.events import TweetCreated
from ingestion.topics import TWEETS
from pipelines.stream.sql_tables import is_event

WORLD = "world"
TOP = 50
MIN_AUTHORS = 3
MIN_SEEN = 2
MIN_LETTERS = 4
STOP_WORDS = tuple(
    """
    about after again also always another around because been before being better both cant come could
    didn didnt does doesn doing dont down each even ever every from going gonna good have having here
    http https into just know like little look made make many maybe more most much must need never next
    nothing okay only other over people please really right said same says should some someone something
    still such take than thank thanks that their them then there these they thing things think this
    those though through time today told tomorrow tonight under until very want wanna well went were
    what when where which while will with without would yeah year years your youre como cuando donde
    esta este esto estoy hasta mais muito nada para pero porque quando quem quiero sobre soy también
    tengo todo todos voce você avec cette dans elle être nous pour tout tous très vous aber auch dass
    eine einen immer nicht oder sind wenn wird
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class TrendWindow:
    """A hopping window: ``hours`` long, a list every ``slide_minutes``."""

    name: str
    hours: int
    slide_minutes: int

    @property
    def size(self) -> str:
        return f"INTERVAL '{self.hours}' HOUR"

    @property
    def slide(self) -> str:
        return f"INTERVAL '{self.slide_minutes}' MINUTE"


WINDOWS = (TrendWindow("1h", 1, 5), TrendWindow("6h", 6, 30), TrendWindow("24h", 24, 60))


def occurrences(words: bool) -> str:
    """One row per public tweet, term and place it counts for; ``event_time`` is a time attribute.

    Terms are hashtags (``#`` and lower case) and words: runs of at least four letters, lower case,
    outside links, mentions and hashtags, no stop words; without ``words`` hashtags alone.
    """
    posts = f"`{TWEETS.name}` WHERE {is_event(TweetCreated)} AND COALESCE(visibility, 'public') = 'public'"
    tags = "ARRAY_DISTINCT(SPLIT(LOWER(ARRAY_JOIN(hashtags, ' ')), ' '))"
    plain = "REGEXP_REPLACE(LOWER(text), 'https?://\\S+|[@#]\\S+', ' ')"
    letters = f"\\p{{L}}[\\p{{L}}\\p{{M}}]{{{MIN_LETTERS - 1},}}"
    found = f"ARRAY_DISTINCT(REGEXP_EXTRACT_ALL({plain}, '{letters}', 0))"
    stop = ", ".join(f"'{word}'" for word in STOP_WORDS)
    places = f"ARRAY_DISTINCT(ARRAY['{WORLD}', COALESCE(place, '{WORLD}')])"
    terms = f"""
            SELECT '#' || tag AS term, author_id, place, event_time
            FROM (SELECT * FROM {posts}) CROSS JOIN UNNEST({tags}) AS h(tag)
            WHERE tag <> ''"""  # noqa: S608
    if words:
        terms += f"""
            UNION ALL
            SELECT word AS term, author_id, place, event_time
            FROM (SELECT * FROM {posts} AND text IS NOT NULL) CROSS JOIN UNNEST({found}) AS w(word)
            WHERE word NOT IN ({stop})"""  # noqa: S608
    return f"""
        SELECT p.place_name AS place, term, author_id, event_time FROM ({terms}
        ) CROSS JOIN UNNEST({places}) AS p(place_name)"""  # noqa: S608


def counts(window: TrendWindow, occurrences_table: str) -> str:
    """Occurrences and distinct authors per place, term and window; ``closed`` is its last moment.

    A term seen once in a window counts as not seen: most words are, and keeping them for the comparison with
    the next window was most of the job's state.
    """
    return f"""
        SELECT place, term, COUNT(*) AS seen, COUNT(DISTINCT author_id) AS authors, window_time AS closed
        FROM TABLE(HOP(TABLE {occurrences_table}, DESCRIPTOR(event_time), {window.slide}, {window.size}))
        GROUP BY place, term, window_start, window_end, window_time
        HAVING COUNT(*) >= {MIN_SEEN}"""  # noqa: S608


def scored(window: TrendWindow, counts_table: str) -> str:
    """Adds the count in the window before (``expected``) and the burst score to terms with enough authors.

    The condition on the right side, always true, keeps both sides the same so that they share one
    aggregation. score = (seen - expected)^2 / max(expected, 1) for a term that grew, else 0.
    """
    return f"""
        SELECT o.place, o.term, o.seen, o.authors, COALESCE(e.seen, 0) AS expected, o.closed,
            CASE WHEN o.seen > COALESCE(e.seen, 0)
                THEN POWER(CAST(o.seen - COALESCE(e.seen, 0) AS DOUBLE), 2) / GREATEST(COALESCE(e.seen, 0), 1)
                ELSE CAST(0 AS DOUBLE) END AS score
        FROM (SELECT * FROM {counts_table} WHERE authors >= {MIN_AUTHORS}) AS o
        LEFT JOIN (SELECT * FROM {counts_table} WHERE authors > 0) AS e
            ON o.place = e.place AND o.term = e.term
            AND e.closed BETWEEN o.closed - {window.size} AND o.closed - {window.size}"""  # noqa: S608


def lists(window: TrendWindow, scored_table: str) -> str:
    """One row per place and window with trends: ``as_of`` is the window's end in seconds UTC.

    ``items`` are JSON objects, one a line, in no order. (ARRAY_AGG over ROW gives the last row n times in
    Flink 2.3: the local aggregation keeps references to a row object that is reused.)
    """
    end = "UNIX_TIMESTAMP(DATE_FORMAT(window_end, 'yyyy-MM-dd HH:mm:ss'))"
    return f"""
        SELECT place, '{window.name}' AS `window`, {end} AS as_of,
            ARRAY_JOIN(ARRAY_AGG(item), CHR(10)) AS items
        FROM (SELECT *, JSON_OBJECT(
            'term' VALUE term, 'rank' VALUE `rank`, 'count' VALUE seen, 'authors' VALUE authors,
            'expected' VALUE expected, 'score' VALUE score) AS item
        FROM (
            SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, place
                ORDER BY score DESC, seen DESC, term) AS `rank`
            FROM TABLE(TUMBLE(TABLE {scored_table}, DESCRIPTOR(closed), {window.slide}))
        ) WHERE `rank` <= {TOP})
        GROUP BY window_start, window_end, place"""  # noqa: S608


def rows(lists_table: str) -> str:
    """One row per list and term, for analysts: the columns of the Parquet files, ``day`` last."""
    end = "TO_TIMESTAMP_LTZ(as_of, 0)"
    return f"""
        SELECT place, `window`, {end} AS as_of, JSON_VALUE(item, '$.term') AS term,
            CAST(JSON_VALUE(item, '$.rank') AS BIGINT) AS `rank`,
            CAST(JSON_VALUE(item, '$.count') AS BIGINT) AS `count`,
            CAST(JSON_VALUE(item, '$.authors') AS BIGINT) AS authors,
            CAST(JSON_VALUE(item, '$.expected') AS BIGINT) AS expected,
            CAST(JSON_VALUE(item, '$.score') AS DOUBLE) AS score,
            DATE_FORMAT({end}, 'yyyy-MM-dd') AS `day`
        FROM {lists_table} CROSS JOIN UNNEST(SPLIT(items, CHR(10))) AS i(item)"""  # noqa: S608
