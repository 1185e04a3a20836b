"""A causal language model of the transformers library, as a function of a flat θ: your own model in the trainer.

Its use::

    model = HFCausalLM("path/to/checkpoint")                    # the extra `hf`: pip install "pgcourse[hf]"
    policy = LanguagePolicy(model, model.start, longest=64, eos=model.eos, pad=model.pad)
    world = partial(Prompted, prompts=model.encode(["Dear", ...]), judge=model.judge(reward), policy=policy,
                    critic=NO_CRITIC, group=8)
    for it in pg.iterate(VARIANTS["GRPO"], world, pg.Streams(1), policy=policy, critic=NO_CRITIC): ...

docs/your_own_model.md is the guide. Nothing is downloaded unless `local_files_only` is set to False.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from pgcourse.core.networks import pieces
from pgcourse.rlhf.language import LanguageCritic
from pgcourse.rlhf.writing import Judge

Reward = Callable[[list[str], list[str]], Sequence[float]]  # prompts and responses to what the responses are worth


class HFCausalLM:
    """A checkpoint's network; its θ is all parameters in a row, tied ones once. [seed, parameter].

    It is what `LanguagePolicy` asks of a network: logits of all tokens, and a reader that generates with a cache.
    Dropout is off. Prompts are padded on the left; positions count real tokens, so that padding changes nothing.
    Logits are divided by the temperature wherever they are used, when a response is sampled, in π_θ, and in the
    reference: the policy that is trained is the one that acts.

    Args:
        path: a folder with a checkpoint, a name on the Hugging Face hub, or a model of the library itself.
        local_files_only: take what is on this machine; False allows a download.
        temperature: divides the logits.
        eos: the token that ends a response; the checkpoint's own by default. Chat models often end a turn with another.
        pad: a token that stands for nothing; the checkpoint's own by default, if it does not end a response, too.
        device: where the model computes; give `Streams` the same.
        top_k, top_p: refused, see the error.

    Raises:
        ImportError: the transformers library is missing.
        OSError: no checkpoint there.
        ValueError: no end token; no padding token apart from it; one that the model does not have; top_k or top_p; a
            temperature that is not above 0.
    """

    def __init__(
        self,
        path: Any,
        *,
        local_files_only: bool = True,
        temperature: float = 1.0,
        eos: int | None = None,
        pad: int | None = None,
        device: str | torch.device = "cpu",
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        for name, value in (("top_k", top_k), ("top_p", top_p)):
            if value is not None:
                raise ValueError(
                    f"{name} = {value} is refused: responses would come from a cut-off distribution, and ratios and KL "
                    "be those of the whole one. Sharpen the policy itself with temperature below 1"
                )
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.tokenizer: Any = None
        if isinstance(path, torch.nn.Module):
            model: Any = path
        else:
            transformers = _transformers()
            options = {"local_files_only": local_files_only}
            try:
                model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, **options)
            except OSError as error:
                raise OSError(_not_there(path, local_files_only, str(error))) from None
            try:
                self.tokenizer = transformers.AutoTokenizer.from_pretrained(path, **options)
            except (OSError, ValueError):  # a checkpoint without a tokenizer: prompts are given as tokens
                self.tokenizer = None
            if self.tokenizer is not None and len(self.tokenizer) <= len(self.tokenizer.all_special_ids):
                self.tokenizer = None  # from version 5 on the library makes one up where there is none, without a word
        self.model: Any = model.to(device).eval()
        self.temperature = temperature
        end, padding = _only(eos, self._own("eos_token_id")), _only(pad, self._own("pad_token_id"))
        if end is None:
            raise ValueError(
                "this checkpoint names no token that ends a response: give its number as eos, of which the tokenizer's "
                "get_vocab() has a list"
            )
        if padding is None or padding == end:
            raise ValueError(
                f"padding needs a token apart from {end}, which ends a response: give as pad one that your "
                f"prompts and responses can do without, 0 to {self.vocabulary - 1}{self._spare(end)}"
            )
        for name, token in (("eos", end), ("pad", padding)):
            if not 0 <= token < self.vocabulary:
                raise ValueError(
                    f"{name} = {token} is no token of this model, which has 0 to {self.vocabulary - 1}: give another, "
                    "or enlarge the model (its resize_token_embeddings) and save it again"
                )
        self.eos, self.pad = end, padding
        self._parameters = [(name, tuple(p.shape)) for name, p in self.model.named_parameters()]

    def _own(self, name: str) -> int | list[int] | None:
        """A special token of the checkpoint: of its tokenizer, or else of its configuration."""
        value = getattr(self.tokenizer, name, None)
        return getattr(self.model.config, name, None) if value is None else value

    def _spare(self, end: int) -> str:
        """An example of a token that texts can do without: the last, which most tokenizers learned last."""
        token = self.vocabulary - 1 - (end == self.vocabulary - 1)
        text = self.tokenizer.decode([token]) if self.tokenizer is not None else ""
        return f", such as {token}" + f", {text!r}" * bool(text)

    @property
    def vocabulary(self) -> int:
        return self.model.get_output_embeddings().weight.shape[0]

    @property
    def context(self) -> int | None:
        """Tokens that prompt and response may have together; None where the checkpoint says nothing."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def size(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    @property
    def start(self) -> Tensor:
        """The checkpoint's θ, [size]."""
        return _row(self.model)

    def __call__(self, theta: Tensor, ids: Tensor) -> Tensor:
        """Logits at every token, [seed, row, token, vocabulary]."""
        rows = zip(self._weights(theta), ids, strict=True)
        return torch.stack([self._logits(weights, **self._read(one)) for weights, one in rows])

    def reader(self, theta: Tensor) -> Callable[[Tensor], Tensor]:
        """A function that is given the next tokens [seed, row, token], and returns the logits at the last of them.

        It remembers keys and values of what it has read.
        """
        reading = [(weights, _transformers().DynamicCache()) for weights in self._weights(theta)]
        accepted = inspect.signature(self.model.forward).parameters
        memory = "cache" if "cache" in accepted else "past_key_values"  # its name before transformers 5.40
        mask: Tensor | None = None

        def read_on(ids: Tensor) -> Tensor:
            nonlocal mask
            # Behind the prompt everything counts as read: a response that has ended goes on for nobody.
            mask = ids != self.pad if mask is None else torch.cat([mask, torch.ones_like(ids, dtype=torch.bool)], 2)
            new = ids.shape[2]
            logits = [
                self._logits(
                    weights, input_ids=one, attention_mask=seen, position_ids=_positions(seen)[:, -new:],
                    use_cache=True, **{memory: cache},
                )[:, -1]
                for (weights, cache), one, seen in zip(reading, ids, mask.long(), strict=True)
            ]  # fmt: skip
            return torch.stack(logits)

        return read_on

    def critic(self) -> LanguageCritic:
        """A value network on a copy of the checkpoint's trunk, that says 0 to everything at first; for PPO."""
        values = _Values(self)
        return LanguageCritic(values, torch.cat([_row(values.trunk), self.start.new_zeros(values.width + 1)]))  # type: ignore[arg-type]

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Texts as tokens, padded on the left to one length: [prompt, token].

        Raises:
            ValueError: a checkpoint without a tokenizer, no prompts, an empty one, or padding in one.
        """
        if self.tokenizer is None:
            raise ValueError(
                "this checkpoint has no tokenizer: save one beside it (its save_pretrained), or give prompts as "
                "tokens, with `pad` on the left"
            )
        rows = [self.tokenizer(prompt)["input_ids"] for prompt in prompts]
        for prompt, row in zip(prompts, rows, strict=True):
            if not row or self.pad in row:
                raise ValueError(
                    f"a prompt must have tokens, and the padding token {self.pad} not among them: {prompt!r}"
                )
            if max(row) >= self.vocabulary:
                raise ValueError(
                    f"the tokenizer has token {max(row)} and the model only {self.vocabulary} tokens: they do not "
                    f"belong together ({prompt!r})"
                )
        if not rows:
            raise ValueError("there are no prompts")
        longest = max(map(len, rows))
        return torch.tensor([[self.pad] * (longest - len(row)) + row for row in rows])

    def decode(self, ids: Tensor) -> list[str]:
        """Tokens [row, token] as texts, without special tokens."""
        return self.tokenizer.batch_decode([row[row != self.pad] for row in ids], skip_special_tokens=True)

    def judge(self, reward: Reward) -> Judge:
        """`reward(prompts, responses)` of texts as the world's judge of tokens.

        Raises:
            ValueError: when it is used, for a reward that gives no numbers, another number of them, or one that is NaN
                or infinite.
        """

        def judging(prompt: Tensor, response: Tensor) -> Tensor:
            prompts, responses = (self.decode(x.flatten(0, 1)) for x in (prompt, response))
            return _numbers(reward(prompts, responses), prompts, responses).to(response.device).view(response.shape[:2])

        return judging

    def with_parameters(self, theta: Tensor) -> Any:
        """A model of the transformers library with this θ [size], to be kept with its `save_pretrained`."""
        model = deepcopy(self.model)
        with torch.no_grad():
            parts = theta.split([p.numel() for p in model.parameters()])
            for parameter, part in zip(model.parameters(), parts, strict=True):
                parameter.copy_(part.view_as(parameter))
        return model

    def _weights(self, theta: Tensor) -> Iterator[dict[str, Tensor]]:
        """Each seed's parameters by name."""
        names = [name for name, _ in self._parameters]
        shapes = [shape for _, shape in self._parameters]
        for row in theta.split(1):
            yield dict(zip(names, (x[0] for x in pieces(row, shapes)), strict=True))

    def _read(self, ids: Tensor) -> dict[str, Any]:
        """How the library is asked about tokens [row, token]."""
        seen = (ids != self.pad).long()
        return {"input_ids": ids, "attention_mask": seen, "position_ids": _positions(seen), "use_cache": False}

    def _logits(self, weights: dict[str, Tensor], **asked: Any) -> Tensor:
        return functional_call(self.model, weights, kwargs=asked).logits / self.temperature


