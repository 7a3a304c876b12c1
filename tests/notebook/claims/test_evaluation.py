"""Claims: which hold and which fail, the numbers of their tests, and what is refused."""

import json
import math

import numpy as np
import pytest
import torch

from utils.notebook import cell_output, check
from utils.notebook.claims import item_tests
from utils.notebook.claims.evaluation import ClaimSpec, evaluate_claim
from utils.notebook.evidence import claim_evidence
from utils.notebook.seed_results import SeedValues

SEEDS = [0, 1, 2, 3]
LOW, HIGH = [1.0, 1.1, 1.2, 1.1], [2.0, 2.2, 2.1, 2.3]
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel: what it displays, and which cell runs."""
    displayed = []

    class Kernel(list):
        run = 0

        def start(self, cell):
            self.run += 1
            run = cell_output.CellRun(cell, str(self.run))
            monkeypatch.setattr(cell_output, "current_cell", lambda: run)

    kernel = Kernel()
    displayed = kernel.append
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: displayed((a, k)))
    monkeypatch.setattr(cell_output, "_cells_of_labels", {})
    kernel.start("a")
    return kernel


def claim(arms=None, label="claim-x", **options):
    """Check a claim, by default that LOW is lower than HIGH."""
    arms = {"low": LOW, "high": HIGH} if arms is None else arms
    defaults = {"expected": "lower", "unit": "nats", "shared": "data", "differs": "the model"}
    if options.get("over") != "items":
        defaults["seeds"] = SEEDS
    check.claim(label, arms, **defaults | options)


def decided(arms, expected="lower", threshold=None, seeds=SEEDS, **spec):
    spec = ClaimSpec("claim-x", expected, threshold, **spec)
    context = {"shared": "data", "differs": "the model"}
    return evaluate_claim(spec, arms, seeds=seeds, unit="nats", context=context)


RISING = {1: [1.0, 1.1, 1.0, 1.2], 2: [2.0, 2.2, 1.9, 2.1], 4: [4.1, 3.9, 4.2, 4.0]}
NEAR = [1.02, 1.08, 1.21, 1.1]
ITEMS = np.random.default_rng(0).normal(loc=[[1.0], [0.0]], size=(2, 200))
COUNTS = np.random.default_rng(0).integers(1, 9, (200, 2)) @ [[1, 1], [0, 1]]  # right, all
BETTER = COUNTS + np.array([2, 2])


def per_cent(total):
    """A measure of a corpus, not a mean over items."""
    return 100 * total[0] / total[1]


HOLDING = [
    ("lower", {"low": LOW, "high": HIGH}, {}),
    ("higher", {"high": HIGH, "low": LOW}, {}),
    ("higher", {"high": HIGH, "low": LOW, "near": NEAR}, {}),
    ("no difference", {"low": LOW, "near": NEAR}, {"margin": 0.1}),
    ("grows", RISING, {}),
    ("falls", {-x: y for x, y in RISING.items()}, {}),
    ("grows", RISING, {"test": "ranks"}),
    ("falls", {-x: y for x, y in RISING.items()}, {"test": "ranks"}),
    ("at least", {"low": LOW}, {"bound": 0.9}),
    ("at most", {"low": LOW, "high": HIGH}, {"bound": 3.0}),
    ("lower", {"low": range(6), "high": range(2, 14, 2)}, {"test": "ranks", "seeds": range(6)}),
    ("at least", {"low": range(6)}, {"test": "ranks", "seeds": range(6), "bound": -1}),
    ("higher", {"a": ITEMS[0], "b": ITEMS[1]}, {"over": "items"}),
    ("lower", {"b": ITEMS[1], "a": ITEMS[0]}, {"over": "items"}),
    ("no difference", {"a": ITEMS[0], "b": ITEMS[0] + 0.01}, {"over": "items", "margin": 0.1}),
    ("at least", {"a": ITEMS[0]}, {"over": "items", "bound": 0.5}),
    ("at most", {"a": ITEMS[0]}, {"over": "items", "bound": 1.5}),
    ("higher", {"a": BETTER, "b": COUNTS}, {"over": "items", "statistic": per_cent}),
]
FAILING = [
    ("lower", {"high": HIGH, "low": LOW}, {}),
    ("lower", {"low": LOW, "near": NEAR}, {}),
    ("lower", {"low": LOW, "high": HIGH, "near": NEAR}, {}),
    ("lower", {"low": LOW, "same": LOW}, {}),
    ("higher", {"a": [5.0, 0.0, 4.0, 1.0], "b": [0.0, 1.0, 0.0, 2.0]}, {}),
    ("no difference", {"low": LOW, "high": HIGH}, {"margin": 0.1}),
    ("no difference", {"low": LOW, "near": NEAR}, {"margin": 0.02}),
    ("grows", {-x: y for x, y in RISING.items()}, {}),
    ("falls", RISING, {}),
    ("falls", RISING, {"test": "ranks"}),
    ("grows", {1: LOW, 2: NEAR, 3: LOW[::-1]}, {}),
    ("at least", {"low": LOW}, {"bound": 1.05}),
    ("at least", {"low": LOW, "high": HIGH}, {"bound": 1.5}),
    ("at most", {"low": LOW}, {"bound": 1.0}),
    ("higher", {"low": range(6), "high": range(2, 14, 2)}, {"test": "ranks", "seeds": range(6)}),
    ("lower", {"a": ITEMS[0], "b": ITEMS[1]}, {"over": "items"}),
    ("higher", {"a": ITEMS[0], "b": ITEMS[0][::-1]}, {"over": "items"}),
    ("no difference", {"a": ITEMS[0], "b": ITEMS[1]}, {"over": "items", "margin": 0.1}),
    ("at least", {"a": ITEMS[0]}, {"over": "items", "bound": ITEMS[0].mean() - 0.01}),
    ("lower", {"a": BETTER, "b": COUNTS}, {"over": "items", "statistic": per_cent}),
]


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(item_tests, "NUM_RESAMPLES", 999)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("expected, arms, options", HOLDING)
def test_a_claim_that_holds_says_so_in_one_line(capsys, expected, arms, options):
    claim(arms, expected=expected, **options)
    line, context = capsys.readouterr().out.splitlines()
    assert line.startswith("✓ claim-x: ") and line.endswith(": holds")
    assert ("200 items" if "over" in options else "seeds") in line
    assert context == "  differs: the model; shared: data"


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("expected, arms, options", FAILING)
def test_a_claim_that_does_not_hold_raises_with_its_figures(capsys, expected, arms, options):
    with pytest.raises(AssertionError, match=r"✗ claim-x: .+: does not hold"):
        claim(arms, expected=expected, **options)
    assert not capsys.readouterr().out


def test_the_line_has_effect_unit_interval_p_value_test_and_seeds():
    line = decided({"low": LOW, "high": HIGH}).line()
    assert line == (
        "✓ claim-x: low − high = -1.05 nats, 95 % interval [-1.255, -0.8446], p < 0.001 "
        "(paired t test, 4 seeds): holds"
    )


def test_a_paired_t_test_by_hand():
    """Differences 1, 2, 3: mean 2, deviation 1, t = 2 √3, and the quantile 4.3027 for 2 degrees."""
    (tested,) = decided({"a": [2, 4, 6], "b": [1, 2, 3]}, "higher", seeds=range(3)).comparisons
    result = tested.comparison
    assert (result.effect, result.spread) == (2, 1)
    half = 4.302652729911275 / math.sqrt(3)
    assert result.interval == pytest.approx((2 - half, 2 + half))
    # the distribution of t with 2 degrees of freedom is 1/2 + t / (2 √(2 + t²))
    assert result.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert not tested.holds, "p = 0.074"


@pytest.mark.parametrize(
    "expected, threshold, test, num_seeds",
    [
        ("lower", None, "t", 3),
        ("higher", None, "ranks", 6),
        ("no difference", 1.0, "t", 5),
        ("grows", None, "t", 3),
        ("grows", None, "ranks", 4),
        ("at least", 0.0, "t", 4),
    ],
)
def test_a_false_claim_is_accepted_in_five_per_cent_at_most(expected, threshold, test, num_seeds):
    """Arms without a difference; for equivalence, arms that differ by just the margin."""
    rng, trials, accepted = np.random.default_rng(0), 400, 0
    for _ in range(trials):
        values = rng.normal(size=(3, num_seeds))
        arms = dict(zip((1, 2, 3), values, strict=True))
        if expected == "no difference":
            arms = {"a": values[0], "b": values[0] + 0.3 * values[1] + threshold}
        elif expected != "grows":
            arms = {"a": values[0], "b": values[1]}
            arms = {"a": values[0]} if expected == "at least" else arms
        claim_ = decided(arms, expected, threshold, test=test, seeds=range(num_seeds))
        accepted += claim_.holds
    noise = 3 * math.sqrt(0.05 * 0.95 / trials)
    assert 0 < accepted / trials < 0.05 + noise


def test_false_claims_about_items_are_rarely_accepted(monkeypatch):
    monkeypatch.setattr(item_tests, "NUM_RESAMPLES", 199)
    rng, trials = np.random.default_rng(0), 200
    accepted = sum(
        decided(
            dict(zip("ab", rng.normal(size=(2, 30)), strict=True)),
            over="items",
            test="resampling",
            seeds=None,
        ).holds
        for _ in range(trials)
    )
    assert accepted / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_evidence_is_stored_in_the_metadata(kernel):
    source = {"file": "ladder.json", "arm": "high", "code": "abc", "commits": ["1f"]}
    source["origin"] = ["real"]
    stored = SeedValues(dict(zip(SEEDS, HIGH, strict=True)), source)
    claim({"low": LOW, "high": stored}, shared={"parameters": 900}, differs={"cell": "LSTM, RNN"})
    (((content,), options),) = kernel
    record = options["metadata"][cell_output.CLAIM_KEY]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    line = content["text/plain"].splitlines()[0]
    assert line == f"✓ claim-x: {claim_evidence(record)}: holds"
    assert (record["label"], record["kind"], record["holds"]) == ("claim-x", "lower", True)
    assert (record["unit"], record["seeds"]) == ("nats", SEEDS)
    assert record["arms"] == {"low": LOW, "high": HIGH}
    assert (record["shared"], record["differs"]) == ("parameters 900", "cell LSTM, RNN")
    assert record["sources"] == {"low": "computed here", "high": source}
    (comparison,) = record["comparisons"]
    assert comparison["effect"] == pytest.approx(-1.05) and comparison["p"] < 0.001
    assert comparison["test"] == "paired t test" and len(comparison["interval"]) == 2


def test_items_are_counted_and_not_stored(kernel):
    claim({"a": ITEMS[0], "b": ITEMS[1]}, expected="higher", over="items")
    record = kernel[0][1]["metadata"][cell_output.CLAIM_KEY]
    assert (record["items"], record["arms"], record["over"]) == (200, ["a", "b"], "items")
    assert len(json.dumps(record)) < 2000


def test_a_label_is_used_once_in_a_notebook_but_its_cell_may_run_again(kernel):
    claim()
    kernel.start("a")
    claim()
    kernel.start("b")
    claim(label="claim-y")
    with pytest.raises(ValueError, match=r"claim-x: another cell .* has this label"):
        claim()
    with pytest.raises(ValueError, match="claim-y: this cell uses the label twice"):
        claim(label="claim-y")
    assert len(kernel) == 3


def test_a_claim_that_failed_can_be_checked_again(kernel):
    with pytest.raises(AssertionError):
        claim(expected="higher")
    kernel.start("a")
    claim()


@pytest.mark.parametrize(
    "arms, message",
    [
        ({"a": LOW}, "'lower' needs 2 arms or more, got .'a'"),
        ({}, "needs 2 arms"),
        ([LOW, HIGH], "arms are a dict"),
        ({"a": {}, "b": {}}, "'a' has no seeds"),
        ({"a": {0: 1, 1: 2}, "b": {0: 2, 1: 3}}, "2 seeds of 'a'; a claim needs at least 3"),
        ({"a": {0: 1, 1: 2, 2: 3}, "b": {0: 1, 1: 2, 3: 3}}, "'a' has the seeds 0, 1, 2, 'b' has"),
        ({"a": {0: 1, 1: 2, 2: 3}, "b": {"0": 1, "1": 2, "2": 3}}, "'b' has '0', '1', '2'; the"),
        ({"a": {0: 1, 1: 2, 2: 3}, "b": {0: 1, 1: 2, 2: 3, 3: 4}}, "run all with the same"),
        ({"a": LOW, "b": dict.fromkeys(range(1, 5), 1)}, r"'b' has the seeds 1, 2, 3, 4, not \[0"),
        ({"a": LOW, "b": LOW[:3]}, "'b' has 3 values for 4 seeds"),
        ({"a": [1, 2, NAN, 3], "b": LOW}, "'a', seed 2 is nan"),
        ({"a": LOW, "b": [1, 2, INF, 3]}, "'b', seed 2 is inf"),
        ({"a": ["1.0"] * 4, "b": LOW}, "expected one finite number"),
        ({"a": torch.ones(4, 2), "b": LOW}, "expected one finite number"),
        ({"a": 3.0, "b": LOW}, "'a' is 3.0; give one value for each seed"),
        ({"a": [1.0] * 4, "b": [2.0] * 4}, "the same value with every seed"),
        ({1: LOW, "1": HIGH}, "two arms have one name"),
    ],
)
def test_arms_that_decide_nothing_are_refused(arms, message):
    with pytest.raises(ValueError, match=f"^claim-x: .*{message}"):
        claim(arms, seeds=None if "a" in arms and isinstance(arms["a"], dict) else SEEDS)


@pytest.mark.parametrize("test", ["t", "ranks"])
def test_a_difference_of_nothing_but_rounding_does_not_hold(test):
    low = np.array([1.5, 1.6, 1.7, 1.4, 1.3, 1.2])
    for arms, expected in (
        ({"a": low - 1e-12, "b": low}, "lower"),
        ({1: low, 2: low + 5e-13, 3: low + 1e-12}, "grows"),
    ):
        spec = ClaimSpec("claim-x", expected, test=test)
        result = evaluate_claim(spec, arms, seeds=range(6), unit="nats", context={})
        assert not result.holds


@pytest.mark.parametrize("expected, bound", [("lower", None), ("at least", 0.0)])
def test_a_statistic_that_is_nan_is_named(expected, bound):
    arms = {"a": np.arange(20.0), "b": np.arange(20.0)[::-1]}
    spec = ClaimSpec("claim-x", expected, bound, "items", "resampling", lambda total: math.nan)
    with pytest.raises(ValueError, match="statistic must give finite scores, got nan"):
        evaluate_claim(spec, arms, seeds=None, unit="nats", context={})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label": "eq-x"}, "the label is 'eq-x'; expected claim-…"),
        ({"label": "claim-"}, "expected claim-…"),
        ({"label": "claim-X y"}, "expected claim-…"),
        ({"expected": "better"}, "^claim-x: expected is 'better'; choose from lower, higher, no"),
        ({"over": "folds"}, "^claim-x: over is 'folds'; choose from seeds, items"),
        ({"test": "z"}, "^claim-x: test is 'z'; choose from t, ranks"),
        ({"unit": " "}, "name it"),
        ({"shared": ""}, "shared is ''"),
        ({"differs": {}}, "differs is {}"),
        ({"seeds": None}, "'low' has no seeds; give a mapping"),
        ({"seeds": [0, 1, 1, 2]}, "a seed occurs twice"),
        ({"expected": "no difference"}, "'no difference' needs a number margin="),
        ({"expected": "no difference", "margin": 0}, "margin is 0; give the largest difference"),
        ({"expected": "no difference", "margin": -0.1}, "a positive number"),
        ({"expected": "no difference", "margin": NAN}, "needs a number margin="),
        ({"expected": "no difference", "bound": 1}, "'no difference' needs margin="),
        ({"expected": "at least"}, "'at least' needs a number bound="),
        ({"expected": "at most", "margin": 1}, "'at most' needs bound="),
        ({"margin": 0.1}, "'lower' has no margin and no bound"),
        ({"margin": 0.1, "bound": 1}, "not both"),
        ({"expected": "grows"}, "'grows' needs 3 arms or more"),
        ({"test": "ranks"}, "signed ranks need 6 seeds, got 4"),
        ({"over": "items", "seeds": SEEDS}, "items of a test set have no seeds"),
        ({"statistic": sum}, "a statistic needs over='items'"),
        ({"expected": "grows", "over": "items"}, "a trend is tested over seeds"),
        ({"over": "items"}, "4 items; a test needs at least 10"),
    ],
)
def test_a_claim_that_is_not_clear_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        claim(**options)


@pytest.mark.parametrize(
    "arms, message",
    [
        ({"a": ITEMS[0], "b": ITEMS[1][:99]}, "the same items in the same order"),
        ({"a": ITEMS[0], "b": np.full(200, NAN)}, "item 0 of 'b' is not finite"),
        ({"a": COUNTS, "b": COUNTS}, "2 statistics per item; give statistic="),
        ({"a": ITEMS[0], "b": ["x"] * 200}, "'b' needs one number or one row"),
        ({"a": np.ones((2, 2, 2)), "b": ITEMS[1]}, "has the shape"),
    ],
)
def test_items_that_cannot_be_paired_are_refused(arms, message):
    with pytest.raises(ValueError, match=message):
        claim(arms, over="items")


@pytest.mark.parametrize("name", ["ten", NAN, False])
def test_a_trend_needs_numbers(name):
    with pytest.raises(ValueError, match="needs numbers as names of arms"):
        claim({1: LOW, 2: HIGH, name: LOW}, expected="grows")


def stored_arm(values, code="a", file="one.json", **others):
    source = {"file": file, "code": code, "origin": ["real"]} | others
    return SeedValues(dict(zip(SEEDS, values, strict=True)), source)


def test_arms_of_a_file_have_one_version_of_the_code():
    arms = {"a": stored_arm(LOW), "b": stored_arm(HIGH, code="b")}
    with pytest.raises(ValueError, match=r"arms of one.json come from several versions"):
        claim(arms)
    arms["b"].source["file"] = "two.json"
    claim(arms)


def test_arms_have_data_of_one_origin():
    """Also those of different files; what was computed in the notebook has no recorded origin."""
    arms = {"a": stored_arm(LOW), "b": stored_arm(HIGH, file="two.json", origin=["stand-in"])}
    with pytest.raises(ValueError, match=r"^claim-x: .* origin .*\(real: a; stand-in: b\)"):
        claim(arms)
    claim(arms | {"a": LOW})


def test_a_learning_rate_on_the_edge_of_its_grid_is_told(capsys):
    arms, middle = {}, [1.5, 1.6, 1.7, 1.5]
    for name, values, rate in (("low", LOW, 0.1), ("mid", middle, 0.2), ("high", HIGH, 0.3)):
        arms[name] = stored_arm(values, settings={"learning_rate": rate, "grid": [0.1, 0.2, 0.3]})
    claim(arms)
    assert "; learning rate on the edge of its grid: low, high" in capsys.readouterr().out


def test_items_may_be_tensors_of_any_type(kernel):
    values = torch.arange(20.0)
    arms = {"a": values.requires_grad_(), "b": (values.detach() + 8).bfloat16()}
    claim(arms, expected="lower", over="items")
    record = kernel[0][1]["metadata"][cell_output.CLAIM_KEY]
    assert record["comparisons"][0]["effect"] == pytest.approx(-8.0, abs=0.1)
