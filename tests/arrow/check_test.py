"""Small trees, each with what check.py must find in it, and where."""

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("check.py")


def check(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    done = subprocess.run([sys.executable, CHECK, root], capture_output=True, text=True)
    return done.returncode, done.stdout.splitlines()[:-1]


GOOD = {
    "messages/actors.hpp": '#include <caf/typed_actor.hpp>\n#include "cx/v1/customer.pb.h"\n',
    "messages/CMakeLists.txt": "cx_library(m SOURCES a.cpp LINK protobuf::libprotobuf)\n",
    "runtime/system.hpp": '#include <caf/all.hpp>\n#include "messages/contract.hpp"\n#include "runtime/error.hpp"\n',
    "runtime/error.hpp": "#include <string>\n",
    "runtime/CMakeLists.txt": "cx_library(r SOURCES b.cpp LINK m)\n",
    "actors/bidding/agent.cpp": '#include <caf/actor.hpp>\n#include "runtime/system.hpp"\n',
    "actors/bidding/decide.cpp": '#include "runtime/error.hpp"\n// #include <caf/actor.hpp>\n',
    "actors/CMakeLists.txt": "cx_library(a SOURCES c.cpp LINK r)\n",
    "providers/pool.cpp": "#include <caf/actor.hpp>\n",
    "gateways/http/server.cpp": '#include <boost/asio/post.hpp>\n#include "gateways/http/server.hpp"\n',
    "gateways/http/server.hpp": '#include "runtime/error.hpp"\n',
    "gateways/CMakeLists.txt": "cx_library(g SOURCES d.cpp\n  LINK m r)\n",
    "tools/campaignd/main.cpp": '#include "actors/bidding/agent.hpp"\n#include "gateways/http/server.hpp"\n'
                                '#include "cx_version.hpp"\n#include <caf/send.hpp>\n',
    "tools/campaignctl/client.cpp": "#include <boost/beast/core.hpp>\n",
    "tools/CMakeLists.txt": "add_executable(t main.cpp)\ntarget_link_libraries(t PRIVATE m r a g)\n",
    "tests/a_test.cpp": '#include "actors/bidding/agent.hpp"\n#include <caf/send.hpp>\n#include "tests/fixture.hpp"\n',
    "tests/CMakeLists.txt": "cx_test(x SOURCES e.cpp LINK a g)\n",
}


def test_a_good_tree(tmp_path):
    assert check(tmp_path, GOOD) == (0, [])


@pytest.mark.parametrize("file,text,line,words", [
    ("messages/a.hpp", '\n#include "runtime/error.hpp"\n', 2, "messages may not include runtime"),
    ("runtime/a.cpp", '#include "actors/bidding/agent.hpp"\n', 1, "runtime may not include actors"),
    ("runtime/a.cpp", '#include "cx_version.hpp"\n', 1, "runtime may not include tools"),
    ("actors/bidding/a.cpp", '//\n//\n#include "providers/pool.hpp"\n', 3, "actors may not include providers"),
    ("actors/bidding/a.cpp", '#include "gateways/http/server.hpp"\n', 1, "actors may not include gateways"),
    ("providers/a.cpp", '#include "actors/bidding/decide.hpp"\n', 1, "providers may not include actors"),
    ("gateways/a.cpp", '  #  include <actors/bidding/decide.hpp>\n', 1, "gateways may not include actors"),
    ("gateways/a.cpp", '#include "tools/campaignd/node.hpp"\n', 1, "gateways may not include tools"),
    ("tools/a.cpp", '#include "tests/fixture.hpp"\n', 1, "tools may not include tests"),
    ("actors/bidding/decide.cpp", "#include <caf/actor.hpp>\n", 1, "CAF"),
    ("actors/bidding/decide.cpp", '#include "runtime/system.hpp"\n', 1, "runtime/system.hpp -> caf/all.hpp"),
    ("messages/contract.hpp", "#include <caf/actor.hpp>\n", 1, "CAF"),
    ("gateways/a.cpp", '#include "messages/actors.hpp"\n', 1, "messages/actors.hpp -> caf/typed_actor.hpp"),
    ("tools/campaignctl/a.cpp", "#include <caf/actor.hpp>\n", 1, "CAF"),
    ("runtime/a.cpp", "#include <boost/asio/post.hpp>\n", 1, "Asio or Beast"),
    ("tools/campaignctl/a.cpp", "#include <boost/beast.hpp>\n", 1, "Asio or Beast"),
    ("gateways/CMakeLists.txt", "cx_library(g SOURCES d.cpp\n  LINK m r a)\n", 1, "gateways may not link actors"),
    ("runtime/CMakeLists.txt", "# one\ncx_library(r)\ntarget_link_libraries(r PUBLIC t)\n", 3, "may not link tools"),
    ("tools/CMakeLists.txt", "add_executable(t)\n\ntarget_link_libraries(t x)\n", 3, "tools may not link tests"),
])
def test_a_violation(tmp_path, file, text, line, words):
    code, found = check(tmp_path, GOOD | {file: text})
    assert code == 1 and len(found) == 1
    assert found[0].startswith(f"{file}:{line}: ") and words in found[0]


def test_headers_that_include_each_other(tmp_path):
    files = {"runtime/a.hpp": '#include "runtime/b.hpp"\n', "runtime/b.hpp": '#include "runtime/a.hpp"\n'}
    assert check(tmp_path, files) == (0, [])


def test_an_empty_tree(tmp_path):
    assert subprocess.run([sys.executable, CHECK, tmp_path], capture_output=True).returncode != 0
