"""Figures with sliders: what is shown is what the library computes, before and after a browser has moved them."""

import itertools
import json
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from scipy import stats

from pgcourse import exact, plots, rl
from pgcourse.plots.chapter_01 import level_line
from pgcourse.plots.chapter_05 import n_step_weights
from pgcourse.plots.explorable import MINUS, Choice, Curve, Dot, Number, Panel, Segment, Slider, Text
from pgcourse.plots.simplex import CORNERS

LARGEST = 300_000  # bytes of a figure in a notebook's file


def at(entry, position):
    """The value of a payload's entry at a position of the controls, by the rule that `payload` states."""
    strides = [math.prod(entry["grid"][k + 1 :]) * (n > 1) for k, n in enumerate(entry["grid"])]
    return entry["values"][sum(p * stride for p, stride in zip(position, strides, strict=True))]


def told(figure):
    """{label: value at a position}, of the numbers beside a figure."""
    return {
        entry["label"]: (lambda position, entry=entry: at(entry, position)) for entry in figure.payload()["numbers"]
    }


def number(text):
    return float(text.replace(MINUS, "-"))


def drawn(figure, mark, attribute):
    """The attribute of a mark at a position; marks are numbered through the panels."""
    (entry,) = [m for m in figure.payload()["moves"] if (m["mark"], m["attribute"]) == (mark, attribute)]
    return lambda position: float(at(entry, position))


class TestSeeds:
    A = np.array([500.0, 487, 101, 42, 500, 220, 119, 496, 111, 236])
    B = np.array([500.0, 500, 500, 500, 499, 500, 500, 210, 500, 500])

    @pytest.fixture(scope="class")
    @classmethod
    def figure(cls):
        return plots.explore_seeds({"no baseline": cls.A, "value baseline": cls.B})

    def test_means_intervals_and_ranks_of_all_choices_of_three(self, figure):
        shown, triples = told(figure), list(itertools.combinations(range(10), 3))
        differences = [round(self.A[list(t)].mean() - self.B[list(t)].mean(), 6) for t in triples]
        rank = "rank of the difference among all choices of as many seeds"
        for triple, difference in zip(triples, differences, strict=True):
            position = [int(seed in triple) for seed in range(10)]
            assert number(shown["no baseline minus value baseline"](position)) == round(difference)
            assert shown[rank](position) == f"{1 + sum(each > difference for each in differences)} of {len(triples)}"
            for name, values in (("no baseline", self.A), ("value baseline", self.B)):
                picked = values[list(triple)]
                half = stats.t.ppf(0.975, 2) * picked.std(ddof=1) / 3**0.5
                found = re.findall(r"[-\d]+", shown[name](position).replace("95 %", "").replace(MINUS, "-"))
                wanted = [picked.mean(), picked.mean() - half, picked.mean() + half]
                np.testing.assert_allclose([float(each) for each in found], wanted, atol=0.51)

    def test_none_and_one(self, figure):
        shown = told(figure)
        assert {value([0] * 10) for value in shown.values()} == {"no seed is ticked"}
        assert shown["no baseline"]([0, 0, 1] + [0] * 7) == "101"  # one seed has no interval

    def test_ticked_seeds_stand_out(self, figure):
        opacity = drawn(figure, 3 + 4, "opacity")  # after three lines, the dot of seed 4
        assert opacity([0] * 4 + [1] + [0] * 5) == 1
        assert opacity([1] * 4 + [0] + [1] * 5) < 0.5

    def test_bands_stay_where_returns_can_be(self, figure):
        edges = [drawn(figure, 0, name) for name in ("x1", "x2")]
        every = [position for position in itertools.product((0, 1), repeat=10)]
        scale = drawn(figure, 2, "x1")  # the mean of the ticked
        lowest, highest = scale([0] * 10), scale([1] + [0] * 9)  # returns of 0 and of 500
        assert min(edges[0](position) for position in every) >= lowest
        assert max(edges[1](position) for position in every) <= highest

    @pytest.mark.parametrize("scores", [{"A": [1, 2]}, {"A": [1, 2], "B": [1]}, {"A": range(11), "B": range(11)}])
    def test_what_cannot_be_compared(self, scores):
        with pytest.raises(ValueError, match="got"):
            plots.explore_seeds(scores)


