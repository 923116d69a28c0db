"""Checks the contract's OpenAPI document with a maintained validator, and its schemas by the rules of JSON Schema 2020-12.

Usage: validate.py DUMP, where DUMP prints the document.
"""

import json
import re
import subprocess
import sys

import openapi_spec_validator
from jsonschema import Draft202012Validator


def schemas(at, path="#"):
    """Every schema that is no component: those of parameters, bodies and header fields."""
    if isinstance(at, dict):
        for key, inner in at.items():
            if key == "schema":
                yield f"{path}/{key}", inner
            else:
                yield from schemas(inner, f"{path}/{key}")
    elif isinstance(at, list):
        for index, inner in enumerate(at):
            yield from schemas(inner, f"{path}/{index}")


def examples(at, path):
    """Every schema inside a schema that has examples."""
    if isinstance(at, dict):
        if isinstance(at.get("examples"), list):
            yield path, at
        for key, inner in at.items():
            yield from examples(inner, f"{path}/{key}")
    elif isinstance(at, list):
        for index, inner in enumerate(at):
            yield from examples(inner, f"{path}/{index}")


def main():
    text = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout
    document = json.loads(text)
    openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)

    wrong = []
    found = [(f"#/components/schemas/{name}", schema) for name, schema in document["components"]["schemas"].items()]
    found += schemas(document)
    count = 0
    for path, schema in found:
        Draft202012Validator.check_schema(schema)
        for where, inner in examples(schema, path):
            count += 1
            validator = Draft202012Validator(inner, format_checker=Draft202012Validator.FORMAT_CHECKER)
            wrong += [f"{where}: the example {example!r}: {error.message}" for example in inner["examples"]
                      for error in validator.iter_errors(example)]

    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            names = [p["name"] for p in operation["parameters"] if p.get("in") == "path"]
            if sorted(names) != sorted(re.findall(r"{([^}]+)}", path)):
                wrong.append(f"{verb} {path}: its path parameters are {names}")

    print(f"{len(text)} bytes, {sum(map(len, document['paths'].values()))} operations, {len(found)} schemas, {count} examples")
    print("\n".join(wrong))
    sys.exit(bool(wrong) or not count)


main()
