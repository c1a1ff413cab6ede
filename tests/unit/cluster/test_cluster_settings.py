"""One file fills in a fork: what it may say, and what becomes of it in the manifests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from cluster import configure
from cluster.errors import SettingsError
from cluster.settings import PARTS, ROOT, load
from tests.unit.cluster.conftest import ORIGINAL


def test_the_manifests_in_git_say_what_the_settings_say() -> None:
    settings = load()
    assert configure.differences(settings) == []
    assert configure.environment_problems(settings) == []


def test_every_setting_that_is_for_the_manifests_reaches_one() -> None:
    settings = load()
    here_only = {
        "repository.private",
        "images.registry",
        "ingress.domain",
        "mlflow.public_url",
        "mlflow.identity",
        "secrets.generate",
    }
    marked = {line.key for line in configure.marked_lines(settings)}
    assert {key for key in settings.values if not key.startswith("cluster.")} - marked == {
        *here_only,
        *(each.partition(" = ")[0] for each in PARTS.values()),
        "images.trainer",
    }


def test_a_fork_s_values_reach_every_place_and_nothing_else_changes(copy: Path) -> None:
    text = (copy / "cluster" / "settings.toml").read_text()
    text = text.replace("https://github.com/your-org/yolo-lifecycle.git", "http://gitea.git.svc:3000/team/fork.git")
    text = text.replace('"main"', '"release"').replace("ghcr.io/your-org", "registry.example.com/ml")
    text = text.replace("gpus = 0", "gpus = 2")
    text = text.replace("production = true", "production = false").replace("private = false", "private = true")
    text = text.replace("argocd = true\nmonitoring = true", "argocd = false\nmonitoring = false")
    text = text.replace('pull_secret = ""', 'pull_secret = "registry"')
    text = text.replace('postgresql = "cloudnativepg"', 'postgresql = "statefulset"')
    (copy / "cluster" / "settings.toml").write_text(text)
    settings = load(copy / "cluster" / "settings.toml")
    assert settings.placeholders() == []
    before = {path: path.read_text() for path in copy.rglob("*.yaml")}
    changed = configure.write(settings, copy)
    for path, old in before.items():
        new = path.read_text()
        assert "your-org" not in "".join(line for line in new.splitlines() if not line.lstrip().startswith("#")), path
        differ = [a for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b]
        assert all("# settings: " in line for line in differ)
        assert isinstance(list(yaml.safe_load_all(new)), list)
    assert len(changed) > 30
    assert configure.write(settings, copy) == [], "a second time there is nothing left to write"
    airflow = yaml.safe_load((copy / "charts/platform/airflow.yaml").read_text())
    variables = {entry["name"]: entry["value"] for entry in airflow["env"]}
    assert variables["LIFECYCLE_TRAINER_GPUS"] == "2", "an environment variable is a string"
    assert variables["LIFECYCLE_TRAINER_IMAGE"] == "registry.example.com/ml/yolo-trainer:0.1.0"
    argocd = yaml.safe_load((copy / "charts/platform/argo-cd.yaml").read_text())
    assert argocd["notifications"]["argocdUrl"] == argocd["configs"]["cm"]["url"] == "http://localhost:8081"
    labels = argocd["configs"]["clusterCredentials"]
    assert labels["in-cluster"]["labels"]["yolo-lifecycle/environment-production"] == "false"
    foundation = yaml.safe_load((copy / "charts/platform/foundation.yaml").read_text())
    assert [entry["enabled"] for entry in foundation["environments"]] == [True, False]
    appset = yaml.safe_load((copy / "argocd-apps/applicationset.yaml").read_text())["spec"]["template"]["spec"]
    git_sync = appset["source"]["helm"]["valuesObject"]["modelRepository"]["gitSync"]
    assert git_sync["credentialsSecret"] == "git-credentials"
    directory = yaml.safe_load((copy / "argocd-apps/platform.yaml").read_text())["spec"]["source"]["directory"]
    assert directory["exclude"] == (
        "{platform/argo-cd.yaml,platform/monitoring.yaml,platform/cloudnativepg.yaml,platform/barman-cloud.yaml}"
    )
    postgresql = yaml.safe_load((copy / "charts/platform/postgresql.yaml").read_text())
    assert postgresql["type"] == "statefulset"
    environment = yaml.safe_load((copy / "argocd-apps/staging/environment.yaml").read_text())
    runbook = environment["monitoring"]["prometheusRule"]["runbookUrl"]
    assert runbook == "http://gitea.git.svc:3000/team/fork/src/branch/release/docs/monitoring.md"
    assert variables["LIFECYCLE_POD_IMAGE_PULL_SECRETS"] == '["registry"]'
    assert airflow["registry"]["secretName"] == "registry"
    for name in ("argocd-apps/staging/environment.yaml", "charts/platform/mlflow.yaml"):
        assert yaml.safe_load((copy / name).read_text())["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('tag = "0.1.0"', "", "images.tag is missing"),
        ('tag = "0.1.0"', 'tag = "0.1.0"\ntags = "x"', "images.tags is not a setting"),
        ("gpus = 0", 'gpus = "0"', "training.gpus must be a whole number"),
        ("private = false", 'private = "no"', "repository.private must be true or false"),
        ('"50Gi"', '"50 GB"', "storage.workspace_size must look like"),
        ('artifacts = "persistentVolumeClaim"', 'artifacts = "s3"', "mlflow.s3_destination must be s3://bucket/prefix"),
        (
            'artifacts = "persistentVolumeClaim"',
            'artifacts = "gcs"',
            "mlflow.gcs_destination must be gs://bucket/prefix",
        ),
        ('postgresql = "cloudnativepg"', "postgresql = true", "platform.postgresql must look like"),
        ("staging = true\nproduction = true", "staging = false\nproduction = false", "at least one that is true"),
        ('size = "standard"', 'size = "small"', 'set platform.postgresql = "statefulset"'),
        ("[images]", "[images", "is not valid TOML"),
        ("https://github.com/", "git@github.com:", "nothing here reads by ssh"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = ORIGINAL.read_text()
    assert old in text
    path = tmp_path / "settings.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(SettingsError, match=re.escape(said)):
        load(path)


def test_databases_are_not_backed_up_to_where_mlflow_s_users_read(tmp_path: Path) -> None:
    path, text = tmp_path / "settings.toml", ORIGINAL.read_text()
    text = text.replace('artifacts = "persistentVolumeClaim"', 'artifacts = "s3"')
    path.write_text(text.replace('s3_destination = ""', 's3_destination = "s3://bucket/mlflow"'))
    settings = load(path)
    assert (settings.text("backup.destination"), settings.text("backup.secret")) == (
        "s3://bucket/postgresql",
        "mlflow-server",
    )
    assert settings.text("platform.exclude") == ""
    path.write_text(text.replace('s3_destination = ""', 's3_destination = "s3://bucket"'))
    with pytest.raises(SettingsError, match="must have a prefix after the bucket"):
        load(path)


def test_an_environment_that_is_missing_somewhere_is_named(copy: Path) -> None:
    path = copy / "cluster" / "settings.toml"
    path.write_text(path.read_text().replace("staging = true", "staging = true\nedge = true"))
    problems = "\n".join(configure.environment_problems(load(path), copy))
    assert "argocd-apps/edge/environment.yaml" in problems
    assert problems.count("edge") >= 5


def test_folders_whose_applications_have_one_name_are_named(copy: Path) -> None:
    for folder in ("staging/a-b", "staging-a/b"):
        (copy / "argocd-apps" / folder).mkdir(parents=True)
        (copy / "argocd-apps" / folder / "values.yaml").write_text("models: []\n")
    problems = configure.environment_problems(load(copy / "cluster" / "settings.toml"), copy)
    assert problems == [
        "argocd-apps/staging/a-b and argocd-apps/staging-a/b are both the Application staging-a-b; rename one of them"
    ]


def test_a_mark_without_a_setting_is_refused(copy: Path) -> None:
    path = copy / "argocd-apps" / "root.yaml"
    path.write_text(path.read_text().replace("# settings: repository.url", "# settings: repository.uri"))
    with pytest.raises(SettingsError, match=r"root\.yaml:\d+.*no repository\.uri"):
        configure.differences(load(copy / "cluster" / "settings.toml"), copy)


def test_the_settings_need_no_library_that_a_bare_python_lacks() -> None:
    for path in [*(ROOT / "cluster").glob("*.py"), ROOT / "tools" / "rest.py", ROOT / "tools" / "dagrun.py"]:
        imports = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        assert set(imports) <= {"__future__", "cluster", "tools", *__import__("sys").stdlib_module_names}
