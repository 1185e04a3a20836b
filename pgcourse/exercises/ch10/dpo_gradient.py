"""DPO's loss, and its gradient by hand."""

import numpy as np
import torch

from pgcourse.grading.kinds import Check, derive


def dpo_gradient(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta):
    """-log σ(β (h_chosen - h_rejected)), differentiated by autograd. Rafailov et al. (2023), eq. 7."""
    own = [torch.from_numpy(np.where(mask, x, 0.0)) for x, mask in ((chosen, chosen_mask), (rejected, rejected_mask))]
    ref = [np.where(m, x, 0.0).sum(1) for x, m in ((ref_chosen, chosen_mask), (ref_rejected, rejected_mask))]
    up, down = (x.requires_grad_() for x in own)
    h_chosen, h_rejected = (x.sum(1) - torch.from_numpy(y) for x, y in zip((up, down), ref, strict=True))
    # -log σ(x) as the log-probability of the better of two, with logits x and 0
    logits = torch.stack([beta * (h_chosen - h_rejected), torch.zeros_like(h_chosen)], 1)
    loss = -logits.log_softmax(1)[:, 0].mean()
    d_up, d_down = torch.autograd.grad(loss, (up, down))
    masked = (np.where(mask, d.numpy(), 0.0) for d, mask in ((d_up, chosen_mask), (d_down, rejected_mask)))
    return dict(zip(("loss", "chosen", "rejected"), (loss.item(), *masked), strict=True))


def pairs(chosen, rejected, ref_chosen, ref_rejected, lengths=None, beta=0.5, padding=0.0):
    """A case; `lengths` are those of the chosen and of the rejected responses, all of full length without."""
    whole = [np.full(len(x), np.shape(x)[1]) for x in (chosen, rejected)]
    masks = [
        np.arange(np.shape(x)[1]) < np.array(length)[:, None]
        for x, length in zip((chosen, rejected), lengths or whole, strict=True)
    ]
    on = [*masks, *masks]
    behind = padding, padding, padding / 2, padding / 2
    rows = zip((chosen, rejected, ref_chosen, ref_rejected), on, behind, strict=True)
    given = [np.where(m, x, end) for x, m, end in rows]
    names = "chosen", "rejected", "ref_chosen", "ref_rejected", "chosen_mask", "rejected_mask"
    return dict(zip(names, (*given, *masks), strict=True)) | {"beta": beta}


def drawn(n, tokens, lengths=None, beta=0.3, padding=-2.0, shift=0.0):
    """A case of `n` random pairs, of so many tokens; the chosen gained `shift` on the reference at every token."""

    def case(rng):
        own = [-rng.uniform(0.1, 3.0, (n, t)) for t in tokens]
        ref = [x + rng.normal(0.0, 0.7, x.shape) for x in own]
        return pairs(own[0], own[1], ref[0] - shift, ref[1], lengths, beta, padding)

    return case


BY_HAND = pairs([[-1.0, -1.0]], [[-2.0, -1.0]], [[-2.0, -1.0]], [[-1.0, -1.0]])
ALL = "f(chosen, rejected, ref_chosen, ref_rejected, chosen_mask, rejected_mask, beta)"
SHORT = ([4, 1, 3], [2, 5, 1])

