"""Which errors of mlflow's client a retry can fix."""

import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from model_server.registry import is_transient, status_of, without_line_breaks


def http_error(status: int) -> requests.HTTPError:
    """What `raise_for_status` raises."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} for url", response=response)


def wrapped(error: Exception) -> Exception:
    """An error inside mlflow's own, as its REST client raises it."""
    try:
        try:
            raise error
        except Exception as cause:
            raise MlflowException(f"API request failed with exception {cause}") from cause
    except MlflowException as outer:
        return outer


@pytest.mark.parametrize(
    ("error", "status", "helps"),
    [
        (RestException({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no version 9"}), 404, False),
        (RestException({"error_code": "PERMISSION_DENIED", "message": "no"}), 403, False),
        (RestException({"error_code": "INTERNAL_ERROR", "message": "oops"}), None, True),
        (RestException({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}), 503, True),
        (http_error(401), 401, False),
        (http_error(404), 404, False),
        (http_error(408), 408, True),
        (http_error(429), 429, True),
        (http_error(502), 502, True),
        (wrapped(http_error(403)), 403, False),
        (wrapped(requests.ConnectionError("refused")), None, True),
        (wrapped(requests.Timeout("slow")), None, True),
        (ConnectionRefusedError("refused"), None, True),
        (TimeoutError("slow"), None, True),
        (ModuleNotFoundError("No module named 'boto3'", name="boto3"), None, False),
    ],
)
def test_status_and_retry(error: Exception, status: int | None, helps: bool) -> None:
    assert status_of(error) == status
    assert is_transient(error) is helps


def test_line_breaks_of_a_secret_are_left_out() -> None:
    environment = {"MLFLOW_TRACKING_TOKEN": "secret\n", "AWS_REGION": "eu\r\n", "MLFLOW_MODEL_NAME": "m", "PS1": "$\n"}
    assert without_line_breaks(environment) == ["MLFLOW_TRACKING_TOKEN", "AWS_REGION"]
    assert environment == {
        "MLFLOW_TRACKING_TOKEN": "secret",
        "AWS_REGION": "eu",
        "MLFLOW_MODEL_NAME": "m",
        "PS1": "$\n",
    }
