"""How long after it was shown what a reader does with an item is credited to that showing."""

ATTRIBUTION_MS = 24 * 3600 * 1000
