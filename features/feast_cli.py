"""What ``feast -c features apply`` loads: the repo's objects as module-level names.

Feast's own commands look nowhere else, so this is the one module that reads settings on import; nobody
imports it. ``features/.feastignore`` keeps Feast from loading the other modules a second time.
"""

from __future__ import annotations

from features.feature_views import feature_objects
from features.settings import FeatureStoreSettings
from features.store import offline_folder

globals().update({item.name: item for item in feature_objects(offline_folder(FeatureStoreSettings()))})
