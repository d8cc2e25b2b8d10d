"""An S3 server over a folder: S3Proxy."""

from __future__ import annotations

import json
import secrets

from infra.native.jar_sets import fetch_jars
from infra.native.java import SIMPLE_COMPILER, java_argv, java_environment, write_properties
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.supervisor.spec import Check, ProcessSpec

PORT = 9000
BUCKET = "streamhub"
MAIN = "org.gaul.s3proxy.Main"

LOG_SETTINGS = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5level %logger{1} %msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="console"/></root>
</configuration>
"""


def prepare_s3(place: Place) -> PreparedServer:
    """Fetch and configure the server; its keys are made once and kept in the data folder."""
    class_path = fetch_jars("s3", place.cache_dir, place.progress)
    port = place.port("", PORT)
    access, secret = _credentials(place)
    data = place.folder / "data"
    # A bucket is a folder; one that others may read would be a public bucket.
    bucket = data / BUCKET
    bucket.mkdir(parents=True, exist_ok=True)
    bucket.chmod(0o700)
    config = place.folder / "s3proxy.properties"
    config.touch(mode=0o600)
    write_properties(
        config,
        {
            "s3proxy.endpoint": f"http://{HOST}:{port}",
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": access,
            "s3proxy.credential": secret,
            "s3proxy.cors-allow-all": "true",
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": str(data),
        },
    )
    logging = place.folder / "logback.xml"
    logging.write_text(LOG_SETTINGS)
    flags = (*SIMPLE_COMPILER, f"-Dlogback.configurationFile={logging}")
    spec = ProcessSpec(
        name="s3",
        argv=java_argv(place, class_path, flags, (MAIN, "--properties", str(config))),
        log_file=place.log_file,
        env=java_environment(class_path),
        cwd=place.folder,
        ready_check=Check(
            "s3", HOST, port, {"bucket": BUCKET, "access_key": access, "secret_key": secret}
        ),
    )
    return PreparedServer(f"http://{access}:{secret}@{HOST}:{port}/{BUCKET}", spec)


def _credentials(place: Place) -> tuple[str, str]:
    """Return the access and the secret key. Both are plain letters, so that they fit in a URL."""
    path = place.folder / "credentials.json"
    if not path.exists():
        path.touch(mode=0o600)
        keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
        path.write_text(json.dumps(keys) + "\n")
    stored: dict[str, str] = json.loads(path.read_text())
    return stored["access_key"], stored["secret_key"]
