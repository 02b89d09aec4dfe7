"""The manifests for Kubernetes agree with one another and with the service that they start."""

from pathlib import Path

import pytest

from emotion2vec_edge.engine.cli import cli
from emotion2vec_edge.engine.serve import monitoring
from emotion2vec_edge.engine.serve.security import OPEN_PATHS

ROOT = Path(__file__).resolve().parent.parent
yaml = pytest.importorskip("yaml", reason="SKIPPED LOUDLY: PyYAML is not installed")


@pytest.fixture(scope="module")
def manifests():
    """Documents by their kind."""
    documents = yaml.safe_load_all((ROOT / "docker" / "kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["containers"]
    return container


def options(container):
    """Values of the options by their names; None for a flag."""
    verb, *given = container["args"]
    assert verb == "serve"
    return {name: value or None for name, _, value in (one.partition("=") for one in given)}


def test_the_kinds_that_a_service_needs(manifests):
    assert {kind: document["apiVersion"] for kind, document in manifests.items()} == {
        "PersistentVolumeClaim": "v1",
        "Deployment": "apps/v1",
        "Service": "v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
    }


def test_e2v_takes_the_arguments(container, tmp_path):
    serve = cli.get_command(None, "serve")
    known = {name for parameter in serve.params for name in parameter.opts}
    assert options(container).keys() <= known
    (tmp_path / "token").write_text("0123456789abcdef")
    here = [f"--token-file={tmp_path / 'token'}", f"--spool={tmp_path}"]
    paths = ("--token-file=", "--spool=")
    elsewhere = [one for one in container["args"][1:] if not one.startswith(paths)]
    serve.make_context("serve", [*elsewhere, *here])


def test_probes_ask_routes_that_need_no_token(container):
    from emotion2vec_edge.engine.serve.routes import about

    code = Path(about.__file__).read_text(encoding="utf-8")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == "http"
        assert OPEN_PATHS.fullmatch(asked["path"])
        assert f'@routes.get("{asked["path"]}"' in code


def test_ports_and_labels_meet(manifests, container):
    (port,) = container["ports"]
    assert str(port["containerPort"]) == options(container)["--port"]
    (served,) = manifests["Service"]["spec"]["ports"]
    assert served["targetPort"] == port["name"]
    deployment = manifests["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert manifests["Service"]["spec"]["selector"] == labels
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    target = manifests["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])


def test_volumes_hold_what_the_service_writes(manifests, pod, container):
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    claim = manifests["PersistentVolumeClaim"]["metadata"]["name"]
    image = (ROOT / "docker" / "Dockerfile.cpu").read_text()
    assert mounts["/home/e2v/.cache"]["persistentVolumeClaim"]["claimName"] == claim
    assert "E2V_CACHE=/home/e2v/.cache/" in image
    assert f"--uid {pod['securityContext']['runAsUser']} " in image
    assert options(container)["--spool"] in mounts
    token = Path(options(container)["--token-file"])
    assert mounts[str(token.parent)]["secret"]


def test_processors_and_times_agree(pod, container):
    given = options(container)
    assert container["resources"]["requests"]["cpu"] == given["--threads"]
    assert pod["terminationGracePeriodSeconds"] > float(given["--grace"])


def test_the_autoscaler_reads_a_metric_that_is_there(manifests):
    metrics = {
        metric["type"]: metric for metric in manifests["HorizontalPodAutoscaler"]["spec"]["metrics"]
    }
    assert metrics["Resource"]["resource"]["name"] == "cpu"
    name = metrics["Pods"]["pods"]["metric"]["name"]
    assert f'Gauge("{name}"' in Path(monitoring.__file__).read_text(encoding="utf-8")
