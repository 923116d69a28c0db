"""A model as ONNX, run by onnxruntime: the same read-outs to the last bit, and what the file says of itself."""

import json
import math
import os
import subprocess
from pathlib import Path

import pytest

from node import BUILT, CAMPAIGNCTL, PATIENCE

try:
    import numpy
    import onnx
    import onnxruntime
    missing = None
except ImportError as error:
    missing = error

MAKE_MODEL = Path(os.environ.get("MAKE_MODEL", BUILT.parent / "tests/providers/inference/colanet/make_model"))


@pytest.fixture(scope="session", autouse=True)
def packages():
    if missing:
        pytest.exit(f"SKIPPED: {missing}: see tests/python.txt", returncode=77)


def ctl(*words):
    return subprocess.run([CAMPAIGNCTL, "model", *words], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env=dict(os.environ, HOME="/"))


def make(folder, seed, inputs, columns, count):
    """A model, its ONNX file, what `model export` said, and cases as make_model.cpp computed them."""
    model, cases, exported = (folder / f"{seed}.{kind}" for kind in ("model", "cases", "onnx"))
    subprocess.run([MAKE_MODEL, model, cases, *map(str, (seed, inputs, columns, count))], check=True, timeout=PATIENCE)
    done = ctl("export", model, "--onnx", exported, "-o", "json")
    assert done.returncode == 0, done.stderr
    rows = numpy.fromfile(cases, [("column", "<u4"), ("", "<u4"), ("z", "<i8"), ("p", "<f4"), ("_", "<u4"),
                                  ("features", "<f4", (inputs,))])
    assert len(rows) == count
    return exported, json.loads(done.stdout), rows


def score(exported, features, columns):
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    return session.run(["z", "p"], {"features": features, "columns": columns.astype(numpy.int64)})


@pytest.mark.parametrize("seed, inputs, columns", [(1, 256, 9), (2, 1, 1), (3, 33, 100), (4, 200, 3)])
def test_onnxruntime_computes_what_we_do(tmp_path, seed, inputs, columns):
    exported, _, cases = make(tmp_path, seed, inputs, columns, 1_000)
    z, p = score(exported, cases["features"], cases["column"])
    assert z.dtype == numpy.int64 and p.dtype == numpy.float32
    assert (z == cases["z"]).all()
    assert numpy.allclose(p, cases["p"], rtol=1e-6, atol=0)
    one_z, one_p = score(exported, cases["features"][:1], cases["column"][:1])
    assert one_z[0] == z[0] and one_p[0] == p[0]


def test_the_graph_is_one_of_the_standard(tmp_path):
    exported, said, _ = make(tmp_path, 5, 256, 4, 10)
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)  # shapes and types, too
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]
    assert {node.domain for node in model.graph.node} == {""}
    shapes = {value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
              for value in [*model.graph.input, *model.graph.output]}
    assert shapes == {"features": ["N", 256], "columns": ["N"], "z": ["N"], "p": ["N"]}
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["format"] == "colanet" and about["name"] == "random-5"
    assert about["hash"] == said["hash"] and said["model"] == f"random-5@{said['hash'][:8]}"
    assert json.loads(about["schema"])["features"] == 256
    assert len(about["schema_hash"]) == 16 and int(about["parent"], 16) == 13
    assert json.loads(about["offers"]) == {"offer-00000": 1, "offer-00001": 2, "offer-00002": 3}
    assert exported.stat().st_size == said["bytes"]


def test_a_row_that_has_no_column_fails(tmp_path):
    exported, _, cases = make(tmp_path, 6, 16, 2, 1)
    with pytest.raises(Exception, match="out of data bounds"):
        score(exported, cases["features"], numpy.array([2]))


def test_a_trained_model_is_exported(tmp_path):
    rows = ["a,clicked", *(f"{'pq'[i % 2]},{'yes' if i % 20 < 17 and i % 2 else 'no'}" for i in range(2_000))]
    (tmp_path / "shown.csv").write_text("\n".join(rows) + "\n")
    done = ctl("train", "--data", tmp_path / "shown.csv", "--target", "clicked", "--out", tmp_path / "one.model", "-q")
    assert done.returncode == 0, done.stderr
    done = ctl("export", tmp_path / "one.model", "--onnx", tmp_path / "one.onnx", "-o", "json")
    assert done.returncode == 0, done.stderr
    inputs = json.loads(done.stdout)["inputs"]
    z, p = score(tmp_path / "one.onnx", numpy.eye(inputs, dtype=numpy.float32), numpy.zeros(inputs))
    assert len(set(z)) > 1 and all(0 < x < 1 and math.isfinite(x) for x in p)


def test_what_cannot_be_exported_is_said(tmp_path):
    (tmp_path / "no.model").write_text("no model")
    for words, code, text in [(["export", tmp_path / "no.model"], 2, "--onnx"),
                              (["export", tmp_path / "no.model", "--onnx", tmp_path / "no.onnx"], 7, "8 bytes"),
                              (["export", tmp_path / "no.model", "--onnx", tmp_path / "no.model"], 2, "itself"),
                              (["export", tmp_path / "none", "--onnx", tmp_path / "no.onnx"], 3, "cannot be read")]:
        done = ctl(*words)
        assert done.returncode == code and text in done.stderr, done
    assert sorted(tmp_path.iterdir()) == [tmp_path / "no.model"]
    assert (tmp_path / "no.model").read_text() == "no model"
