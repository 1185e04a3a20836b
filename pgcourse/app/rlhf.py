"""`pgcourse rlhf`: a language model of your own learns from a reward of your own."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgcourse.app.train import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgcourse.algorithms.iterate import Iteration
    from pgcourse.rlhf.huggingface import HFCausalLM, Reward

STATE, METRICS, SAMPLES, SETTINGS, MODEL = "state.pt", "metrics.csv", "samples.csv", "settings.json", "model"
FIGURE = "diagnostics.png"
SHOWN = {
    "proxy": "reward",
    "kl": "KL",
    "entropy": "entropy",
    "tokens": "tokens",
    "clip_fraction": "clipped",
}  # on the way


@click.group(
    epilog="""\b
Examples:
  pgcourse rlhf train --model checkpoints/small --reward my.py:reward --prompts prompts.txt
  pgcourse rlhf train --help
  pgcourse rlhf models --check"""
)
def rlhf() -> None:
    """Train a language model of your own with a reward of your own, or the course's own models."""


@dataclasses.dataclass(frozen=True)
class OwnReward:
    """A function of somebody's own, and which one it is: its name, and the digest of its file's code."""

    function: Callable[[list[str], list[str]], Any]
    source: dict[str, str]

    def __call__(self, prompts: list[str], responses: list[str]) -> Any:
        from pgcourse.lab.errors import message

        try:
            return self.function(prompts, responses)
        except Exception as error:
            raise click.ClickException(f"the reward failed: {message(error)}") from error


