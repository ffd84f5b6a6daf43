"""Where settings come from, and the settings of what ingestion owns.

Each process composes its own class from sections: ``class ServingSettings(TidelineSettings)`` and so on.
Sources, strongest first: arguments, environment (``TIDELINE_KAFKA__BOOTSTRAP=...``), ``tideline.toml`` in
the working folder, the addresses that ``tideline up`` wrote to ``.tideline/addresses.toml``, defaults.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from timelines.settings import Projections

CONFIG_FILE = Path("tideline.toml")
ADDRESSES_FILE = "addresses.toml"


class Section(BaseModel):
    """One table of the TOML file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    bootstrap: str = "127.0.0.1:9092"


class SecuritySettings(Section):
    """Tokens are EdDSA-signed JWTs; ``dev_login`` lets anyone sign in as anyone (the demo only).

    ``service_keys``: the file with the key of each service that may call for others, at least 32 bytes;
    ``service_skew_seconds``: how far the clock of a service may be from ours.
    """

    private_key: Path = Path(".tideline/keys/token.pem")
    public_key: Path = Path(".tideline/keys/token.pub.pem")
    issuer: str = "tideline"
    audience: str = "tideline"
    token_seconds: int = 3600
    dev_login: bool = False
    service_keys: dict[str, Path] = Field(default_factory=dict)
    service_skew_seconds: int = Field(default=60, ge=1)


class LakeSettings(Section):
    """``path``/<event type>/day=YYYY-MM-DD/*.parquet, UTC days of event time."""

    path: Path = Path(".tideline/lake")


class TidelineSettings(BaseSettings):
    """Base of every process's settings: ``namespace`` prefixes topics, keys and tables."""

    model_config = SettingsConfigDict(
        env_prefix="TIDELINE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    home: Path = Path(".tideline")
    namespace: str = ""
    projections: Projections = Field(default_factory=Projections)
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    lake: LakeSettings = Field(default_factory=LakeSettings)
    security: SecuritySettings = Field(default_factory=SecuritySettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        home = Path(os.environ.get("TIDELINE_HOME", ".tideline"))
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, CONFIG_FILE),
            TomlConfigSettingsSource(settings_cls, home / ADDRESSES_FILE),
        )
