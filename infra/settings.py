"""Every setting of StreamHub: environment variables with the prefix ``STREAMHUB_``.

A server whose URL is given is used; one that is not is started natively, with data and generated
secrets under ``data_dir``. Outside native mode every secret must be set.
"""

from __future__ import annotations

from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

#: Shortest secret that is accepted, in characters (SH-153).
MIN_SECRET_CHARACTERS = 32


class Settings(BaseSettings):
    """The one settings class."""

    model_config = SettingsConfigDict(env_prefix="STREAMHUB_", frozen=True, extra="ignore")

    environment: Literal["development", "staging", "production"] = "development"
    data_dir: Path = Field(Path(".streamhub"), description="Data of native servers, logs, secrets")
    cache_dir: Path = Field(
        Path("~/.cache/streamhub"), description="Fetched server files and prepared models"
    )
    native_ports: Literal["standard", "free"] = Field(
        "standard", description="Whether native servers prefer their well-known ports"
    )

    kafka_bootstrap: str = Field("", description="host:port of Kafka brokers, comma separated")
    postgres_url: SecretStr = Field(SecretStr(""), description="postgresql://…")
    redis_url: SecretStr = Field(SecretStr(""), description="redis://…")
    clickhouse_url: SecretStr = Field(SecretStr(""), description="http://user:password@host:port")
    opensearch_url: SecretStr = Field(SecretStr(""), description="http://user:password@host:port")
    s3_url: SecretStr = Field(SecretStr(""), description="http://key:secret@host:port/bucket")
    s3_public_url: str = Field("", description="Origin that clients reach object storage by")
    namespace: str = Field("", description="Prefix of databases, keys and indexes in the stores")

    jwt_secret: SecretStr = Field(SecretStr(""), description="Signs access and refresh tokens")
    master_key: SecretStr = Field(SecretStr(""), description="Wraps the keys of personal data")
    master_key_old: SecretStr = Field(
        SecretStr(""), description="The master key before the present one, during a rotation"
    )
    access_token_seconds: int = Field(900, gt=0)
    session_seconds: int = Field(86_400, gt=0, description="Life of a session (SH-133)")
    bcrypt_cost: int = Field(12, ge=4, le=16)

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = Field("", description="Origin under which clients reach this API")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("http://localhost:3000",), description="Origins of web clients, comma separated"
    )
    rate_limit_exempt: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="CIDR list of addresses that no rate limit holds for"
    )
    max_body_bytes: int = Field(1_048_576, gt=0)
    command_timeout_seconds: float = Field(10.0, gt=0)
    consistency_timeout_seconds: float = Field(2.0, gt=0)

    partitions: int = Field(4, gt=0, description="Partitions of each domain's topics")
    replication: int = Field(1, gt=0)
    min_insync_replicas: int = Field(1, gt=0)
    worker_slot: str = Field("0", description="Names this command worker; unique among those alive")
    dead_letter_cap: float = Field(
        0.1, gt=0, le=1, description="Share of dead letters that stops a projection"
    )

    upload_url_seconds: int = Field(3600, gt=0)
    max_upload_bytes: int = Field(5 * 1024**3, gt=0)
    stream_url_seconds: int = Field(4 * 3600, gt=0)
    transcode_concurrency: int = Field(2, ge=1, le=5)
    transcode_preset: str = "veryfast"
    image_model: Path = Field(Path(), description="ONNX image model; empty: the prepared default")
    text_model: Path = Field(Path(), description="Text model; empty: the prepared default")
    nsfw_review_threshold: float = Field(0.7, ge=0, le=1)
    nsfw_block_threshold: float = Field(0.9, ge=0, le=1)
    toxicity_threshold: float = Field(0.8, ge=0, le=1)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_port: int = Field(0, ge=0, description="Port of a worker's /metrics; 0 for none")
    stall_seconds: float = Field(
        60.0,
        gt=0,
        description="How long a partition may grow and not move, or a process hang",
    )

    @field_validator("cors_origins", "rate_limit_exempt", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("rate_limit_exempt")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)
        return value

    @field_validator("data_dir", "cache_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _secrets_outside_native_mode(self) -> Settings:
        if self.is_native:
            return self
        for name in ("jwt_secret", "master_key"):
            if len(getattr(self, name).get_secret_value()) < MIN_SECRET_CHARACTERS:
                raise ValueError(
                    f"STREAMHUB_{name.upper()} needs {MIN_SECRET_CHARACTERS} characters at least"
                )
        return self

    @cached_property
    def is_native(self) -> bool:
        """Whether any server is ours to start; only then may secrets be generated."""
        urls = (
            self.kafka_bootstrap,
            *(
                secret.get_secret_value()
                for secret in (
                    self.postgres_url,
                    self.redis_url,
                    self.clickhouse_url,
                    self.opensearch_url,
                    self.s3_url,
                )
            ),
        )
        return not all(urls)
