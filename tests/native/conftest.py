"""One stack for all tests of the native servers."""

from __future__ import annotations

from collections.abc import Iterator

import minio
import pytest

from infra.native.catalogue import SERVERS
from infra.native.stack import NativeStack
from tests.native.probes import s3_client
from tests.native.running import CACHE, Running, quiet


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp("native")
    stack = NativeStack(data_dir, CACHE, ports="free")
    try:
        yield Running(stack, data_dir, stack.up(SERVERS, quiet))
    finally:
        stack.down()


@pytest.fixture(scope="package")
def s3(running: Running) -> minio.Minio:
    return s3_client(running)
