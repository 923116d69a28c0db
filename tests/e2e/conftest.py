from contextlib import ExitStack

import pytest
from node import Node


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node with default settings, shared by the tests of a file."""
    with Node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def start(tmp_path):
    """start("--flag", "value") starts a node of the test's own."""
    with ExitStack() as nodes:
        count = 0

        def start_one(*flags):
            nonlocal count
            count += 1
            folder = tmp_path / f"node-{count}"
            folder.mkdir()
            return nodes.enter_context(Node(folder, *flags))

        yield start_one
