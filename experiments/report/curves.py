"""curves.png of a run: pass rates and reward over the steps, shares of the stages, and diagnostics."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # needs no display

from matplotlib import pyplot  # noqa: E402  after the backend is chosen

from sandbox import Stage  # noqa: E402

COLOURS = ("#7f2704", "#d94801", "#fd8d3c", "#fdd0a2", "#a1d99b", "#238b45")  # from broken to passed
SMOOTHING = 0.8
# Titles of the small panels, and their metrics (docs/metrics.md explains them). A panel without data is left out.
PANELS = {
    "nats a token": ("entropy", "kl", "approx_kl"),
    "share that was clipped": ("clip_ratio/low_mean", "clip_ratio/high_mean"),
    "norms": ("grad_norm", "adapter/update_norm"),
    "groups without spread": ("frac_reward_zero_std/all_pass", "frac_reward_zero_std/all_fail"),
    "tokens": ("completions/mean_length",),
    "critic": ("explained_variance", "explained_variance/rewards"),
    "findings a completion": (
        *("findings/style/error", "findings/style/bug", "findings/security/HIGH", "findings/security/MEDIUM"),
    ),
}
IN_A_ROW = 4


def draw_curves(path: Path, metrics: list[dict], summary: dict, title: str) -> None:
    """Draws the data that exist: an interrupted run has few steps or none, and SFT has no rewards."""
    panels = choose_panels(metrics)
    rows = -(-len(panels) // IN_A_ROW)
    figure = pyplot.figure(figsize=(13, 4.5 + 3 * rows), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(3, 2 * max(rows, 1)))
    left, right = top.subplots(1, 2)
    steps = [m["step"] + 1 for m in metrics]
    draw_pass_rates(left, steps, metrics, summary)
    if metrics and "reward" in metrics[0]:
        draw_stages(right, steps, metrics)
    else:
        right.plot(steps, [m["loss"] for m in metrics], color="#3182bd")
        right.set(title="loss, nats a token", xlabel="step")
        right.grid(alpha=0.3)
    if panels:
        grid = bottom.subplots(rows, min(IN_A_ROW, len(panels)), squeeze=False).flatten()
        for axes, (text, names) in zip(grid, panels.items(), strict=False):
            draw_panel(axes, metrics, text, names)
        for axes in grid[len(panels) :]:
            axes.axis("off")
    figure.suptitle(title)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, dpi=110, format="png")
    temporary.replace(path)
    pyplot.close(figure)


def choose_panels(metrics: list[dict]) -> dict[str, list[str]]:
    """The small panels that have data: all components of the reward, then those of PANELS."""
    there = {name for m in metrics for name in m}
    components = sorted(name for name in there if name.startswith("rewards/") and name.endswith("/mean"))
    panels = {"reward and its components": ("reward", *components)} | PANELS
    found = {title: [name for name in names if name in there] for title, names in panels.items()}
    return {title: names for title, names in found.items() if names}


def draw_stages(axes, steps: list[int], metrics: list[dict]) -> None:
    shares = [smooth([m[f"stages/{stage.name}"] for m in metrics]) for stage in Stage]
    names = [stage.name.replace("_", " ").lower() for stage in Stage]
    axes.stackplot(steps, shares, labels=names, colors=COLOURS)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
    axes.set_xlim(steps[0], max(steps[-1], steps[0] + 1))
    axes.set(title="stages of the training rollouts (smoothed)", xlabel="step", ylabel="share", ylim=(0, 1))


def draw_panel(axes, metrics: list[dict], title: str, names: list[str]) -> None:
    for name in names:
        points = [(m["step"] + 1, m[name]) for m in metrics if name in m]
        axes.plot([x for x, _ in points], smooth([y for _, y in points]), label=name, linewidth=1)
    if title == "critic":  # the first values of an untrained critic would flatten the rest
        axes.set_ylim(-1, 1)
    axes.set_title(title, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)


def draw_pass_rates(axes, steps: list[int], metrics: list[dict], summary: dict) -> None:
    if metrics and "reward" in metrics[0]:
        rewards = [m["reward"] for m in metrics]
        if min(rewards) >= 0 and max(rewards) <= 1:  # on the scale of pass rates; others have a panel of their own
            axes.plot(steps, rewards, color="#9ecae1", linewidth=0.8)
            axes.plot(steps, smooth(rewards), color="#3182bd", label="reward, training")
        axes.plot(steps, smooth([m["pass_rate"] for m in metrics]), color="#756bb1", label="pass rate, training")
    valid = [(m["step"] + 1, m["valid/greedy_pass@1"]) for m in metrics if "valid/greedy_pass@1" in m]
    if valid:
        axes.plot(*zip(*valid, strict=True), "o--", color="#31a354", label="greedy pass@1, valid")
    last = steps[-1] if steps else 0
    # A little to the left and right of the step, so that the intervals do not cover each other.
    for split, colour, marker, side in (("test", "#de2d26", "s", -0.01), ("test/unseen", "#fc9272", "^", 0.01)):
        for x, when in ((0, "before"), (last, "after")):
            if summary[when] and split in summary[when]:
                value = summary[when][split]["greedy_pass@1"]
                low, high = summary[when][split]["greedy_pass@1_interval"]
                errors = [[value - low], [high - value]]
                label = f"greedy pass@1, {split} (95 %)" if when == "before" else None
                axes.errorbar(x + side * last, value, errors, fmt=marker, color=colour, capsize=3, label=label)
    axes.set(title="pass@1 and reward", xlabel="step", ylim=(0, 1))
    axes.grid(alpha=0.3)
    if axes.has_data():
        axes.legend(loc="lower right", fontsize=8)


def smooth(values: list[float]) -> list[float]:
    """Exponential moving average, started at the first value."""
    out: list[float] = []
    for value in values:
        out.append(value if not out else SMOOTHING * out[-1] + (1 - SMOOTHING) * value)
    return out
