"""Runs the model tests of ZeroEntropy's own SDK suite, from its published source archive, against the live server."""

import os
import pathlib
import subprocess
import sys
import tarfile
import xml.etree.ElementTree

import pytest

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


# Every test runs five ways: the synchronous client loose and strict, the other one loose, strict and over aiohttp.
WAYS = 5
TESTS = 4
# `dimensions=0` in one of the embed tests; see sdk_overlay.py.
REFUSED = {"embed": WAYS, "rerank": 0}


@pytest.mark.parametrize("operation", ["embed", "rerank"])
def test_models_of_the_sdks_own_suite(server, reranker_server, operation):
    # The suite calls every model `model`; one name is one model, so each half has its own server.
    url = {"embed": server, "rerank": reranker_server}[operation].url
    report = scratch() / f"sdk-{operation}.xml"
    command = [sys.executable, "-m", "pytest", "tests/api_resources/test_models.py", "-o", "addopts=--tb=short"]
    command += ["-k", operation, "-p", "sdk_overlay", f"--junit-xml={report}", "-rx"]
    environment = os.environ | {"TEST_API_BASE_URL": url, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, cwd=unpacked_sdk(), env=environment, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": TESTS * WAYS, "failures": 0, "errors": 0, "skipped": REFUSED[operation]}