EXERCISE = derive(
    dpo_gradient,
    title="DPO's gradient by hand",
    goal="Derive which pairs DPO learns from, and how much each of their tokens is pulled.",
    minutes=25,
    difficulty=3,
    importance=4,
    hints=[
        "A token's log-probability enters through the sum over its response alone, so all tokens of a response have "
        "the same derivative. What is the derivative of -log σ(x) by x?",
        "It is -σ(-x). With x = β (h_chosen - h_rejected) the chain rule gives a factor β, -1 for the rejected tokens, "
        "and the mean over pairs 1/n: `weight = beta * torch.sigmoid(-margin) / len(margin)`.",
    ],
    checks={
        "loss": Check(
            2,
            "h of a response is the sum over its tokens of log π_θ - log π_ref. The loss is a mean over pairs.",
            [BY_HAND, drawn(2, (3, 3)), drawn(4, (5, 4))],
            through=f'{ALL}["loss"]',
        ),
        "gradient": Check(
            3,
            "Compare with autograd: `torch.autograd.grad(loss, (chosen, rejected))` on a small example.",
            [BY_HAND, drawn(2, (3, 3)), drawn(4, (5, 4))],
            through=f'(lambda it: {{key: it[key] for key in ("chosen", "rejected")}})({ALL})',
        ),
        "padding": Check(
            2,
            "Replace what stands on padding before the sum; and what is not in the loss has the derivative 0.",
            [
                drawn(3, (4, 5), SHORT, padding=-1.0),
                drawn(3, (4, 5), SHORT, padding=np.nan),
                drawn(3, (4, 5), SHORT, padding=-np.inf),
            ],
            requires="on padding the derivatives are 0, and the log-probabilities may be NaN or infinite",
            leaves_input_alone=True,
        ),
        "pairs far apart": Check(
            1,
            "Far on the right side nothing is left: loss and derivatives are 0. Far on the wrong one the loss is -m, "
            "and the derivatives are ±β/n. Is yours infinite or NaN? σ(-200) is 0 in float32: there is a function for "
            "log σ.",
            [drawn(2, (4, 4), beta=1.0, shift=60.0), drawn(2, (4, 4), beta=1.0, shift=-60.0)],
            leaves_input_alone=True,
        ),
    },
    mistakes={
        "The reference is forgotten: what counts is how much a response gained on π_ref, not how probable it is.": [
            ("(chosen - ref_chosen)", "chosen"),
            ("(rejected - ref_rejected)", "rejected"),
        ],
        "Chosen and rejected are swapped: this makes the rejected response more probable.": [
            ("beta * (h_chosen - h_rejected)", "beta * (h_rejected - h_chosen)"),
            ('"chosen": -weight', '"chosen": weight'),
            ('"rejected": weight', '"rejected": -weight'),
        ],
        "The margin has the wrong sign: it is chosen less rejected, and each h is log π_θ - log π_ref.": [
            ("(chosen - ref_chosen)", "(ref_chosen - chosen)"),
            ("(rejected - ref_rejected)", "(ref_rejected - rejected)"),
        ],
        "The derivatives have the wrong sign: a step against the loss's gradient has to raise the chosen tokens.": [
            ('"chosen": -weight', '"chosen": weight'),
            ('"rejected": weight', '"rejected": -weight'),
        ],
        "The weight is σ(+margin): pairs whose order is right already would be pulled the most. It is σ(-margin), the "
        "probability of being wrong.": ("torch.sigmoid(-margin)", "torch.sigmoid(margin)"),
        "Every pair has the weight ½, as at the start: the derivative of -log σ(x) is -σ(-x), which falls to 0 on "
        "pairs whose order is certain.": ("torch.sigmoid(-margin)", "torch.sigmoid(0 * margin)"),
        "This is the derivative of σ, σ(x) σ(-x): that of log σ has no second factor.": (
            "torch.sigmoid(-margin)",
            "torch.sigmoid(-margin) * torch.sigmoid(margin)",
        ),
        "The derivatives lack the factor β of the chain rule.": ("weight = beta * ", "weight = "),
        "The derivatives are those of a sum over pairs: the loss is a mean, so divide by their number.": (
            " / len(margin)",
            "",
        ),
        "β is missing in the margin: it stands inside of σ.": ("margin = beta * ", "margin = "),
        "Log-probabilities are averaged over tokens: h is a sum, the log-ratio of the whole response.": [
            ("masked_fill(~chosen_mask, 0.0).sum(1)", "masked_fill(~chosen_mask, 0.0).sum(1) / chosen_mask.sum(1)"),
            (
                "masked_fill(~rejected_mask, 0.0).sum(1)",
                "masked_fill(~rejected_mask, 0.0).sum(1) / rejected_mask.sum(1)",
            ),
        ],
        "The loss is a sum over pairs: it is their mean.": ("softplus(-margin).mean()", "softplus(-margin).sum()"),
        "The loss has the wrong sign: it is -log σ, never negative.": (
            "softplus(-margin).mean()",
            "softplus(-margin).mean().neg()",
        ),
        "The loss is that of the opposite order, -log σ(-margin).": ("softplus(-margin)", "softplus(margin)"),
        "Padding is counted in the sums.": [
            (".masked_fill(~chosen_mask, 0.0)", ""),
            (".masked_fill(~rejected_mask, 0.0)", ""),
        ],
        "Padding is multiplied with 0, and 0 · NaN is NaN. Replace it instead: `masked_fill`, or `where`.": [
            (".masked_fill(~chosen_mask, 0.0)", ".mul(chosen_mask)"),
            (".masked_fill(~rejected_mask, 0.0)", ".mul(rejected_mask)"),
        ],
        "Padding has a derivative: it is not in the loss, so its derivative is 0.": [
            (" * chosen_mask", " * torch.ones_like(chosen)"),
            (" * rejected_mask", " * torch.ones_like(rejected)"),
        ],
        "-log(σ(margin)) is infinite where σ rounds to 0: use `softplus(-margin)` or `logsigmoid`.": (
            "softplus(-margin)",
            "sigmoid(margin).log().neg()",
        ),
        "The derivatives of the chosen tokens have the wrong sign: raising them lowers the loss.": (
            '"chosen": -weight',
            '"chosen": weight',
        ),
        "The derivatives of the rejected tokens have the wrong sign: raising them raises the loss.": (
            '"rejected": weight',
            '"rejected": -weight',
        ),
        "The reference is missing for the chosen responses.": ("(chosen - ref_chosen)", "(chosen)"),
        "The reference is missing for the rejected responses.": ("(rejected - ref_rejected)", "(rejected)"),
        "Policy and reference are exchanged for the chosen responses.": (
            "(chosen - ref_chosen)",
            "(ref_chosen - chosen)",
        ),
        "The logarithm is missing: this is -σ(m).": (
            "torch.nn.functional.softplus(-margin).mean()",
            "-margin.sigmoid().mean()",
        ),
        "The loss is -m: log σ is missing, and with it that it stops where the order is right.": (
            "torch.nn.functional.softplus(-margin).mean()",
            "-margin.mean()",
        ),
        "Padding of the chosen responses has derivatives, too.": (
            "-weight.unsqueeze(1) * chosen_mask",
            "-weight.unsqueeze(1) * torch.ones_like(chosen)",
        ),
        "The derivatives are divided by the responses' lengths: h is a sum over tokens.": [
            (" * chosen_mask", " * chosen_mask / chosen_mask.sum(1, keepdim=True)"),
            (" * rejected_mask", " * rejected_mask / rejected_mask.sum(1, keepdim=True)"),
        ],
        "h of the chosen responses is a mean over tokens: it is a sum.": (
            "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1)",
            "h_chosen = (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0).sum(1) / chosen_mask.sum(1)",
        ),
        "All pairs are pulled alike: the weight σ(-m) is missing.": (
            "beta * torch.sigmoid(-margin)",
            "beta * (1 + 0 * margin)",
        ),
        "The rejected responses are not pulled at all.": (
            '"rejected": weight.unsqueeze(1) * rejected_mask',
            '"rejected": 0 * weight.unsqueeze(1) * rejected_mask',
        ),
        "Padding of the chosen responses is multiplied with 0, and 0 · NaN is NaN.": (
            "(chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)",
            "((chosen - ref_chosen) * chosen_mask)",
        ),
        "NaN is replaced in the chosen responses, and other padding counts: use the mask.": (
            "(chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)",
            "(chosen - ref_chosen).nan_to_num(0, 0, 0)",
        ),
        "The derivatives of the chosen tokens are by π, not by log π.": (
            "-weight.unsqueeze(1) * chosen_mask",
            "-weight.unsqueeze(1) * chosen.exp().nan_to_num() * chosen_mask",
        ),
        "The derivatives are divided by the number of responses: it is that of the pairs.": (
            "torch.sigmoid(-margin) / len(margin)",
            "torch.sigmoid(-margin) / (len(margin) * 2)",
        ),
        "The margin is clamped: beyond the limit the loss and its derivatives stay the same.": (
            "margin = beta * (h_chosen - h_rejected)",
            "margin = beta * (h_chosen - h_rejected).clamp(-10, 10)",
        ),
        "β multiplies the chosen h only.": (
            "margin = beta * (h_chosen - h_rejected)",
            "margin = beta * h_chosen - h_rejected",
        ),
        "All signs are flipped: the loss is -log σ(m).": ("{k: -v for k, v in f(*a).items()}"),
        "The derivatives have β twice: the margin's derivative by h is β.": ("weight = beta *", "weight = beta**2 *"),
        "Loss and derivatives are sums over pairs: the loss is their mean.": [
            ("softplus(-margin).mean()", "softplus(-margin).sum()"),
            (" / len(margin)", ""),
        ],
        "h is a mean over tokens, in the loss and in its derivatives: it is a sum, the log-ratio of the whole "
        "response.": [
            ("masked_fill(~chosen_mask, 0.0).sum(1)", "masked_fill(~chosen_mask, 0.0).sum(1) / chosen_mask.sum(1)"),
            (
                "masked_fill(~rejected_mask, 0.0).sum(1)",
                "masked_fill(~rejected_mask, 0.0).sum(1) / rejected_mask.sum(1)",
            ),
            (" * chosen_mask", " * chosen_mask / chosen_mask.sum(1, keepdim=True)"),
            (" * rejected_mask", " * rejected_mask / rejected_mask.sum(1, keepdim=True)"),
        ],
        "exp(-margin) is infinite where a pair's order is wrong by far, and ∞/∞ is NaN: use `sigmoid(-margin)`.": (
            "torch.sigmoid(-margin)",
            "(torch.exp(-margin) / (1 + torch.exp(-margin)))",
        ),
        "This is IPO's loss, which pulls the margin to a target: DPO's is -log σ(m).": [
            (
                "torch.nn.functional.softplus(-margin).mean()",
                "(h_chosen - h_rejected - 1 / (2 * beta)).square().mean()",
            ),
            ("beta * torch.sigmoid(-margin)", "-2 * (h_chosen - h_rejected - 1 / (2 * beta))"),
        ],
        "The derivatives of chosen and rejected tokens stand in each other's place.": "(lambda x: {**x, 'chosen': "
        "x['rejected'], 'rejected': x['chosen']})(f(*a))",
        "One derivative for each pair: every token has its own, [pair, token].": [
            ("-weight.unsqueeze(1) * chosen_mask", "-weight"),
            ("weight.unsqueeze(1) * rejected_mask", "weight"),
        ],
        "β is missing, in the margin and in the derivatives.": [
            ("margin = beta * ", "margin = "),
            ("weight = beta * ", "weight = "),
        ],
        "The loss is one number: take the mean over the pairs.": ("softplus(-margin).mean()", "softplus(-margin)"),
        "The derivatives are divided by the number of pairs twice.": (" / len(margin)", " / len(margin) ** 2"),
        "This is a hinge, max(0, 1 - m): DPO's loss is -log σ(m), whose derivative is never quite 0.": [
            ("torch.nn.functional.softplus(-margin).mean()", "(1 - margin).clamp(min=0).mean()"),
            ("torch.sigmoid(-margin)", "(margin < 1)"),
        ],
        "The derivatives of the chosen tokens hold what each has gained on the reference: in a sum all are alike.": (
            "-weight.unsqueeze(1) * chosen_mask",
            "-weight.unsqueeze(1) * (chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)",
        ),
        "The derivatives are divided by the number of chosen tokens: it is that of the pairs.": (
            "len(margin)",
            "chosen_mask.sum()",
        ),
        "β multiplies the rejected h only.": (
            "margin = beta * (h_chosen - h_rejected)",
            "margin = h_chosen - beta * h_rejected",
        ),
        "NaN is replaced, and other padding counts: use the masks.": [
            ("(chosen - ref_chosen).masked_fill(~chosen_mask, 0.0)", "(chosen - ref_chosen).nan_to_num(0, 0, 0)"),
            (
                "(rejected - ref_rejected).masked_fill(~rejected_mask, 0.0)",
                "(rejected - ref_rejected).nan_to_num(0, 0, 0)",
            ),
        ],
    },
)
