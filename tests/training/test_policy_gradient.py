"""Policy gradients: log-probabilities, entropy, divergence, advantages, the clipped loss."""

import math
from itertools import product

import pytest
import torch

from utils.data.answer_batches import answer_batch
from utils.data.batches import IGNORE_INDEX
from utils.training.policy_gradient import (
    group_advantages,
    policy_loss,
    target_log_probs,
    token_entropies,
    token_kl,
)

V = 3


@pytest.fixture
def batch():
    """Two answers of different lengths after prompts."""
    return answer_batch([[1, 2], [1]], [[0, 2], [2, 1, 0]])


@pytest.fixture
def logits(batch):
    torch.manual_seed(0)
    return torch.randn(*batch.inputs.shape, V, dtype=torch.float64)


def test_log_probabilities_entropies_and_divergences_of_each_token(batch, logits):
    other = torch.randn(logits.shape, dtype=torch.float64)
    log_probs = target_log_probs(logits, batch.targets)
    entropies = token_entropies(logits, batch.targets)
    divergences = token_kl(logits, other, batch.targets)
    for b, t in product(*map(range, batch.targets.shape)):
        target = int(batch.targets[b, t])
        p = [math.exp(x) for x in logits[b, t].tolist()]
        q = [math.exp(x) for x in other[b, t].tolist()]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        wanted = [0.0, 0.0, 0.0]
        if target != IGNORE_INDEX:
            kl = sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
            wanted = [math.log(p[target]), -sum(x * math.log(x) for x in p), kl]
        found = [x[b, t].item() for x in (log_probs, entropies, divergences)]
        assert found == pytest.approx(wanted), (b, t)
    assert token_kl(logits, logits, batch.targets).abs().max() < 1e-12


def test_the_divergence_of_excluded_tokens_is_zero_or_infinite_and_never_nan():
    """0 · log(0/q) = 0 for every q, and p · log(p/0) = ∞."""
    inf, rows = math.inf, torch.tensor([[1, 1, IGNORE_INDEX, 1]])
    p = torch.tensor([[[0.0, 0.0, -inf], [0.0, 0.0, -inf], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    q = torch.tensor([[[0.0, 0.0, -inf], [0.0, 0.0, 0.0], [0.0, 0.0, -inf], [0.0, 0.0, -inf]]])
    assert token_kl(p, q, rows)[0].tolist() == pytest.approx([0.0, math.log(1.5), 0.0, inf])
    p.requires_grad_()
    token_kl(p, q, rows)[0, :3].sum().backward()
    assert p.grad[0, :3].isfinite().all(), "where it is finite itself"


def test_a_group_is_compared_with_its_mean_and_its_deviation():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]])
    plain = group_advantages(rewards, scale_by_std=False)
    assert plain.tolist() == [[0.75, -0.25, -0.25, -0.25], [0.0] * 4]
    scaled = group_advantages(rewards, scale_by_std=True, epsilon=1e-6)
    assert scaled[0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], rel=1e-4)  # s² = ¾/3
    assert scaled[1].tolist() == [0.0] * 4, "ε keeps equal rewards from 0/0"


def test_epsilon_stands_outside_the_root():
    found = group_advantages(torch.tensor([[1.0, 0.0]]), scale_by_std=True, epsilon=0.5)
    assert found[0, 0].item() == pytest.approx(0.5 / (math.sqrt(0.5) + 0.5))


