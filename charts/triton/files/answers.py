"""Whether a model that is not made here answers at its Service, from the folder that the values name.

Settings: SERVER, MODEL, SOURCE. The standard library only.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def main(env: "os._Environ[str]") -> str:
    """An empty text, or what is wrong."""
    server, model, source = env["SERVER"], env["MODEL"], env["SOURCE"]
    try:
        for path in ("ready", "config"):
            with urllib.request.urlopen(f"{server}/v2/models/{model}/{path}", timeout=60) as answer:
                body = answer.read()
        parameters = json.loads(body).get("parameters", {})
    except urllib.error.HTTPError as error:
        return f"{server} refuses the request with {error.code}: {error.read().decode(errors='replace')[:500]}"
    except (OSError, ValueError, AttributeError) as error:
        return f"{server} does not answer as Triton does ({error!r}): look at the pods behind the Service"
    found = parameters.get("source_uri", {}).get("string_value", "")
    if found != source:
        return (
            f"{model} is served from {found!r}, the values name {source}: wait until the rollout is over and test again"
        )
    print(f"{model}: {found} answers")  # noqa: T201 (helm test --logs shows it)
    return ""


if __name__ == "__main__":
    problem = main(os.environ)
    if problem:
        sys.exit(f"ERROR: {problem}")
