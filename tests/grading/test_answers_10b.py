"""Chapter 10's last four exercises: right answers in other styles, and truths that come from elsewhere."""

import numpy as np
import pandas as pd
import pytest
import torch
from right_answers import loses_no_point
from submissions import Answers
from torch.nn.functional import logsigmoid

from pgcourse.exercises.ch10 import _runs, choose_beta, logs
from pgcourse.lab import load

RIGHT = Answers()
right = RIGHT.to


@right("10.dpo_gradient")
def by_autograd(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    up, down = (x.clone().requires_grad_() for x in (chosen, rejected))
    good = torch.where(chosen_mask, up - ref_chosen, 0.0).sum(-1)
    bad = torch.where(rejected_mask, down - ref_rejected, 0.0).sum(-1)
    loss = -logsigmoid(beta * (good - bad)).mean()
    loss.backward()
    parts = {"chosen": (up, chosen_mask), "rejected": (down, rejected_mask)}
    return {"loss": loss.item()} | {name: torch.where(mask, x.grad, 0.0) for name, (x, mask) in parts.items()}


@right("10.dpo_gradient")
def in_numpy_pair_by_pair(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    names = chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask
    up, down, ref_up, ref_down, up_mask, down_mask = (x.detach().numpy() for x in names)
    n, loss, d_up, d_down = len(up), 0.0, np.zeros(up.shape), np.zeros(down.shape)
    for i in range(n):
        a, b = up_mask[i], down_mask[i]
        h = np.float64(up[i][a] - ref_up[i][a]).sum() - np.float64(down[i][b] - ref_down[i][b]).sum()
        loss += np.logaddexp(0, -beta * h) / n
        pull = beta / n * np.exp(-np.logaddexp(0, beta * h))
        d_up[i, a], d_down[i, b] = -pull, pull
    return {"rejected": d_down, "chosen": d_up, "loss": loss}


@right("10.dpo_gradient")
def in_float64(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    sums = [
        torch.where(mask, x.double(), 0.0).sum(1) - torch.where(mask, y.double(), 0.0).sum(1)
        for x, y, mask in ((chosen, ref_chosen, chosen_mask), (rejected, ref_rejected, rejected_mask))
    ]
    m = beta * (sums[0] - sums[1])
    pull = beta * (1 - torch.sigmoid(m)) / m.numel()
    both = -pull[:, None] * chosen_mask.double(), pull[:, None] * rejected_mask.double()
    return {"loss": -logsigmoid(m).mean(), "chosen": both[0], "rejected": both[1]}


@right("10.repair_grpo")
def group_by_group(score, log_prob, ref_log_prob, mask, beta):
    result = torch.zeros_like(score)
    for i in range(len(score)):
        kl = torch.stack([(p - q)[m].sum() for p, q, m in zip(log_prob[i], ref_log_prob[i], mask[i], strict=True)])
        reward = score[i] - beta * kl
        result[i] = (reward - reward.mean()) / (reward.std() + 1e-4)
    return result


@right("10.repair_grpo")
def each_divided(score, log_prob, ref_log_prob, mask, beta):
    """Score and divergence centred and divided apart, by the deviation of what they make together."""
    kl = torch.where(mask, log_prob - ref_log_prob, 0.0).sum(2)
    std, (a, b) = (score - beta * kl).std(1, keepdim=True) + 1e-4, (x - x.mean(1, keepdim=True) for x in (score, kl))
    return a / std - beta * b / std


@right("10.repair_grpo")
def in_numpy(score, log_prob, ref_log_prob, mask, beta):
    kl = np.where(mask, log_prob.double() - ref_log_prob.double(), 0.0).sum(-1)
    reward = score.double().numpy() - beta * kl
    return (reward - reward.mean(1)[:, None]) / (reward.std(1, ddof=1)[:, None] + 1e-4)


@right("10.choose_beta")
def a_high_price():
    return {"beta": 0.3, "stop_kl": None}


@right("10.choose_beta")
def a_low_price_and_a_stop():
    return dict(stop_kl=np.float32(5), beta=torch.tensor(0.03))


@right("10.choose_beta")
def as_a_number():
    return {"beta": 1e-1, "stop_kl": float("inf")}


@right("10.logs")
def spelled():
    return dict(zip("ABCDEFGHIJKLMN", logs.TRUTH.values(), strict=True))


@pytest.mark.parametrize(("name", "answer"), [(name, one) for name, some in RIGHT.items() for one in some])
def test_a_right_answer_loses_no_point(name, answer):
    loses_no_point(name, answer)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"beta": 0.1}, "not a dictionary with the keys"),
        ({"beta": 0.2, "stop_kl": 5}, "there are runs with 0, 0.03, 0.1, 0.3"),
        ({"beta": "0.1", "stop_kl": 5}, "beta = '0.1' is not a number"),
        ({"beta": 0.1, "stop_kl": 0}, "above 0"),
        ({"beta": None, "stop_kl": 3}, "beta = None is not a number"),
    ],
)
def test_a_choice_that_cannot_be_is_explained(answer, said):
    assert said in choose_beta.allowed(answer, {}, None)
    assert choose_beta.good(answer, {}, None) == choose_beta.allowed(answer, {}, None)


