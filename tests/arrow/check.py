#!/usr/bin/python3
"""Checks that includes and link lines keep the arrow of the architecture:

    messages <- runtime <- { actors, providers, gateways } <- tools

The wings in braces never use each other, and only tests use tests. Of third parties, CAF and Asio/Beast are confined to
the files that CONFINED names; a header that drags one of them in counts like the third party itself.

Usage: check.py ROOT. Prints each violation as file:line, and exits 1 if there is one.
"""

import re
import sys
from pathlib import Path

BASE = {"messages", "runtime"}
MAY_USE = {
    "messages": {"messages"},
    "runtime": BASE,
    "actors": BASE | {"actors"},
    "providers": BASE | {"providers"},
    "gateways": BASE | {"gateways"},
    "tools": BASE | {"actors", "providers", "gateways", "tools"},
    "tests": BASE | {"actors", "providers", "gateways", "tools", "tests"},
}
GENERATED = {"cx/v1/": "messages", "cx_version.hpp": "tools"}  # headers that the build makes, and whose they are

# Third party: what its includes look like, and which files may have them.
CONFINED = {
    "CAF": (r"caf/",
            r"messages/actors\.hpp|(runtime|providers|tools/campaignd|tests)/.*|actors/.*(agent|actor)\.[ch]pp"),
    "Asio or Beast": (r"boost/(asio|beast)\b", r"gateways/.*|tools/campaignctl/client\.cpp|tools/(vendor|kserve)-sim/.*|tests/.*"),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', re.MULTILINE)
COMMAND = re.compile(r"(\w+)\s*\(([^()]*)\)")
DEFINES = ("add_library", "add_executable", "cx_library", "cx_test")


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


class Tree:
    def __init__(self, root):
        def read(patterns):
            paths = (path for room in MAY_USE for pattern in patterns for path in sorted((root / room).rglob(pattern)))
            return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}

        self.sources = {}  # file: [(line, included)]
        for file, text in read(("*.hpp", "*.cpp")).items():
            self.sources[file] = [(line_of(text, found.start()), found[1]) for found in INCLUDE.finditer(text)]
        self.lists = read(("CMakeLists.txt",))

    def violations(self):
        for file, includes in self.sources.items():
            for line, included in includes:
                for what in (self.wrong_direction(file, included), *self.wrong_place(file, included)):
                    if what:
                        yield f"{file}:{line}: {what}"
        yield from self.wrong_links()

    def wrong_direction(self, file, included):
        room = file.split("/")[0]
        used = next((owner for start, owner in GENERATED.items() if included.startswith(start)), included.split("/")[0])
        if used in MAY_USE and used not in MAY_USE[room]:
            return f"{room} may not include {used} ({included})"
        return None

    def wrong_place(self, file, included):
        for name, (pattern, allowed) in CONFINED.items():
            if not re.fullmatch(allowed, file) and (way := self.way_to(pattern, included, ())):
                yield f"{name} may not be included here ({' -> '.join(way)})"

    def way_to(self, pattern, included, way):
        """The includes from `included` to one that matches; None if there is none."""
        if included in way:
            return None
        way = (*way, included)
        if re.match(pattern, included):
            return way
        return next(filter(None, (self.way_to(pattern, one, way) for _, one in self.sources.get(included, ()))), None)

    def wrong_links(self):
        commands = []
        for file, text in self.lists.items():
            text = re.sub(r"#.*", "", text)
            commands += [(file, line_of(text, found.start()), found[1].lower(), found[2].split())
                         for found in COMMAND.finditer(text)]
        room_of = {words[0]: file.split("/")[0] for file, _, command, words in commands if command in DEFINES and words}
        for file, line, command, words in commands:
            if command not in (*DEFINES, "target_link_libraries") or not words:
                continue
            room = file.split("/")[0]
            for used in words[1:]:
                if used in room_of and room_of[used] not in MAY_USE[room]:
                    yield f"{file}:{line}: {room} may not link {room_of[used]} ({words[0]} -> {used})"


def main():
    tree = Tree(Path(sys.argv[1]))
    found = list(tree.violations())
    for violation in found:
        print(violation)
    if not tree.sources:
        sys.exit(f"There are no sources below {sys.argv[1]}; give the root of the checkout.")
    print(f"{len(tree.sources)} sources, {len(found)} violations")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
