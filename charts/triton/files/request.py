"""One request to a model's Service: what it finds in a black image, from the version that the values name.

Settings: SERVER, MODEL, IMAGE_SIZE (empty: the one of the version), MLFLOW_MODEL_NAME, MLFLOW_MODEL_VERSION,
MODEL_SHA256, CODE_COMMIT (empty: any).
The standard library only.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def ask(server: str, model: str, height: int, width: int, *wanted: str) -> dict:
    """Triton's answer to a black RGB image; its outputs by name. `wanted`: these alone, by default all."""
    image = {"name": "pixels", "datatype": "UINT8", "shape": [1, 3, height, width], "data": [0] * (3 * height * width)}
    body = {"inputs": [image], "outputs": [{"name": name} for name in wanted]}
    request = urllib.request.Request(f"{server}/v2/models/{model}/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        outputs = json.load(answer)["outputs"]
    return {output["name"]: output for output in outputs}


def outputs_of(server: str, model: str, size: str) -> dict:
    """All outputs for an image of the size that is asked for or else the version's own, which costs no inference."""
    info = ask(server, model, 32, 32, "model_info").get("model_info")
    if info is None:
        return {}
    told = json.loads(bytes(info["data"]))
    side = int(size or told["image_size"])
    return ask(server, model, told.get("height") or side, told.get("width") or side)


def main(env: "os._Environ[str]") -> str:
    """An empty text, or what is wrong."""
    server, model = env["SERVER"], env["MODEL"]
    try:
        outputs = outputs_of(server, model, env["IMAGE_SIZE"])
    except urllib.error.HTTPError as error:
        return f"{server} refuses the request with {error.code}: {error.read().decode(errors='replace')[:500]}"
    except (OSError, ValueError, KeyError) as error:
        return f"{server} does not answer as Triton does ({error!r}): look at the pods behind the Service"
    if "model_info" not in outputs or len(outputs) < 2:
        there = ", ".join(sorted(outputs)) or "nothing"
        return f"the answer has {there}: {model} is not made from one of model_repository's templates"
    served = json.loads(bytes(outputs["model_info"]["data"]))
    wanted = {
        "name": env["MLFLOW_MODEL_NAME"],
        "version": env["MLFLOW_MODEL_VERSION"],
        "sha256": env["MODEL_SHA256"],
    }
    if env["CODE_COMMIT"] and "code_commit" in served:
        wanted["code_commit"] = env["CODE_COMMIT"]
    found = {key: str(served.get(key)) for key in wanted}
    if found != wanted:
        return f"{model} serves {found}, the values name {wanted}: wait until the rollout is over and test again"
    print(f"{model}: version {found['version']} of {found['name']} answers")  # noqa: T201 (helm test --logs shows it)
    return ""


if __name__ == "__main__":
    problem = main(os.environ)
    if problem:
        sys.exit(f"ERROR: {problem}")
