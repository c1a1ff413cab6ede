"""One request to a model's Service: detections of a black image, from the version that the values name.

Settings: SERVER, MODEL, IMAGE_SIZE, MLFLOW_MODEL_NAME, MLFLOW_MODEL_VERSION, MODEL_SHA256, CODE_COMMIT (empty: any).
The standard library only.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def ask(server: str, model: str, size: int) -> dict:
    """Triton's answer to a black RGB image of size x size; its outputs by name."""
    image = {"name": "images", "datatype": "FP32", "shape": [1, 3, size, size], "data": [0.0] * (3 * size * size)}
    request = urllib.request.Request(f"{server}/v2/models/{model}/infer", json.dumps({"inputs": [image]}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        outputs = json.load(answer)["outputs"]
    return {output["name"]: output for output in outputs}


def main(env: "os._Environ[str]") -> str:
    """An empty text, or what is wrong."""
    server, model = env["SERVER"], env["MODEL"]
    try:
        outputs = ask(server, model, int(env["IMAGE_SIZE"]))
    except urllib.error.HTTPError as error:
        return f"{server} refuses the request with {error.code}: {error.read().decode(errors='replace')[:500]}"
    except (OSError, ValueError, KeyError) as error:
        return f"{server} does not answer as Triton does ({error!r}): look at the pods behind the Service"
    missing = {"detections", "num_detections", "model_info"} - outputs.keys()
    if missing:
        return f"the answer lacks {', '.join(sorted(missing))}: {model} is not made from the template yolo"
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