class TestSoftmax:
    R = np.array([1.0, 0.4, 0.0])
    STEPS = (0.5, 8.0)
    LOGITS = np.linspace(-4, 4, 9)

    @pytest.fixture(scope="class")
    @classmethod
    def figure(cls):
        r = torch.tensor(cls.R)
        onward = torch.tensor([0.0, 1.0]).expand(2, 3, 2)
        reward = torch.stack([r, 0 * r])
        end = torch.tensor([False, True])
        bandit = exact.TabularMDP(onward, reward, [1.0, 0.0], 1.0, end, action_names=("a", "b", "c"))
        return plots.explore_softmax(bandit, cls.LOGITS, cls.STEPS)

    def test_policy_objective_gradient_and_step(self, figure):
        """A bandit's gradient in closed form, π (r - J), chapter 01."""
        shown = told(figure)
        for i, j, k in itertools.product(range(9), range(9), range(2)):
            z = np.array([self.LOGITS[i], self.LOGITS[j], 0])
            pi = np.exp(z) / np.exp(z).sum()
            gradient = pi * (self.R - pi @ self.R)
            after = np.exp(z + self.STEPS[k] * gradient)
            here = (i, j, k)
            found = [number(each) for each in shown["π"](here).strip("()").split(", ")]
            np.testing.assert_allclose(found, pi, atol=5.1e-4)
            assert number(shown["J"](here)) == pytest.approx(pi @ self.R, abs=5.1e-4)
            assert number(shown["length of the gradient"](here)) == pytest.approx(np.linalg.norm(gradient), abs=5.1e-5)
            assert number(shown["J after the step"](here)) == pytest.approx(after @ self.R / after.sum(), abs=5.1e-4)

    def test_it_starts_indifferent(self, figure):
        assert told(figure)["π"](figure.starts) == "(0.333, 0.333, 0.333)"

    def test_on_a_level_line_the_expected_reward_is_the_level(self):
        inverse = np.linalg.inv(np.vstack([CORNERS.T, np.ones(3)]))
        for level in (0.2, 0.5, 0.8):
            probabilities = inverse @ np.vstack([level_line(self.R, level), np.ones(2)])
            np.testing.assert_allclose(self.R @ probabilities, level)
            assert probabilities.min() > -1e-12


class TestGae:
    LAMS = np.linspace(0, 1, 5)
    BIAS = np.stack([(1 - LAMS) ** 2, 3 * (1 - LAMS) ** 2])
    VARIANCE = np.stack([1 + LAMS, 1 + 3 * LAMS])

    @pytest.fixture(scope="class")
    @classmethod
    def figure(cls):
        critics = {0.5: (cls.BIAS, cls.VARIANCE), 1.0: (4 * cls.BIAS, cls.VARIANCE)}
        return plots.explore_gae(cls.LAMS, critics, (1, 10))

    def test_numbers_are_means_over_seeds_at_the_chosen_lambda(self, figure):
        shown = told(figure)
        for k, critic, batch in itertools.product(range(5), range(2), range(2)):
            lam, n, position = self.LAMS[k], (1, 10)[batch], (k, critic, batch)
            bias, variance = (2, 8)[critic] * (1 - lam) ** 2, (1 + 2 * lam) / n
            for name, wanted in (("bias²", bias), ("variance / N", variance), ("error", bias + variance)):
                assert number(shown[name](position)) == pytest.approx(wanted, abs=5.1e-5), name

    def test_the_lowest_point(self, figure):
        # d/dλ of 2 (1-λ)² + (1 + 2λ)/10 is 0 at λ = 0.95, of the given λ the nearest is 1
        assert [told(figure)["lowest at λ"]((0, 0, n)) for n in range(2)] == ["0.50", "1.00"]

    def test_weighted_n_step_advantages_are_gae(self):
        """Of an episode of eleven steps: the last weight is that of all longer terms, which are the whole episode."""
        generator = torch.Generator().manual_seed(3)
        reward, value = torch.randn(2, 11, generator=generator, dtype=torch.float64)
        later = torch.cat([value[1:], torch.zeros(1, dtype=torch.float64)])
        gamma, end = 0.9, torch.arange(11) == 10
        delta = reward + gamma * later - value
        terms = torch.cumsum(delta * gamma ** torch.arange(11), 0)  # Â^(n) of the first step
        lams = (0.0, 0.3, 0.95, 1.0)
        for lam, weights in zip(lams, n_step_weights(lams, 10), strict=True):
            shaped = [each.view(1, 11, 1) for each in (reward, value, later, end, torch.zeros_like(end))]
            assert weights @ terms.numpy() == pytest.approx(rl.gae(*shaped, gamma, lam)[0, 0, 0].item())
            assert weights.sum() == pytest.approx(1)


def test_clip():
    """Slope A, but 0 where the sample has gone far enough: r > 1.2 with A > 0, r < 0.8 with A < 0."""
    figure = plots.explore_clip((2.0, -2.0), clip=0.2)
    shown, (slider, _) = told(figure), figure.controls
    for k, word in enumerate(slider.values):
        r = float(word)
        for sign, A in enumerate((2, -2)):
            enough = r > 1.2 if A > 0 else r < 0.8
            assert number(shown["slope in r"]((k, sign))) == (0 if enough else A)
            assert shown["still pushes"]((k, sign)).startswith("no" if enough else "yes")
            wanted = min(r * A, min(max(r, 0.8), 1.2) * A)
            assert number(shown["minimum"]((k, sign))) == pytest.approx(wanted, abs=0.0051)


# The form


def small(label="half of k"):
    """A slider with four values and a choice of a sign; y = ±k/2."""
    y = np.arange(4)[:, None] / 2 * np.array([1, -1])
    marks = [Curve([0, 3], y[..., None] * [1, 1]), Dot(1, y), Segment(0, 0, 1, y), Text(2, y, np.full((4, 2), "</b>"))]
    panel = Panel("Half of it", marks, (0, 3), (-2, 2), "k", "y")
    controls = [Slider("k", "0123", 1), Choice("sign", ["+", MINUS])]
    return plots.Explorable("Half of k, with a sign.", controls, [panel], [Number(label, y, "{:.1f}")])


