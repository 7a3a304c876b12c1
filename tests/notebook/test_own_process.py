"""A function of a notebook in a process of its own: what its script holds, and what comes back."""

import linecache
import math
import os
import types

import numpy as np
import pytest

from utils.notebook.own_process import run_in_process, script_for

ROWS = """
import math
import numpy as np
from fractions import Fraction
import os

LIMIT, NAMES, TABLE = 3, ("a", "b"), {"a": 1}


class Base:
    factor = LIMIT

    def value(self):
        return self.factor * math.pi


class Scaled(Base):
    def value(self):
        return scale(super().value())


def scale(x, times=2):
    LIMIT = 10  # hides the global one
    return times * x if x < LIMIT else scale(x / 2)


def job(arrays):
    half = Fraction(1, 2)
    return {
        "sum": arrays["x"].sum() + Scaled().value() * float(half),
        "names": np.array(NAMES),
        "kept": arrays["x"],
        "environment": os.environ["OF_THE_TEST"],
    }


def needs_a_table(arrays):
    return {"a": TABLE["a"]}


def uses_a_local_name(arrays):
    TABLE = arrays["x"]
    return {"a": [value for value in TABLE]}


def turned(given):
    rows = [{"row": row[::-1], "count": len(row), "none": None} for row in given["rows"]]
    return {"rows": rows, "name": given["name"] * 2, "pair": (1, 0.5)}


def fails(arrays):
    raise KeyError("no such thing")


def leaves(code):
    os._exit(code)


maker = lambda arrays: {}


class WithoutFunctions:
    pass


def uses_a_class_without_functions(arrays):
    return {"a": WithoutFunctions.__name__}
"""


@pytest.fixture(scope="module")
def notebook():
    """A module whose text is known only to linecache, as that of a cell."""
    module = types.ModuleType("cell_of_the_test")
    name = "<cell of the test>"
    linecache.cache[name] = (len(ROWS), None, ROWS.splitlines(keepends=True), name)
    exec(compile(ROWS, name, "exec"), module.__dict__)
    yield module
    del linecache.cache[name]


def test_a_function_gives_in_its_process_what_it_gives_here(notebook, monkeypatch):
    x = np.arange(3, dtype="float32")
    found = run_in_process(notebook.job, {"x": x}, environment={"OF_THE_TEST": "there"})
    monkeypatch.setitem(os.environ, "OF_THE_TEST", "here")
    expected = notebook.job({"x": x})
    assert found.keys() == expected.keys()
    assert found["sum"] == expected["sum"] == pytest.approx(3 + 3 * math.pi)
    assert found["names"].tolist() == ["a", "b"]
    assert found["kept"].dtype == x.dtype and np.array_equal(found["kept"], x)
    assert found["environment"] == "there"  # and this process is as it was


def test_nested_arrays_keep_their_form_and_type_there_and_back(notebook):
    given = {"rows": [np.arange(3, dtype="int32"), np.ones((2, 2))], "name": "ab"}
    found = run_in_process(notebook.turned, given, environment={})
    assert found["name"] == "abab" and found["pair"] == (1, 0.5)
    assert [row["count"] for row in found["rows"]] == [3, 2]
    assert found["rows"][0]["row"].tolist() == [2, 1, 0] and found["rows"][0]["none"] is None
    assert found["rows"][0]["row"].dtype == np.int32 and found["rows"][1]["row"].shape == (2, 2)


def test_the_script_defines_what_is_used_in_order_and_nothing_else(notebook):
    script = script_for(notebook.job)
    order = ["LIMIT = 3", "class Base", "class Scaled", "def job"]
    places = [script.index(part) for part in order]
    assert places == sorted(places)
    assert script.count("def scale") == 1 and "NAMES = ('a', 'b')" in script
    assert "import math as math" in script and "from fractions import Fraction" in script
    assert "TABLE" not in script and "maker" not in script


def test_a_local_name_is_not_looked_up_around_the_function(notebook):
    assert "'a': 1" not in script_for(notebook.uses_a_local_name)


@pytest.mark.parametrize(
    "name, message",
    [
        ("needs_a_table", "TABLE is dict"),
        ("maker", "<lambda> is not found"),
        ("uses_a_class_without_functions", "WithoutFunctions is not found"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(notebook, name, message):
    with pytest.raises(ValueError, match=message):
        script_for(getattr(notebook, name))


def test_the_end_of_the_messages_of_a_failed_process_is_shown(notebook):
    with pytest.raises(RuntimeError, match=r"fails failed in its process:(.|\n)*no such thing"):
        run_in_process(notebook.fails, {}, environment={})


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_ends_without_a_result_says_so(notebook, code):
    with pytest.raises(RuntimeError, match=rf"ended with code {code} and gave no result"):
        run_in_process(notebook.leaves, code, environment={})
