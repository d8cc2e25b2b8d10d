"""OpenSearch: one node, started as a plain Java program."""

from __future__ import annotations

import re

from infra.native.commands import PreparationError, run
from infra.native.jar_sets import fetch_jars
from infra.native.java import SIMPLE_COMPILER, java_argv, java_environment
from infra.native.place import Place, PreparedServer
from infra.native.ports import HOST
from infra.supervisor.spec import Check, ProcessSpec

HTTP_PORT = 9200
TRANSPORT_PORT = 9300
# The runner takes no port above 9299 for HTTP.
RUNNER_PORTS = range(8300, 9300)
MAIN = "org.codelibs.opensearch.runner.OpenSearchRunner"
FLAGS = ("-Djava.awt.headless=true", "-Djava.locale.providers=CLDR,SPI")
EXPLAIN_TIMEOUT_S = 30.0
EXPLAIN_ERRORS_MAX = 8

LOG_SETTINGS = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


def prepare_opensearch(place: Place) -> PreparedServer:
    """Fetch and configure a node that needs nobody else to be complete."""
    class_path = fetch_jars("opensearch", place.cache_dir, place.progress)
    http = place.port("", HTTP_PORT, RUNNER_PORTS)
    transport = place.port("transport", TRANSPORT_PORT)
    config = place.folder / "config"
    config.mkdir(exist_ok=True)
    logging = config / "log4j2.properties"
    logging.write_text(LOG_SETTINGS)
    (config / "opensearch.yml").write_text(_settings(transport))
    flags = (*SIMPLE_COMPILER, f"-Dlog4j2.configurationFile={logging}", *FLAGS)
    check = {"path": "/_cluster/health", "expect": '"timed_out":false'}
    spec = ProcessSpec(
        name="opensearch",
        argv=java_argv(place, class_path, flags, (MAIN, *_arguments(place, http))),
        log_file=place.log_file,
        env=java_environment(class_path),
        cwd=place.folder,
        ready_check=Check("http", HOST, http, check),
        stop_timeout_s=20.0,
    )
    return PreparedServer(f"http://{HOST}:{http}", spec, explain=lambda: _explain(spec))


def _arguments(place: Place, http: int) -> list[str]:
    # The runner adds the number of the node, 1, to the base port.
    arguments = {
        "-basePath": str(place.folder),
        "-confPath": str(place.folder / "config"),
        "-dataPath": str(place.folder / "data"),
        "-logsPath": str(place.folder / "logs"),
        "-clusterName": "streamhub",
        "-numOfNode": "1",
        "-baseHttpPort": str(http - 1),
    }
    return [word for pair in arguments.items() for word in pair]


def _settings(transport: int) -> str:
    return f"""\
discovery.type: single-node
network.host: {HOST}
transport.port: {transport}
# A mistyped index name is an error, not a new index.
action.auto_create_index: false
# On a disk that is almost full the default would make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""


def _explain(spec: ProcessSpec) -> str:
    """Return the errors of one more start: the runner ends without a word about why."""
    traced = (spec.argv[0], "-Xlog:exceptions=info", *spec.argv[1:])
    try:
        run(traced, spec.log_file.parent, spec.env, timeout_s=EXPLAIN_TIMEOUT_S)
    except PreparationError as error:
        thrown = re.findall(r"Exception <a '([\w/$]+)'\{\w+\}: (.+)>", str(error))
        lines = [f"{name.replace('/', '.')}: {message}" for name, message in thrown]
        ours = [line for line in lines if "ClassNotFound" not in line and "args4j" not in line]
        return "\n".join(list(dict.fromkeys(ours))[-EXPLAIN_ERRORS_MAX:])
    return ""