def test_the_picture_is_the_first_position():
    figure = small()
    root = ElementTree.fromstring(figure.svg())
    marks = [each for each in root.iter() if "data-mark" in each.attrib]
    assert len(marks) == 4
    for move in figure.payload()["moves"]:
        mark, attribute = marks[move["mark"]], move["attribute"]
        assert (mark.attrib[attribute] if attribute else mark.text) == at(move, figure.starts)
    assert "half of k: 0.5" in "".join(root.itertext())
    assert "k: 1; sign: +" in "".join(root.itertext())


def test_zero_has_no_sign():
    assert [told(small())["half of k"]((0, sign)) for sign in range(2)] == ["0.0", "0.0"]


def test_html_holds_its_payload_and_asks_for_nothing():
    figure = small()
    html = figure._repr_html_()
    assert html == small()._repr_html_()
    (spec,) = re.findall(r"const spec = (.*);\n", html)
    assert json.loads(spec) == figure.payload()
    assert html.count("</script>") == 1  # no value ends the script
    assert "http" not in html
    assert 'alt="Half of k, with a sign."' in html


def test_what_does_not_fit_the_controls_is_refused():
    figure = small()
    wrong = plots.Explorable("", figure.controls, [], [Number("x", np.zeros((2, 4)))])
    with pytest.raises(ValueError, match=r"shape \[2, 4\] does not fit controls of \[4, 2\]"):
        wrong.payload()


def test_the_largest_figure_is_small_enough_for_a_notebook():
    figure = plots.explore_seeds({"A": TestSeeds.A, "B": TestSeeds.B})
    assert len(figure._repr_html_()) < LARGEST


# In a browser


@pytest.fixture
def tab(chromium):
    """A tab of a phone's width without network, in which no script may fail."""
    tab = chromium.new_context(offline=True, viewport={"width": 360, "height": 700}).new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.set_content('<!DOCTYPE html><meta name="viewport" content="width=device-width"><body></body>')
    yield tab
    tab.context.close()
    assert errors == []


def output(tab, html):
    """Show HTML as JupyterLab does: put in while it is not yet on the page, its scripts made anew."""
    tab.evaluate(
        """html => {
            const host = document.createElement("div");
            host.innerHTML = html;
            for (const old of host.querySelectorAll("script")) {
                const script = document.createElement("script");
                script.textContent = old.textContent;
                old.parentNode.replaceChild(script, old);
            }
            document.body.append(host);
        }""",
        html,
    )


def test_a_key_moves_one_figure_and_no_other(tab):
    for figure in (small(), small(), small("another")):  # the first two are the same cell, run twice
        output(tab, figure._repr_html_())
    figures = tab.locator(".pg-explorable")
    assert figures.count() == 3
    figures.nth(1).get_by_role("slider").press("ArrowRight")
    figures.nth(1).get_by_label(MINUS).check()
    assert [each.text_content() for each in tab.locator("dd").all()] == ["0.5", f"{MINUS}1.0", "0.5"]
    assert figures.nth(1).locator("output").text_content() == "2"
    assert figures.nth(1).get_by_role("slider").get_attribute("aria-valuetext") == "2"
    assert tab.locator("input:not([data-lm-suppress-shortcuts])").count() == 0  # JupyterLab leaves them their keys
    assert figures.nth(0).get_by_label("+").is_checked()  # choices are those of their own figure
    dots = [float(each.get_attribute("cy")) for each in tab.locator("circle").all()]
    assert dots[0] == dots[2] < dots[1]


def test_boxes_and_every_position_of_a_real_figure(tab):
    figure = plots.explore_seeds({"no baseline": TestSeeds.A, "value baseline": TestSeeds.B})
    output(tab, figure._repr_html_())
    shown = told(figure)
    ticked = [1, 1, 1] + [0] * 7
    for seed in (2, 7, 4):
        tab.get_by_label(str(seed), exact=True).press("Space")
        ticked[seed] ^= 1
        assert tab.locator("dd").all_text_contents() == [value(ticked) for value in shown.values()]


def test_on_a_phone_nothing_is_wider_than_the_page(tab):
    for figure in (small(), plots.explore_seeds({"A": TestSeeds.A, "B": TestSeeds.B}), plots.explore_clip()):
        output(tab, figure._repr_html_())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    slider = tab.locator("input[type=range]").first.bounding_box()
    assert slider["width"] > 300


def test_where_scripts_do_not_run_a_picture_stays(chromium):
    context = chromium.new_context(java_script_enabled=False, offline=True)
    tab = context.new_page()
    tab.set_content(small()._repr_html_())
    picture = tab.get_by_alt_text("Half of k, with a sign.")
    assert picture.bounding_box()["width"] > 300
    assert tab.locator("input").count() == 0  # nothing that would not work
    context.close()