def test_the_proxy_would_choose_the_worst_price():
    ends = [choose_beta.shipped(beta, np.inf, seed) for beta in choose_beta.BETAS for seed in range(5)]
    table = pd.DataFrame(ends).groupby("beta")[["proxy", "gold"]].mean()
    assert table["proxy"].idxmax() == table["gold"].idxmin() == 0.0
    assert table["gold"].idxmax() == 0.1


def test_settings_pass_and_fail_as_published():
    table = pd.DataFrame(
        list(choose_beta.calibration()), columns=["beta", "stop", "shown", "hidden", "passes", "chance"]
    )
    safe = table[table["beta"].isin([0.1, 0.3]) & (table["stop"] >= 3)]
    assert (safe["passes"] == 10).all()
    assert safe["chance"].min() >= 0.96
    of = table.set_index(["beta", "stop"])["chance"]
    assert of[0.1, 6.0] >= 0.99
    assert all(of[one] < 0.01 for one in [(0.0, 20.0), (0.0, 10.0), (0.1, 0.5)])
    assert all(0.06 < of[one] < 0.16 for one in [(0.0, np.inf), (0.03, np.inf), (0.3, 1.0)])
    border = table.set_index(["beta", "stop"])["passes"]
    assert (border[0.03, 8.0], border[0.0, 5.0]) == (6, 4)
    wrong = [(0.0, np.inf), (0.0, 20.0), (0.0, 10.0), (0.03, np.inf), (0.1, 0.5), (0.3, 1.0)]
    assert [border[one] for one in wrong] == [0] * len(wrong)


def test_grpo_drifts_as_far_as_the_solution_says():
    ends = load("rlhf-algorithms").curves.groupby(["variant", "seed"])["kl"].last()
    assert ends["GRPO"].round().between(8, 11).all()
    assert ends["GRPO, KL in the reward"].round().between(4, 5).all()


def reading(run, healthy, others):
    """The solution's rules, one by one, for a log without a name."""
    late = run[run["iteration"] >= 8].mean(numeric_only=True)
    if (run["silent_groups"] == 1).all():
        return "a constant reward" if (run["kl"] == 0).all() else "rounding divided by rounding"
    if run["grad_norm"].max() > 1_000:
        return "divided by the others' deviation"
    if late["finished"] < 0.5:
        return "no price of unfinished responses"
    if (run["tokens"] % 1 == 0).all():
        return "padding counted"
    if (run["clip_fraction"] == 0).all() and run["largest_ratio"].max() > 1.2:
        return "no clip"
    if run["clip_fraction"].min() > 0.4:
        far = run["update_kl"].median() > 5 * healthy["update_kl"].median()
        return "ratio of whole responses" if far else "clip fraction counts the inside"
    if (run["paid"] == 0).all():
        return "no KL"
    if late["paid"] < 0:
        return "KL with the wrong sign"
    same, free = ["proxy", "kl", "grad_norm", "largest_ratio"], [one for one in others if (one["paid"] == 0).all()]
    if any(np.array_equal(run[same], one[same]) for one in free):
        return "KL term without gradient"
    if run["grad_norm"].max() > 10:
        return "k3 with the ratio inverted"
    if late["paid"] / late["kl"] > 0.15:
        return "KL counted twice"
    return "nothing"


def test_each_log_can_be_told_by_what_is_shown():
    table = logs.runs()
    of = {name: table[table["run"] == name] for name in table["run"].unique()}
    assert set(of) == {*logs.TRUTH.values(), "healthy PPO", "healthy GRPO"}
    for letter, name in logs.TRUTH.items():
        healthy = of["healthy PPO" if letter in logs.PPO else "healthy GRPO"]
        others = [one for other, one in of.items() if other != name]
        assert (letter, reading(of[name], healthy, others)) == (letter, name)


@pytest.mark.parametrize("name", ["healthy PPO", "healthy GRPO"])
def test_the_script_makes_the_logs(name):
    kept = logs.runs().query("run == @name").iloc[0]
    (row,) = _runs.RUNS[name].rows(int(kept["seed"]), iterations=1)
    assert {key: float(f"{value:.3g}") for key, value in row.items()} == kept[list(row)].to_dict()


def test_an_edit_that_does_not_fit_the_trainer_is_an_error():
    with pytest.raises(ValueError, match=r"stands 0 times in the trainer: 'no such line'"):
        _runs.run(("no such line", ""))
