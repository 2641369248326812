"""Runs the model tests of ZeroEntropy's own SDK suite, from its published source archive, against the live server."""

import os
import pathlib
import subprocess
import sys
import tarfile
import xml.etree.ElementTree

from live_server import scratch

HERE = pathlib.Path(__file__).parent


def unpacked_sdk():
    """The unpacked source archive; pip checks its SHA-256."""
    folder = scratch() / "sdk"
    [*found] = folder.glob("zeroentropy-*/tests/api_resources/test_models.py")
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pip += ["--no-binary=:all:", "--require-hashes", "-r", HERE / "sdk-requirements.txt", "--dest", folder]
        subprocess.run(pip, check=True)
        [archive] = folder.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        [*found] = folder.glob("zeroentropy-*/tests/api_resources/test_models.py")
    [suite] = found
    return suite.parents[2]


def test_models_of_the_sdks_own_suite(server):
    sdk = unpacked_sdk()
    report = scratch() / "sdk-report.xml"
    command = [sys.executable, "-m", "pytest", "tests/api_resources/test_models.py", "-o", "addopts=--tb=short"]
    command += ["-p", "sdk_overlay", f"--junit-xml={report}", "-rx"]
    environment = os.environ | {"TEST_API_BASE_URL": server.url, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, cwd=sdk, env=environment, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    # Eight tests: two ways for the synchronous client, three for the other. Skipped are the expected refusals of
    # `dimensions=0`: once for each of the five ways.
    assert counts == {"tests": 40, "failures": 0, "errors": 0, "skipped": 5}