def test_the_group_estimate_without_deviation_points_along_the_gradient():
    """Over all groups of two answers of one token; with the deviation it is another multiple."""
    scores = torch.tensor([0.2, -0.4, 0.9], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([1.0, 0.3, 0.0], dtype=torch.float64)
    p = scores.softmax(0)
    (exact,) = torch.autograd.grad(p @ rewards, scores)
    p, grads = p.detach(), torch.eye(V, dtype=torch.float64) - p.detach()  # ∇ log p(y): row y
    groups = torch.tensor(list(product(range(V), repeat=2)))
    weights = p[groups].prod(1)
    plain, scaled = (
        torch.einsum(
            "n,ni,niv->v",
            weights,
            group_advantages(rewards[groups], scale_by_std=std),
            grads[groups],
        )
        / 2
        for std in (False, True)
    )
    assert torch.allclose(plain, exact / 2)
    cosine = torch.nn.functional.cosine_similarity(scaled, exact, dim=0)
    assert cosine < 0.9999


@pytest.mark.parametrize("rewards", [torch.zeros(4), torch.zeros(3, 1), torch.zeros(2, 2, 2)])
def test_groups_of_another_shape_are_refused(rewards):
    with pytest.raises(ValueError, match="at least two answers"):
        group_advantages(rewards, scale_by_std=False)


def test_the_loss_is_a_masked_sum_that_accumulates(batch, logits):
    log_probs = target_log_probs(logits, batch.targets)
    drawn = log_probs + 0.05 * torch.randn(log_probs.shape, dtype=torch.float64)
    advantages = torch.tensor([0.7, -1.3], dtype=torch.float64)
    whole = policy_loss(
        log_probs, drawn_log_probs=drawn, advantages=advantages, targets=batch.targets
    )
    rows = [
        policy_loss(
            log_probs[i : i + 1],
            drawn_log_probs=drawn[i : i + 1],
            advantages=advantages[i : i + 1],
            targets=batch.targets[i : i + 1],
        )
        for i in range(2)
    ]
    assert torch.allclose(whole, sum(rows))
    is_answer = batch.targets != IGNORE_INDEX
    gains = ((log_probs - drawn).exp() * advantages[:, None])[is_answer]
    assert torch.allclose(whole, -gains.sum())
    moved = policy_loss(
        log_probs + ~is_answer, drawn_log_probs=drawn, advantages=advantages, targets=batch.targets
    )
    assert torch.equal(moved, whole), "what is no answer has no effect"


def test_the_first_step_has_the_gradient_of_reinforce(batch, logits):
    logits.requires_grad_()
    advantages = torch.tensor([0.7, -1.3], dtype=torch.float64)
    log_probs = target_log_probs(logits, batch.targets)
    loss = policy_loss(
        log_probs, drawn_log_probs=log_probs.detach(), advantages=advantages, targets=batch.targets
    )
    (found,) = torch.autograd.grad(loss, logits, retain_graph=True)
    (wanted,) = torch.autograd.grad(-(advantages[:, None] * log_probs).sum(), logits)
    assert torch.allclose(found, wanted) and wanted.abs().max() > 0.1


def test_ratios_are_clipped_in_the_direction_of_the_advantage():
    ratios = torch.tensor([[0.5, 1.0, 2.0]] * 2, dtype=torch.float64)
    log_probs = ratios.log().requires_grad_()
    targets = torch.ones(2, 3, dtype=torch.int64)
    advantages = torch.tensor([1.0, -1.0], dtype=torch.float64)
    loss = policy_loss(
        log_probs,
        drawn_log_probs=torch.zeros(2, 3),
        advantages=advantages,
        targets=targets,
        clip_range=0.2,
    )
    assert loss.item() == pytest.approx(-(0.5 + 1 + 1.2) + (0.8 + 1 + 2))
    loss.backward()
    assert log_probs.grad.tolist() == [[-0.5, -1.0, 0.0], [0.0, 1.0, 2.0]]


def test_rows_without_an_answer_and_wrong_shapes_are_refused(batch, logits):
    log_probs = target_log_probs(logits, batch.targets)
    advantages, masked = torch.ones(2), batch.targets.clone()
    masked[1] = IGNORE_INDEX
    with pytest.raises(ValueError, match="a token that counts"):
        policy_loss(log_probs, drawn_log_probs=log_probs, advantages=advantages, targets=masked)
    with pytest.raises(ValueError, match="one shape"):
        policy_loss(
            log_probs,
            drawn_log_probs=log_probs[:, 1:],
            advantages=advantages,
            targets=batch.targets,
        )
    with pytest.raises(ValueError, match="one for each of 2 answers"):
        policy_loss(
            log_probs, drawn_log_probs=log_probs, advantages=torch.ones(3), targets=batch.targets
        )
    with pytest.raises(ValueError, match="clip_range"):
        policy_loss(
            log_probs,
            drawn_log_probs=log_probs,
            advantages=advantages,
            targets=batch.targets,
            clip_range=0.0,
        )


@pytest.mark.parametrize(
    "rewards",
    [torch.tensor([[1, 0]]), torch.tensor([[math.nan, 1.0]]), torch.tensor([[math.inf, 1.0]])],
)
def test_rewards_are_finite_numbers_with_a_mean(rewards):
    with pytest.raises(ValueError, match="rewards must be finite floating-point numbers"):
        group_advantages(rewards, scale_by_std=True)


def test_a_divergence_is_from_the_reference_of_the_same_answers(batch, logits):
    """Logits of one answer were taken for the reference of all."""
    with pytest.raises(ValueError, match="logits and reference_logits must have one shape"):
        token_kl(logits, logits[:1], batch.targets)


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (1, 2, 3)])
def test_targets_are_not_broadcast(shape):
    logits, targets = torch.zeros(2, 3, 4), torch.zeros(shape, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"targets must have the shape \(2, 3\) of the logits"):
        token_entropies(logits, targets)
    with pytest.raises(ValueError, match=r"targets must have the shape \(2, 3\) of the logits"):
        token_kl(logits, logits, targets)


def test_targets_are_integers_of_the_vocabulary_one_for_each_row(batch, logits):
    """Transposed targets took the log-probabilities of other rows."""
    for targets in (batch.targets.T, batch.targets.flatten()):
        with pytest.raises(ValueError, match="targets must have the shape"):
            target_log_probs(logits, targets)
    for function in (target_log_probs, token_entropies):
        with pytest.raises(ValueError, match="and targets integers"):
            function(logits, batch.targets.float())
    with pytest.raises(ValueError, match=f"targets must be from 0 to {logits.shape[-1] - 1}"):
        target_log_probs(logits, batch.targets.clamp(min=99))
    expected = target_log_probs(logits, batch.targets)
    assert torch.equal(target_log_probs(logits, batch.targets.int()), expected)


def test_what_an_answer_was_drawn_with_has_no_gradient():
    """With that of log_probs the gradient was zero, and nothing was trained."""
    log_probs = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    targets, advantages = torch.tensor([[4, 5]]), torch.ones(1)
    with pytest.raises(ValueError, match=r"give drawn_log_probs.detach\(\)"):
        policy_loss(log_probs, drawn_log_probs=log_probs, advantages=advantages, targets=targets)
    with pytest.raises(ValueError, match=r"give advantages.detach\(\)"):
        policy_loss(
            log_probs,
            drawn_log_probs=log_probs.detach(),
            advantages=advantages.requires_grad_(),
            targets=targets,
        )
    with torch.no_grad():
        assert (
            policy_loss(
                log_probs, drawn_log_probs=log_probs, advantages=advantages, targets=targets
            ).tolist()
            == -2.0
        )