class RewardFile(click.ParamType):
    """A function in a file: my.py:reward."""

    name = "FILE.py:NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        file, colon, name = str(value).rpartition(":")
        if not (colon and file.endswith(".py") and name):
            self.fail(f"{value!r} is no FILE.py:NAME, such as my.py:reward", param, ctx)
        if not Path(file).is_file():
            self.fail(f"there is no file {file}", param, ctx)
        from pgcourse.lab.errors import message
        from pgcourse.lab.provenance import file_digest

        spec: Any = importlib.util.spec_from_file_location(f"reward file {Path(file).stem}", file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look there
        sys.path.insert(0, str(Path(file).resolve().parent))  # for what stands beside it, as `python my.py` has it
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            self.fail(f"{file} cannot be imported: {message(error)}", param, ctx)
        if not callable(function := getattr(module, name, None)):
            there = [
                key
                for key, one in vars(module).items()
                if getattr(one, "__module__", None) == spec.name and callable(one)
            ]
            self.fail(f"{file} has no function {name}" + f"; it has {', '.join(there)}" * bool(there), param, ctx)
        return OwnReward(function, {"name": name, "code": file_digest(Path(file))})


def choices() -> list[click.Option]:
    """The trainer's options, each as its algorithm has it unless it is given."""
    from pgcourse.rlhf.trainer import RLHF

    options = settings(RLHF)
    for option in options:
        option.default, option.show_default = None, False
    return options


class TrainModel(click.Command):
    """`pgcourse rlhf train`: its help has the trainer's options in a group of their own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        own = super().get_params(ctx)
        return [*own[:-1], *choices(), own[-1]]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        of_trainer = choices()
        ours = {option.name for option in of_trainer}
        for title, group in (
            ("Run", [option for option in self.get_params(ctx) if option.name not in ours]),
            ("Trainer (by default as --algorithm has it)", of_trainer),
        ):
            with formatter.section(title):
                formatter.write_dl([record for option in group if (record := option.get_help_record(ctx))])


@rlhf.command(
    cls=TrainModel,
    epilog="""\b
Examples:
  pgcourse rlhf train --model checkpoints/small --reward my.py:reward --prompts prompts.txt
  pgcourse rlhf train --model checkpoints/small --reward my.py:reward --prompts prompts.txt \\
      --algorithm PPO --beta 0.05 --envs 64 --longest 48 --device cuda --out runs/warm

\b
my.py has one function, of two lists of texts:
  def reward(prompts, responses):
      return [-abs(len(response.split()) - 20) for response in responses]""",
)
@click.option("--model", required=True, metavar="PATH", help="A folder with a checkpoint of the transformers library.")
@click.option("--reward", required=True, type=RewardFile(), help="reward(prompts, responses) gives a number for each.")
@click.option(
    "--prompts",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="One prompt a line.",
)
@click.option("--algorithm", default="GRPO", show_default=True, metavar="NAME", help="PPO, RLOO, GRPO, DAPO, ...")
@click.option("--iterations", type=click.IntRange(1), default=100, show_default=True, help="Batches to learn from.")
@click.option("--longest", type=click.IntRange(1), default=64, show_default=True, help="Tokens of a response at most.")
@click.option("--temperature", type=float, default=1.0, show_default=True, help="Divides the logits, everywhere.")
@click.option("--eos", type=int, metavar="TOKEN", help="Ends a response.  [default: the checkpoint's own]")
@click.option("--pad", type=int, metavar="TOKEN", help="Stands for nothing.  [default: the checkpoint's own]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda|mps")
@click.option(
    "--save-every",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    metavar="N",
    help="Iterations between copies.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("runs/rlhf"),
    show_default=True,
    help="Folder for the model, its metrics and samples. A run that was stopped in it goes on.",
)
@click.option("--download", is_flag=True, help="Take a model that is not on this machine from the Hugging Face hub.")
def train(
    model: str,
    reward: OwnReward,
    prompts: Path,
    algorithm: str,
    iterations: int,
    longest: int,
    temperature: float,
    eos: int | None,
    pad: int | None,
    seed: int,
    device: str,
    save_every: int,
    out: Path,
    download: bool,
    **given: Any,
) -> None:
    """Train a language model of your own with a reward of your own.

    Stopped with Ctrl-C, a run keeps what it has learned; the same command goes on from there.
    """
    from pgcourse.rlhf.huggingface import HFCausalLM, quietly

    try:
        quietly()
        trainer = chosen(algorithm, given)
        texts = lines(prompts)
        lm = HFCausalLM(model, local_files_only=not download, temperature=temperature, eos=eos, pad=pad, device=device)
        run = FineTuning(out, lm, trainer, reward, texts, longest, seed, device)
        run.claim({"model": model, "reward": reward.source, "prompts": texts, "trainer": dataclasses.asdict(trainer),
                   "longest": longest, "temperature": temperature, "eos": lm.eos, "pad": lm.pad,
                   "seed": seed})  # fmt: skip
        run.train(iterations, save_every)
    except (ImportError, OSError, ValueError, FloatingPointError) as error:
        raise click.ClickException(str(error)) from None


def lines(file: Path) -> list[str]:
    """The lines of a text that are not empty. Raises `ValueError` for a file without any, or not in UTF-8."""
    try:
        found = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{file} is not a text in UTF-8: {error}") from None
    if not found:
        raise ValueError(f"{file} has no prompts: write one a line")
    return found


def chosen(name: str, given: dict[str, Any]) -> Any:
    """The algorithm of this name with what was given instead of its own options.

    Raises:
        ValueError: no such algorithm, or an option outside its range.
    """
    from pgcourse.rlhf.trainer import VARIANTS

    if name not in VARIANTS:
        raise ValueError(f"algorithm must be one of {', '.join(VARIANTS)}; got {name!r}")
    return dataclasses.replace(VARIANTS[name], **{key: value for key, value in given.items() if value is not None})


class FineTuning:
    """One training, in a folder."""

    def __init__(
        self, folder: Path, lm: HFCausalLM, trainer: Any, reward: Reward, prompts: list[str], longest: int, seed: int,
        device: str,
    ) -> None:  # fmt: skip
        from pgcourse.rlhf.language import LanguagePolicy
        from pgcourse.rlhf.prompted import NO_CRITIC, Prompted

        self.folder, self.lm, self.trainer, self.seed, self.device = folder, lm, trainer, seed, device
        self.policy = LanguagePolicy(lm, lm.start, longest, lm.eos, lm.pad)
        self.critic = lm.critic() if trainer.baseline == "critic" else NO_CRITIC
        self.world = Prompted(
            trainer.envs, prompts=lm.encode(prompts), judge=lm.judge(reward), policy=self.policy, critic=self.critic,
            group=trainer.group, device=device,
        )  # fmt: skip
        self.metrics: list[dict[str, Any]] = []  # a row an iteration
        self.samples: list[dict[str, Any]] = []  # responses to one prompt, whenever the run is kept

    def claim(self, asked: dict[str, Any]) -> None:
        """Take the folder for what is asked for. Raises `ValueError` where a run of something else is in it."""
        from pgcourse.lab.records import write_whole

        path, asked = self.folder / SETTINGS, json.loads(json.dumps(asked))
        begun = path.is_file() and (self.folder / STATE).is_file()  # else nothing has been learned that could be lost
        before = json.loads(path.read_text(encoding="utf-8")) if begun else asked
        if changed := sorted(key for key in asked if before.get(key, asked[key]) != asked[key]):
            raise ValueError(
                f"{self.folder} has a run with other settings ({', '.join(changed)}): give another --out, or the same"
            )
        write_whole(path, json.dumps(asked, indent=1).encode())

    def train(self, iterations: int, save_every: int) -> None:
        """Up to this many iterations, from where the folder's run stands."""
        from pgcourse.algorithms import iterate
        from pgcourse.core import Streams

        after = self.restored()
        if after and after.number + 1 >= iterations:
            click.echo(f"{self.folder} has {after.number + 1} iterations: ask for more with --iterations")
            return
        for line in self.announced():
            click.echo(line, err=True)
        streams = Streams([self.seed], device=self.device)
        steps = iterations * self.trainer.envs
        kept, standing = None, None
        began = time.monotonic()
        try:
            for it in iterate(self.trainer, self.world, streams, steps, self.policy, self.critic, after):  # type: ignore[arg-type]
                standing = it, self.world.state()
                self.report(it, iterations, time.monotonic() - began)
                if (it.number + 1) % save_every == 0 or it.number + 1 == iterations:
                    self.keep(*standing)
                    kept = standing
                began = time.monotonic()
        except KeyboardInterrupt:
            if standing and standing is not kept:
                self.keep(*standing)
            self.draw()
            done = standing[0].number + 1 if standing else after.number + 1 if after else 0
            raise click.ClickException(
                f"stopped after {done} of {iterations} iterations: the same command goes on"
            ) from None
        self.draw()
        click.echo(f"model: {self.folder / MODEL}")
        click.echo(f"read next: {self.folder / SAMPLES}, {self.folder / FIGURE}")

    def announced(self) -> Iterator[str]:
        """What is trained on what; and a warning where that may need more memory than there is."""
        import psutil

        trainer, lm = self.trainer, self.lm
        yield (
            f"{lm.size:,} parameters, {len(self.world.prompts)} prompts, {trainer.envs} responses an iteration, each "
            f"of {self.policy.longest} tokens at most"
        )
        of_tokens = 6 * trainer.envs * self.policy.longest * lm.vocabulary  # docs/your_own_model.md, "Memory"
        need = 4 * ((15 + 8 * (trainer.baseline == "critic")) * lm.size + of_tokens)
        free = psutil.virtual_memory().available
        if self.device == "cpu" and need > free:
            yield (
                f"this may need {need / 2**30:.1f} GiB of memory, and {free / 2**30:.1f} are free: fewer --envs or a "
                "shorter --longest need less"
            )

    def draw(self) -> None:
        """The diagnostics of all iterations so far, as a PNG file."""
        import matplotlib
        import pandas as pd

        from pgcourse import plots

        if self.metrics:
            matplotlib.use("agg")  # no window, whatever this machine has
            figure = plots.rlhf_diagnostics(pd.DataFrame(self.metrics))[0].figure
            figure.savefig(self.folder / FIGURE)

    def report(self, it: Iteration, iterations: int, seconds: float) -> None:
        """A row for the table, a line for the screen."""
        values = {name: value.item() for name, value in it.metrics._asdict().items() if value is not None}
        self.metrics.append({"iteration": it.number, "responses": it.steps.item(), "seconds": seconds, **values})
        shown = "  ".join(f"{SHOWN[name]} {values[name]:.3g}" for name in SHOWN)
        click.echo(f"{it.number + 1:>6}/{iterations}  {shown}  {seconds:.1f} s")

    def keep(self, it: Iteration, world: dict[str, Any]) -> None:
        """Everything that is needed to go on, the model, the metrics, and some responses."""
        import torch

        from pgcourse.lab.records import write_whole

        prompt, response, score = (x[0].flatten(0, 1) for x in (it.batch.obs, it.batch.action, it.batch.reward))
        few = slice(min(8, len(score)))
        texts = zip(self.lm.decode(prompt[few]), self.lm.decode(response[few]), score[few].tolist(), strict=True)
        self.samples += [
            {"iteration": it.number, "prompt": asked, "response": said, "score": worth} for asked, said, worth in texts
        ]
        for name, rows in ((METRICS, self.metrics), (SAMPLES, self.samples)):
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_whole(self.folder / name, text.getvalue().encode())
        model = self.lm.with_parameters(it.state.theta[0])
        model.save_pretrained(self.folder / MODEL)
        if self.lm.tokenizer is not None:
            self.lm.tokenizer.save_pretrained(self.folder / MODEL)
        learned = {name: x for name, x in it.state._asdict().items() if name not in ("policy", "critic")}
        learned = {name: tuple(x) if isinstance(x, tuple) else x for name, x in learned.items()}
        content = io.BytesIO()
        torch.save(
            {"number": it.number, "steps": it.steps, "obs": it.obs, "state": learned, "world": world,
             "metrics": self.metrics, "samples": self.samples},
            content,
        )  # fmt: skip
        write_whole(self.folder / STATE, content.getvalue())

    def restored(self) -> Iteration | None:
        """The last iteration that was kept, None in a new folder."""
        import torch

        from pgcourse.algorithms.iterate import Iteration
        from pgcourse.core.adam import AdamState
        from pgcourse.rlhf.trainer import State

        path = self.folder / STATE
        if not path.is_file():
            return None
        kept = torch.load(path, map_location=self.device, weights_only=True)
        self.metrics, self.samples = kept["metrics"], kept["samples"]
        self.world.load(kept["world"])
        learned = {name: AdamState(*x) if isinstance(x, tuple) else x for name, x in kept["state"].items()}
        state = State(self.policy, self.critic, **learned)  # type: ignore[arg-type]
        return Iteration(kept["number"], None, state, None, kept["steps"].cpu(), kept["obs"])


@rlhf.command(
    epilog="""\b
Examples:
  pgcourse rlhf models            train what is missing of the course's models
  pgcourse rlhf models --check    train all of them anew, and compare with the records
  pgcourse rlhf models --refresh  train all of them anew, and keep these"""
)
@click.option("--check", is_flag=True, help="Train anew and compare; keep nothing.")
@click.option("--refresh", is_flag=True, help="Train again what is there, too.")
def models(check: bool, refresh: bool) -> None:
    """Train the course's own small models, results/rlhf-models: one pretrained, and five reward models.

    A model whose record is there is not trained again. Some 80 seconds of one processor core train all of them.
    """
    import torch

    from pgcourse.lab import RecordError, StudyError
    from pgcourse.lab.reviews import MODELS, compute_model, find_model, repeat_model

    if check and refresh:
        raise click.UsageError("--check keeps nothing, --refresh keeps everything: give one of them")
    torch.set_num_threads(1)  # the records are of one
    different = []
    try:
        for model in MODELS:
            if not (check or refresh) and find_model(model):
                click.echo(f"{model.name:15} is there")
                continue
            with click.progressbar(length=model.steps, label=f"{model.name:15}") as bar:
                if check:
                    unequal = repeat_model(model, lambda step, loss: bar.update(1))
                else:
                    compute_model(model, lambda step, loss: bar.update(1), replace=refresh)
                    unequal = ""
            if check:
                click.echo(f"{model.name:15} {unequal or 'repeated bit for bit'}")
                different += [model.name] * bool(unequal)
    except (RecordError, StudyError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if different:
        raise click.ClickException(f"not repeated: {', '.join(different)}")
