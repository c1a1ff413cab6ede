"""The commit message: the team's words, and trailers that nothing in them can change."""

import subprocess

import pytest
from lifecycle.gitops import Bump, BumpInvalid, GitOpsSettings, PinnedModel
from lifecycle.gitops.message import message_of
from lifecycle.gitops.remote.credentials import GitCredentials
from lifecycle.gitops.remote.process import GitRunner
from lifecycle.gitops.review.proposal import branch_of
from lifecycle.model.pin import Pin

PIN = Pin(4, "a" * 64, "run4")


def bump(**more: object) -> Bump:
    fields: dict[str, object] = {
        "environment": "staging",
        "app": "detector",
        "model": "digits",
        "registered_model": "digits-detector",
        "pin": PIN,
        "trailers": {"Dag-Run": "yolo/r1", "Dataset-Digest": "d" * 64, "Approved-By": "Ada"},
    }
    return Bump(**fields | more)  # type: ignore[arg-type]


def there(pin: Pin, candidate: Pin | None = None) -> PinnedModel:
    return PinnedModel("digits", "digits-detector", pin, hold=False, candidate=candidate)


def settings(**more: str) -> GitOpsSettings:
    return GitOpsSettings(url="x", **more)  # type: ignore[arg-type]


def trailers(message: str) -> list[str]:
    """As git reads them."""
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


EXPECTED = [
    "Model-Version: digits-detector/4",
    "MLflow-Run: run4",
    f"Dataset-Digest: {'d' * 64}",
    "Dag-Run: yolo/r1",
    "Delivery: promote staging/detector/digits",
    "Approved-By: Ada",
]


@pytest.mark.parametrize(
    "template",
    [
        GitOpsSettings(url="x").message_template,
        "{what}",
        "Deploy {version}\n\nModel-Version: someone-elses/9\nDag-Run: forged",
        "chore({app}): {verb} {what}, was {former} [{dag_run}]\n\n\nLong text.\n\n",
    ],
)
def test_trailers_are_the_same_whatever_the_wording(template: str) -> None:
    assert trailers(message_of(bump(), there(Pin(3, "b" * 64, "r")), settings(message_template=template))) == EXPECTED


def test_what_the_caller_says_about_the_pin_does_not_count() -> None:
    lying = bump(trailers={"Model-Version": "other/1", "Dag-Run": "yolo/r1"})
    assert "Model-Version: digits-detector/4" in trailers(message_of(lying, there(PIN), settings()))


def test_a_revert_names_what_it_reverts() -> None:
    back = bump(kind="restore", reverts="c" * 40, pin=Pin(None, "", ""))
    message = message_of(back, there(PIN), settings())
    assert message.startswith("Restore digits-detector (no version) in staging/detector as digits\n")
    assert {f"Reverts: {'c' * 40}", "Model-Version: digits-detector/none"} <= set(trailers(message))
    assert not any(line.startswith("MLflow-Run") for line in trailers(message))


def test_other_code_for_the_same_version_is_told_by_a_trailer_and_in_words() -> None:
    now = Pin(4, "a" * 64, "run4", "c0de" * 10)
    for before, former in ((Pin(4, "a" * 64, "run4", "0ld0" * 10), "0ld00ld00ld0"), (PIN, "no commit in particular")):
        message = message_of(bump(pin=now), there(before), settings())
        assert f"It keeps version 4 and replaces the code of {former}." in message
        assert f"Code-Commit: {'c0de' * 10}" in trailers(message)


def test_a_candidates_commit_says_that_no_client_reaches_it_and_whose_place_it_takes() -> None:
    trying = bump(kind="candidate")
    message = message_of(trying, there(Pin(3, "b" * 64, "run3")), settings())
    assert message.startswith(
        "Prove digits-detector 4 in staging/detector as digits\n\n"
        "It is a candidate beside the live version 3: no client reaches it.\n\n"
    )
    assert "Delivery: candidate staging/detector/digits" in trailers(message)
    first = message_of(trying, there(Pin(None, "", ""), candidate=Pin(2, "c" * 64, "run2")), settings())
    assert "It is a candidate beside no live version" in first
    assert "It replaces the candidate version 2 of the MLflow run run2." in first
    gone = message_of(bump(kind="discard"), there(Pin(3, "b" * 64, "run3"), candidate=PIN), settings())
    assert gone.startswith("Discard the candidate digits-detector 4 in staging/detector as digits\n")
    assert "The live version 3 is not touched." in gone


@pytest.mark.parametrize("template", ["{nothing}", "{0}", "{", "   "])
def test_a_template_that_cannot_be_filled_is_refused(template: str) -> None:
    with pytest.raises(BumpInvalid, match="template"):
        message_of(bump(), there(PIN), settings(message_template=template))


def test_a_requests_branch_depends_on_the_run_and_the_change_alone() -> None:
    assert branch_of(bump()) == branch_of(bump(hold=True))
    others = [bump(trailers={"Dag-Run": "yolo/r2"}), bump(environment="production"), bump(kind="rollback")]
    others.append(bump(pin=Pin(4, "a" * 64, "run4", "c" * 40)))
    assert len({branch_of(other) for other in [bump(), *others]}) == 5
    # What is the newest code may change from one try to the next.
    tries = [bump(pin=Pin(4, "a" * 64, "run4", digit * 40), newest_code=True) for digit in "ab"]
    assert len({branch_of(each) for each in tries}) == 1
    assert branch_of(bump()).startswith("lifecycle-promote-staging-detector-digits-4-") and "/" not in branch_of(bump())


def test_secrets_are_taken_out_of_whatever_git_prints(tmp_path: object) -> None:
    token = "a+b/c=d"
    runner = GitRunner(tmp_path, {}, GitCredentials(token=token).secrets())  # type: ignore[arg-type]
    printed = f"fatal: https://robot:{token}@example.com and a%2Bb%2Fc%3Dd\n> Authorization: Basic cm9ib3Q6c2VjcmV0"
    clean = runner.scrub(printed)
    assert clean == "fatal: https://***@example.com and ***\n> Authorization: Basic ***"
