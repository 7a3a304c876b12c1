"""Claims: which hold and which fail, the numbers of their tests, and what is refused."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from utils.notebook import check, evidence, item_tests, seed_tests
from utils.notebook.claims import Question, decide
from utils.notebook.stored_seeds import SeedValues

ROOT = Path(__file__).resolve().parents[2]
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
            run = evidence.CellRun(cell, str(self.run))
            monkeypatch.setattr(evidence, "current_cell", lambda: run)

    kernel = Kernel()
    displayed = kernel.append
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: displayed((a, k)))
    monkeypatch.setattr(evidence, "_cells_of_labels", {})
    kernel.start("a")
    return kernel


def claim(arms=None, label="claim-x", **options):
    """Check a claim, by default that LOW is lower than HIGH."""
    arms = {"low": LOW, "high": HIGH} if arms is None else arms
    defaults = {"expected": "lower", "unit": "nats", "shared": "data", "differs": "the model"}
    if options.get("over") != "items":
        defaults["seeds"] = SEEDS
    check.claim(label, arms, **defaults | options)


def decided(arms, expected="lower", threshold=None, seeds=SEEDS, **question):
    question = Question("claim-x", expected, threshold, **question)
    context = {"shared": "data", "differs": "the model"}
    return decide(question, arms, seeds=seeds, unit="nats", context=context)


RISING = {1: [1.0, 1.1, 1.0, 1.2], 2: [2.0, 2.2, 1.9, 2.1], 4: [4.1, 3.9, 4.2, 4.0]}
NEAR = [1.02, 1.08, 1.21, 1.1]
ITEMS = np.random.default_rng(0).normal(loc=[[1.0], [0.0]], size=(2, 200))
COUNTS = np.random.default_rng(0).integers(1, 9, (200, 2)) @ [[1, 1], [0, 1]]  # right, all
BETTER = COUNTS + np.array([2, 2])


def per_cent(total):
    """A measure of a corpus that is no mean over items."""
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


@pytest.mark.parametrize("expected, arms, options", HOLDING)
def test_a_claim_that_holds_says_so_in_one_line(capsys, expected, arms, options):
    claim(arms, expected=expected, **options)
    line, context = capsys.readouterr().out.splitlines()
    assert line.startswith("✓ claim-x: ") and line.endswith(": holds")
    assert ("200 items" if "over" in options else "seeds") in line
    assert context == "  differs: the model; shared: data"


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
    (finding,) = decided({"a": [2, 4, 6], "b": [1, 2, 3]}, "higher", seeds=range(3)).findings
    result = finding.comparison
    assert (result.effect, result.spread) == (2, 1)
    half = 4.302652729911275 / math.sqrt(3)
    assert result.interval == pytest.approx((2 - half, 2 + half))
    # the distribution of t with 2 degrees of freedom is 1/2 + t / (2 √(2 + t²))
    assert result.p == pytest.approx(1 - math.sqrt(12 / 14))
    assert not finding.holds, "p = 0.074"


def test_the_tests_on_seeds_are_those_of_scipy():
    low, high = np.array(LOW), np.array(HIGH)
    expected = stats.ttest_rel(low, high)
    result = seed_tests.t_test(low - high)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    result = seed_tests.t_equivalence(low - high, 1.5)
    sides = [
        stats.ttest_1samp(low - high, m, alternative=a).pvalue
        for m, a in ((-1.5, "greater"), (1.5, "less"))
    ]
    assert result.p == pytest.approx(max(sides))
    assert result.interval == pytest.approx(tuple(expected.confidence_interval(0.9)))
    x, y = list(RISING), np.array(list(RISING.values()))
    slopes = [np.polyfit(x, column, 1)[0] for column in y.T]
    result = seed_tests.slope_test(x, y)
    assert result.effect == pytest.approx(np.mean(slopes))
    assert result.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue)
    assert seed_tests.page_test(x, y, rising=True).p == stats.page_trend_test(y.T).pvalue
    falling = seed_tests.page_test(x[::-1], y, rising=False)
    assert falling.p == stats.page_trend_test(y.T).pvalue and falling.effect == -1
    values = np.arange(1.0, 8.0)
    assert seed_tests.wilcoxon_test(values).p == 2 / 2**7
    assert seed_tests.wilcoxon_equivalence(values, 10).p == 1 / 2**7


def test_a_p_value_of_items_is_the_share_of_exchanges_at_least_as_extreme():
    """Ten items, all better by one: of 1024 exchanges two are as extreme."""
    left, right = np.full((10, 1), 2.0), np.full((10, 1), 1.0)
    result = item_tests.randomization_test(left, right, lambda total: total[0] / 10)
    assert result.effect == 1 and result.interval == (1, 1)
    assert result.p == 2 / 1024
    assert result.test == "approximate randomization test"


def test_items_are_resampled_in_pairs_and_scored_as_a_whole():
    right = COUNTS.astype(float)
    left = right + np.array([2.0, 3.0])
    result = item_tests.bootstrap(left, right, per_cent, level=0.95)
    assert result.effect == pytest.approx(per_cent(left.sum(0)) - per_cent(right.sum(0)))
    draws = np.random.default_rng(5).integers(0, 200, (4000, 200))
    by_hand = [per_cent(left[i].sum(0)) - per_cent(right[i].sum(0)) for i in draws]
    assert result.interval == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=0.3)
    exchanged = np.random.default_rng(6).integers(0, 2, (2000, 200, 1)).astype(bool)
    extreme = [
        abs(per_cent(np.where(x, left, right).sum(0)) - per_cent(np.where(x, right, left).sum(0)))
        >= abs(result.effect) - 1e-9
        for x in exchanged
    ]
    p = item_tests.randomization_test(left, right, per_cent).p
    assert p == pytest.approx(np.mean(extreme), abs=0.03)


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
    rng, trials, accepted = np.random.default_rng(0), 600, 0
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
    rng, trials = np.random.default_rng(0), 300
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
    stored = SeedValues(dict(zip(SEEDS, HIGH, strict=True)), source)
    claim({"low": LOW, "high": stored}, shared={"parameters": 900}, differs={"cell": "LSTM, RNN"})
    (((content,), options),) = kernel
    record = options["metadata"][evidence.CLAIM_KEY]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert content["text/plain"].splitlines()[0] == record["line"]
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
    record = kernel[0][1]["metadata"][evidence.CLAIM_KEY]
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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label": "eq-x"}, "the label is 'eq-x'; expected claim-…"),
        ({"label": "claim-"}, "expected claim-…"),
        ({"label": "claim-X y"}, "expected claim-…"),
        ({"expected": "better"}, "expected is 'better'; choose from lower, higher, no difference"),
        ({"over": "folds"}, "over is 'folds'; choose from seeds, items"),
        ({"test": "z"}, "test is 'z'; choose from t, ranks"),
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
        ({"a": COUNTS, "b": COUNTS}, "2 statistics an item; give statistic="),
        ({"a": ITEMS[0], "b": ["x"] * 200}, "'b' needs one number"),
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


def test_arms_of_a_file_have_one_version_of_the_code():
    arms = {
        name: SeedValues(dict(zip(SEEDS, values, strict=True)), {"file": file, "code": name})
        for name, values, file in (("a", LOW, "one.json"), ("b", HIGH, "one.json"))
    }
    with pytest.raises(ValueError, match=r"arms of one.json come from several versions"):
        claim(arms)
    arms["b"].source["file"] = "two.json"
    claim(arms)


def test_a_learning_rate_on_the_edge_of_its_grid_is_told(capsys):
    arms, middle = {}, [1.5, 1.6, 1.7, 1.5]
    for name, values, rate in (("low", LOW, 0.1), ("mid", middle, 0.2), ("high", HIGH, 0.3)):
        settings = {"learning_rate": rate, "grid": [0.1, 0.2, 0.3]}
        source = {"file": "one.json", "code": "a", "settings": settings}
        arms[name] = SeedValues(dict(zip(SEEDS, values, strict=True)), source)
    claim(arms)
    assert "; learning rate on the edge of its grid: low, high" in capsys.readouterr().out


def test_claims_fail_when_python_ignores_assertions():
    code = (
        "from utils.notebook import check\n"
        "arms = {'a': [2.0, 2.1, 2.2], 'b': [1.0, 1.1, 1.0]}\n"
        "options = dict(unit='nats', shared='s', differs='d', seeds=range(3))\n"
        "try:\n    check.claim('claim-x', arms, expected='lower', **options)\n"
        "except AssertionError as error:\n    print('refused', 'does not hold' in str(error))\n"
    )
    command = [sys.executable, "-O", "-X", "utf8", "-c", code]
    assert subprocess.check_output(command, cwd=ROOT, text=True) == "refused True\n"
