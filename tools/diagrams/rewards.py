"""Diagrams of section 8.4: one step of training on rewards."""

from __future__ import annotations

from tools.diagrams.boxes import spread
from tools.diagrams.vocabulary import Diagram


def policy_gradient_step() -> Diagram:
    """Draw a question, four sampled answers, their rewards and advantages, and the way back."""
    d = Diagram(
        "policy-gradient-step",
        "One step of training on rewards",
        "From bottom to top: a question enters the policy, which samples four answers, three of "
        "them right. The checker gives the rewards 1, 1, 1 and 0. Less their mean of 0.75 they are "
        "the advantages 0.25, 0.25, 0.25 and −0.75. An arrow leads from the advantages back to the "
        "policy: it raises the first three answers and lowers the last.",
    )
    columns, side = spread(50, 230, 4), 268.0
    middle = 140.0
    question = d.token(middle, 330, "uuwdudwu?")
    policy = d.box(middle, 270, 210, "policy", "layer", height=34)
    d.arrow(question.top, policy.bottom)
    checker = d.box(middle, 150, 210, "checker", "plain", height=30)
    answers = ("=2", "=2", "=2", "=1")
    rewards, advantages = ("1", "1", "1", "0"), ("0.25", "0.25", "0.25", "−0.75")
    for x, answer, reward, advantage in zip(columns, answers, rewards, advantages, strict=True):
        sampled = d.token(x, 210, answer)
        d.arrow(policy.top_at(x), sampled.bottom)
        d.arrow(sampled.top, checker.bottom_at(x))
        d.arrow(checker.top_at(x), (x, 112))
        d.text(x, 100, reward)
        d.arrow((x, 88), (x, 60))
        d.text(x, 48, advantage, colour="loss-text")
    for y, label in (
        (210, "answers"),
        (100, "rewards"),
        (74, "less mean 0.75"),
        (48, "advantages"),
    ):
        d.note(side, y, label, anchor="start")
    d.arrow((side + 84, 48), (side + 108, 48), (side + 108, 270), policy.right, colour="loss")
    d.note(side + 40, 288, "gradient", colour="loss-text")
    return d
