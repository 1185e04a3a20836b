"""The best checkpoint, reported on episodes that did not choose it."""

import numpy as np

from pgcourse.grading.kinds import Check, implement


def best_checkpoint(returns):
    """Each seed's best checkpoint, chosen on the first half of its episodes and reported on the rest."""
    scores = []
    for seed in returns:  # [checkpoint, episode]
        half = seed.shape[1] // 2
        chosen = max(range(len(seed)), key=lambda checkpoint: seed[checkpoint, :half].mean())
        scores.append(seed[chosen, half:].mean())
    return np.array(scores)


def played(seeds, checkpoints, episodes, better=0.0, mean=0.0):
    """Returns with a noise of 1; `better` is how far the checkpoints themselves spread."""

    def case(rng):
        skill = mean + better * rng.normal(size=(seeds, checkpoints, 1))
        return {"returns": skill + rng.normal(size=(seeds, checkpoints, episodes))}

    return case


BY_HAND = {"returns": [[[8, 4, 1, 5], [3, 5, 9, 7]]]}

EXERCISE = implement(
    best_checkpoint,
    title="The best checkpoint, honestly",
    goal="Report the best of many checkpoints without being flattered by its luck.",
    minutes=15,
    difficulty=2,
    importance=4,
    hints=[
        "Two tables [seed, checkpoint]: one of means that choose, one of means that are reported. Which of the two may "
        "the maximum look at?",
        "`chosen = returns[..., :half].mean(2).argmax(1)`; then take from `returns[..., half:].mean(2)`, of each seed, "
        "the column chosen: `gather(1, chosen.unsqueeze(1)).squeeze(1)`.",
    ],
    checks={
        "one seed": Check(
            2,
            "The first half of the episodes chooses, the second half is reported.",
            [BY_HAND, played(1, 6, 8), played(1, 3, 20, better=0.3)],
        ),
        "seeds": Check(
            2,
            "Every seed keeps a checkpoint of its own, and has a score of its own.",
            [played(5, 4, 10), played(8, 12, 6, better=0.5)],
            dtype="as input",
            leaves_input_alone=True,
        ),
        "falls": Check(
            1,
            "Returns may be negative, and one episode in ten may be a disaster.",
            [
                played(4, 5, 10, mean=-100.0),
                lambda rng: {"returns": -100.0 * (rng.uniform(size=(6, 7, 20)) < 0.1) + rng.normal(size=(6, 7, 20))},
            ],
        ),
        "odd": Check(
            1,
            "Of an odd number of episodes n, the first n // 2 choose; one checkpoint is no choice.",
            [played(6, 5, 3), played(4, 6, 7), played(3, 1, 5)],
        ),
    },
    mistakes={
        "Reported on the episodes that chose it: this is the luck that was to be kept out.": (
            "fresh.gather(1, chosen)",
            "tried.gather(1, chosen)",
        ),
        "Reported on all episodes: half of them chose the checkpoint.": (
            "fresh.gather(1, chosen)",
            "returns.mean(2).gather(1, chosen)",
        ),
        "Chosen on all episodes: those that are reported have a say.": (
            "tried.argmax",
            "returns.mean(2).argmax",
        ),
        "The best on all episodes, and its mean on all: nothing was kept aside.": "returns.mean(2).amax(1)",
        "The second half chooses, and is reported: that is its maximum.": ("tried.argmax", "fresh.argmax"),
        "The halves are exchanged: the first one chooses.": [
            ("fresh.gather", "tried.gather"),
            ("tried.argmax", "fresh.argmax"),
        ],
        "One checkpoint is chosen for all seeds: each run keeps its own.": (
            "tried.argmax(1, keepdim=True)",
            "tried.mean(0).argmax().expand(len(tried), 1)",
        ),
        "The worst checkpoint is chosen.": ("tried.argmax", "tried.argmin"),
        "This is the last checkpoint: the best one is asked for.": (
            "tried.argmax(1, keepdim=True)",
            "torch.full((len(tried), 1), tried.shape[1] - 1)",
        ),
        "This is the first checkpoint: the best one is asked for.": (
            "tried.argmax(1, keepdim=True)",
            "torch.zeros(len(tried), 1, dtype=torch.long)",
        ),
        "One lucky episode chooses: the mean of the first half is to.": (
            "tried.argmax",
            "returns[..., :half].amax(2).argmax",
        ),
        "The median chooses: the mean is to, falls included.": (
            "tried.argmax",
            "returns[..., :half].median(2).values.argmax",
        ),
        "The best seed's checkpoint is looked for: along the axis of seeds nothing is chosen.": (
            "return fresh.gather(1, chosen).squeeze(1)",
            "return fresh.gather(0, tried.argmax(0, keepdim=True)).squeeze(0)",
        ),
        "The mean over all checkpoints is reported: choose one.": (
            "fresh.gather(1, chosen).squeeze(1)",
            "fresh.mean(1)",
        ),
        "The mean over the seeds is returned: each seed has a score of its own.": "f(returns).mean()",
        "The checkpoint's number is returned: its score is asked for.": (
            "return fresh.gather(1, chosen).squeeze(1)",
            "return chosen.squeeze(1).to(returns.dtype)",
        ),
        "This is by how much the choice flatters: the score itself is asked for.": (
            "return fresh.gather(1, chosen).squeeze(1)",
            "return (tried - fresh).gather(1, chosen).squeeze(1)",
        ),
        "The half is rounded up: of n episodes the first n // 2 choose.": (
            "half = returns.shape[2] // 2",
            "half = (returns.shape[2] + 1) // 2",
        ),
        "Every second episode chooses: the first half is to.": [
            ("returns[..., :half].mean(2)", "returns[..., 1::2].mean(2)"),
            ("returns[..., half:].mean(2)", "returns[..., ::2].mean(2)"),
        ],
        "The checkpoints are halved, and not the episodes.": [
            ("returns[..., :half].mean(2)", "returns.mean(2)[:, : max(1, returns.shape[1] // 2)]"),
            ("returns[..., half:].mean(2)", "returns.mean(2)"),
        ],
        "The sum of the second half is returned: the mean is asked for.": (
            "returns[..., half:].mean(2)",
            "returns[..., half:].sum(2)",
        ),
        "The median of the second half is reported: the mean is asked for, falls included.": (
            "returns[..., half:].mean(2)",
            "returns[..., half:].median(2).values",
        ),
        "Only one fresh episode is reported: all of the second half are.": (
            "returns[..., half:].mean(2)",
            "returns[..., half]",
        ),
        "Only the last episode is reported: all of the second half are.": (
            "returns[..., half:].mean(2)",
            "returns[..., -1]",
        ),
        "A third of the episodes chooses: half of them are to.": (
            "half = returns.shape[2] // 2",
            "half = returns.shape[2] // 3",
        ),
        "Only one episode chooses: all of the first half do.": (
            "returns[..., :half].mean(2)",
            "returns[..., 0]",
        ),
        "The best fresh episode is reported: the mean is asked for.": (
            "returns[..., half:].mean(2)",
            "returns[..., half:].amax(2)",
        ),
        "The largest size chooses, with its sign lost: −300 is not better than 200.": (
            "tried.argmax",
            "tried.abs().argmax",
        ),
        "The result is always float32.": "f(returns).float()",
        "Of an odd number of episodes the middle one is left out: all but the first n // 2 are reported.": (
            "returns[..., half:]",
            "returns[..., -half:]",
        ),
        "The best so far begins at 0: where all returns are negative no checkpoint is better.": (
            "return fresh.gather(1, chosen).squeeze(1)",
            "return fresh.gather(1, chosen).squeeze(1) * (tried.amax(1) > 0)",
        ),
    },
)
