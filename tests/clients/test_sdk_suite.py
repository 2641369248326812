"""Runs ZeroEntropy's own SDK suite, from its published source archive, against live servers."""

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
SUITE = "tests/api_resources"
# Which tests, how many of them, and how many of these the server must refuse; `sdk_overlay.py` says which and why.
PARTS = {
    "embed": ([f"{SUITE}/test_models.py", "-k", "embed"], 4, 1),
    "rerank": ([f"{SUITE}/test_models.py", "-k", "rerank"], 4, 0),
    "search": ([SUITE, f"--ignore={SUITE}/test_models.py"], 49, 14),
}


def test_the_parts_are_the_whole_suite():
    assert sum(tests for _, tests, _ in PARTS.values()) * WAYS == 285


@pytest.mark.parametrize("part", PARTS)
def test_the_sdks_own_suite(server, reranker_server, part):
    selection, tests, refused = PARTS[part]
    # The suite calls every model `model`; one name is one model, so reranking has its own server.
    url = (reranker_server if part == "rerank" else server).url
    report = scratch() / f"sdk-{part}.xml"
    command = [sys.executable, "-m", "pytest", *selection, "-o", "addopts=--tb=short"]
    command += ["-p", "sdk_overlay", f"--junit-xml={report}", "-rx"]
    environment = os.environ | {"TEST_API_BASE_URL": url, "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, cwd=unpacked_sdk(), env=environment, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": tests * WAYS, "failures": 0, "errors": 0, "skipped": refused * WAYS}
