"""Ask a running service for the emotion of recordings, with httpx.

    pip install httpx
    e2v serve &
    python examples/service_client.py URL RECORDING...

``E2V_TOKEN`` is the service's token, if it has one. A service that is full answers 503 and says
after how many seconds to ask again.
"""

import os
import sys
import time
from pathlib import Path

import httpx


def recognize(client: httpx.Client, path: Path) -> dict[str, object]:
    """The result for one recording, as ``e2v recognize --format json`` prints it."""
    while True:
        with path.open("rb") as file:
            answer = client.post("/v1/audio/emotions", files={"file": (path.name, file)})
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(float(answer.headers.get("retry-after", "1")))
    content: dict[str, object] = answer.json()
    if answer.is_error:  # application/problem+json
        raise RuntimeError(f"{content['error']}: {content['detail']}")
    return content


def main(url: str, paths: list[str]) -> int:
    """Print a line for each recording; the number of those that failed."""
    token = os.environ.get("E2V_TOKEN")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    failed = 0
    with httpx.Client(base_url=url, headers=headers, timeout=None) as client:  # noqa: S113
        for path in map(Path, paths):
            try:
                result = recognize(client, path)
            except (OSError, RuntimeError) as error:
                print(error, file=sys.stderr)
                failed += 1
                continue
            print(f"{result['emotion']}\t{result['confidence']:.2f}\t{path}")
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(1 if main(sys.argv[1], sys.argv[2:]) else 0)