class _Values:
    """A number at each token instead of logits: the trunk's last hidden state times a head, as in `ScalarHead`."""

    def __init__(self, lm: HFCausalLM) -> None:
        self.lm = lm
        self.trunk: Any = getattr(lm.model, lm.model.base_model_prefix)
        self.width = lm.model.config.get_text_config().hidden_size
        self._parameters = [(name, tuple(p.shape)) for name, p in self.trunk.named_parameters()]

    @property
    def size(self) -> int:
        return sum(p.numel() for p in self.trunk.parameters()) + self.width + 1

    def __call__(self, phi: Tensor, ids: Tensor) -> Tensor:
        """[seed, row, token] to [seed, row, token]."""
        names, shapes = zip(*self._parameters, strict=True)
        values = []
        for row, one in zip(phi.split(1), ids, strict=True):
            *weights, head, bias = (x[0] for x in pieces(row, [*shapes, (self.width,), (1,)]))
            asked = self.lm._read(one)
            hidden = functional_call(self.trunk, dict(zip(names, weights, strict=True)), kwargs=asked).last_hidden_state
            values.append(hidden @ head + bias)
        return torch.stack(values)


def _numbers(given: Any, prompts: list[str], responses: list[str]) -> Tensor:
    """What a reward has given, if it is a finite number for each response. Raises `ValueError`."""
    try:
        scores = [float(score) for score in given]
    except (TypeError, ValueError):
        raise ValueError(f"the reward must give a list of numbers, one for each response; got {given!r:.100}") from None
    if len(scores) != len(responses):
        raise ValueError(f"the reward must give a number for each of {len(responses)} responses, got {len(scores)}")
    for prompt, response, score in zip(prompts, responses, scores, strict=True):
        if not math.isfinite(score):
            raise ValueError(
                f"the reward of a response is {score}, and must be a finite number. Prompt: {prompt!r:.80}; response: "
                f"{response!r:.200}"
            )
    return torch.tensor(scores)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f'models of one\'s own need the transformers library: pip install "pgcourse[hf]" ({error})'
        ) from None
    return transformers


def _not_there(path: Any, local_files_only: bool, error: str) -> str:
    if local_files_only and "huggingface.co" in error:  # it has looked for a name on the hub, and could not
        return (
            f"there is no checkpoint {path} on this machine: no folder with config.json and weights, as "
            "save_pretrained makes it, nor a model that was downloaded before"
        )
    return f"there is no checkpoint {path} {'on this machine' if local_files_only else 'here or on the hub'}: {error}"


def quietly() -> None:
    """No progress bars of the library's own, which reads and writes small files often.

    Raises:
        ImportError: the library is missing.
    """
    _transformers().utils.logging.disable_progress_bar()


def _only(given: int | None, own: int | list[int] | None) -> int | None:
    """The token that was given, or else the checkpoint's; the first of several."""
    token = own if given is None else given
    return token[0] if isinstance(token, list) else token


def _positions(seen: Tensor) -> Tensor:
    """How many real tokens stand before each, [row, token]; 0 on the padding before them."""
    return (seen.cumsum(-1) - 1).clamp_min(0)


def _row(module: torch.nn.Module) -> Tensor:
    """All parameters in a row."""
    return torch.cat([p.detach().flatten() for p in module.parameters()])
