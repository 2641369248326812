"""Runs the Node client's tests (`node/*.test.mjs`) against the live server."""

import os
import pathlib
import re
import subprocess

NODE = pathlib.Path(__file__).parent / "node"


def test_the_node_client(server):
    lock = NODE / "package-lock.json"
    installed = NODE / "node_modules/.package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--silent"], cwd=NODE, check=True)
    environment = os.environ | {"ZEROENTROPY_BASE_URL": f"{server.url}/v1", "ZEROENTROPY_API_KEY": server.key}
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap", "client.test.mjs", "search.test.mjs"],
        cwd=NODE, env=environment, capture_output=True, text=True,
    )
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE).group(1)) >= 15
