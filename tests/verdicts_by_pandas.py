"""The findings of the published study a second time, in pandas, written from the rules as
documented and sharing no code.

A comparison is a frame of pairs: one row per cell and repeat, with NC1 of both sides. `judge` makes
cells of it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

SITE = ["dataset", "N", "d0", "sizes", "activation", "depth", "convention"]
VARIANCES = ["weight_variance", "bias_variance"]
OWN = ["model", "parametrization", *VARIANCES, "width", "noise", "state"]
EDGE = np.log(1.05)


def near(low, high):
    if low >= -EDGE and high <= EDGE:
        return "same"
    return "different" if low > EDGE or high < -EDGE else "undecided"


def student(logs, confidence=0.95):
    logs = np.asarray(logs)
    if len(logs) < 2:
        return np.nan, np.nan
    if np.ptp(logs) == 0:
        return logs[0], logs[0]
    return stats.t.interval(confidence, len(logs) - 1, logs.mean(), stats.sem(logs))


def order(draws):
    """(word, repeats that share it) of the claim x >= y on the draws of one cell."""
    sign = np.where(draws.bound < abs(draws.x - draws.y), np.sign(draws.x - draws.y), 0)
    hold, fail = int((sign > 0).sum()), int((sign < 0).sum())
    if not hold or not fail:
        found = "holds" if hold else "fails" if fail else "equal within the error bound"
        return found, hold or fail or len(sign)
    if hold + fail < 6:
        return "too few", 0
    if stats.binomtest(hold, hold + fail).pvalue > 0.05:
        return "undecided", 0
    return ("holds", hold) if hold > fail else ("fails", fail)


def equality(logs, rule):
    """(word, repeats that share it) of the claim that the ratio of one cell is 1, for exact numbers
    ("alike") or not.
    """
    if np.isnan(logs).any():
        return "not comparable", 0
    single = [near(log, log) for log in logs]
    if rule == "alike" and len(set(single)) == 1:
        return single[0], len(single)
    found = near(*student(logs)) if len(logs) >= 6 else "too few"
    return found, single.count(found)


def judge(pairs, rule, by):
    """One row per cell: its word, the mean log ratio with its interval, and the logs by repeat."""
    pairs = pairs.assign(log=np.log((pairs.x / pairs.y).where((pairs.x > 0) & (pairs.y > 0))))
    rows = []
    for name, cell in pairs.groupby(by, dropna=False, sort=False) if len(pairs) else ():
        draws = cell[np.isfinite(cell.x) & np.isfinite(cell.y)]
        found, share = "not comparable", 0
        if rule in ("at least", "at most") and len(draws):
            turned = draws.rename(columns={"x": "y", "y": "x"})
            found, share = order(draws if rule == "at least" else turned)
        elif len(draws):
            found, share = equality(draws.log, rule)
        logs = draws.set_index("repeat").log
        logs = logs if logs.notna().all() else logs[:0]
        low, high = student(logs)
        told = dict(zip(by, name, strict=True), arm=cell.arm.iloc[0], word=found, share=share)
        told |= {"n": len(draws), "mean": logs.mean(), "low": low, "high": high, "logs": logs}
        rows.append(told)
    empty = dict.fromkeys([*by, "arm", "word", "n", "mean", "logs"])
    return pd.DataFrame(rows, columns=None if rows else list(empty))


def pooled(cells):
    """(mean, low, high) of the log ratio over cells, and the number of repeats in common."""
    known = cells[cells["mean"].notna()]
    for fewest in (6, 2, 1):
        if (known.n >= fewest).any():
            wide = pd.DataFrame(list(known[known.n >= fewest].logs))
            means = wide.dropna(axis=1).mean()
            if len(means) < 2:
                return wide.mean(axis=1).mean(), np.nan, np.nan, len(means)
            return means.mean(), *student(means), len(means)
    return np.nan, np.nan, np.nan, 0


def verdict(cells, rule):
    """The verdict of a claim from its cells."""
    words = set(cells.word) - {"not comparable"}
    if not words - {"too few"}:
        return words.pop() if words else "not comparable"
    if rule == "agree":
        return of_random(cells[~cells.word.isin(["too few", "not comparable"])])
    for found, told in (
        ({"holds", "equal within the error bound", "same"}, "holds"),
        ({"fails", "different"}, "fails"),
        ({"undecided", "too few"}, "undecided"),
    ):
        if words <= found:
            return told
    return "depends on the data"


def of_random(cells):
    """The verdict of an equality of random numbers, from cells with enough repeats."""
    strict = {near(*student(logs, 1 - 0.01 / len(cells))) for logs in cells.logs}
    _, low, high, repeats = pooled(cells)
    mean = near(low, high) if repeats >= 6 else "too few"
    for_it, against = "same" in {mean, *strict}, "different" in {mean, *strict}
    if against:
        return "depends on the data" if for_it and strict != {"different"} else "fails"
    return "holds" if mean == "same" else "undecided"


def pair(first, second, on=(), own=OWN, arm=False, repeat=True):
    """Pairs of rows that agree in the site, in `on`, in the repeat, and in the arm if asked."""
    on = [*SITE, *on, *["repeat"] * repeat, *["arm"] * (arm == "within")]
    first = first.drop_duplicates([*SITE, *own, "repeat", *["arm"] * bool(arm)])
    left = first[list(dict.fromkeys([*on, *own, "arm", "repeat"]))].assign(
        x=first.nc1, bound=first.error_bound
    )
    second = second.drop_duplicates(on)
    right = second[on].assign(y=second.nc1, also=second.error_bound)
    pairs = left.merge(right, on=on)
    return pairs.assign(bound=pairs.bound + pairs.also)


def subsets(rows):
    """The rows by what they are evidence of."""
    t = pd.DataFrame(rows)
    one = t[t.convention == t.groupby("arm").convention.transform("first")]
    nets, counter = t[t.model == "network"], one.arm == "counter"
    claimed = one.dataset.isin(["D1", "D2"])
    widths = nets.groupby("arm").width.nunique()
    several = one.arm.isin(widths.index[widths > 1])
    mine = one[claimed & ~counter]
    deep = mine[mine.model.isin(["NNGP", "NTK"]) & (mine.depth != 2)].arm
    published = mine[~mine.arm.isin(deep) & ~several[mine.index]]
    noisy = published.arm.isin(nets[nets.noise.notna()].arm)
    deeper = one[one.arm.isin(nets[nets.depth > 2].arm)]
    data = ["dataset", "N", "d0", "sizes"]
    beside = deeper.loc[deeper.model == "network", data].drop_duplicates()
    return {
        "all": t,
        "published": published,
        "quiet": published[~noisy],
        "noisy": published[noisy],
        "elsewhere": one[~claimed & ~counter],
        "counter": one[counter],
        "deeper": deeper,
        "beside deeper": published[~noisy].merge(beside, on=data),
        "widths": one[several],
    }


def of(t, model, state=""):
    return t[(t.model == model) & (t.state == state)]


def ntk(t, own=False):
    kernels = of(t, "NTK")
    return kernels[(kernels.parametrization == "standard") == own]


# Each comparison gives its rule, the columns of its cells, and its pairs.


def ntk_nngp(t):
    return "at least", [*SITE, *VARIANCES], pair(ntk(t), of(t, "NNGP"), VARIANCES)


def released_nngp(t):
    pairs = pair(of(t, "compat.released.erf_ntk"), of(t, "NNGP"), VARIANCES)
    return "at least", [*SITE, *VARIANCES], pairs


def ntk_released(t):
    pairs = pair(ntk(t), of(t, "compat.released.erf_ntk"), VARIANCES)
    return "at least", [*SITE, *VARIANCES], pairs


def own_ntk_nngp(t):
    return "at least", [*SITE, *OWN], pair(ntk(t, own=True), of(t, "NNGP"))


def erf_relu(t, kernel="NTK"):
    t = t[t.state.eq("") & (t.parametrization != "standard")]
    erf = t[t.activation.eq("erf") & t.model.isin(["NNGP", kernel])]
    erf = erf.replace({"model": {kernel: "NTK"}})
    relu = t[t.activation.eq("relu") & t.model.isin(["NNGP", "NTK"])].assign(activation="erf")
    own = ["model", *VARIANCES]
    return "at most", [*SITE, *own], pair(erf, relu, ["model"], own)


def start_nngp(t):
    return "agree", [*SITE, *OWN], pair(of(t, "network", "start"), of(t, "NNGP"))


def adaptive_nngp(t, model="AdaptiveKernel"):
    return "at most", ["arm", *SITE, *OWN], pair(of(t, model), of(t, "NNGP"), arm="each")


def shuffled_true(t, model="AdaptiveKernel"):
    pairs = pair(of(t, model, "shuffled"), of(t, model), OWN[:-1], OWN[:-1], arm="within")
    return "at least", ["arm", *SITE, *OWN[:-1]], pairs


def moved(t, model="network"):
    pairs = pair(of(t, model, "end"), of(t, model, "start"), OWN[:-1], OWN[:-1], arm="within")
    return "agree", ["arm", *SITE, *OWN[:-1]], pairs


def change(pairs):
    """Pairs as rows whose nc1 is their ratio."""
    ratio = pairs.x / pairs.y
    return pairs.assign(nc1=ratio, error_bound=0.0)[
        (pairs.x > 0) & (pairs.y > 0) & np.isfinite(ratio)
    ]


def trend(t, model="AdaptiveKernel", matched=False):
    """Changes of networks beside the kernels of their arm, or of others where it has none, or of
    the matched arm.
    """
    noisy = set(t[(t.model == "network") & t.noise.notna()].arm)
    kernels, arms, found = change(adaptive_nngp(t, model)[2]), set(t[t.model == model].arm), []
    for arm, nets in change(moved(t)[2]).groupby("arm", sort=False):
        beside = {arm} & arms if arm in arms | noisy else arms - noisy - {"matched"}
        if matched:
            beside = set() if arm in noisy else {"matched"} & arms
        found.append(pair(nets, kernels[kernels.arm.isin(beside)], own=OWN[:-1]))
    pairs = pd.concat(found, ignore_index=True) if found else moved(t)[2]
    return "agree", ["arm", *SITE, *OWN[:-1]], pairs


def ntk_own(t):
    return "alike", [*SITE, *OWN], pair(ntk(t), ntk(t, own=True))


def empirical_own(t):
    pairs = pair(of(t, "empirical NTK", "start"), ntk(t, own=True), arm="within")
    return "agree", ["arm", *SITE, *OWN], pairs


def conventions(t):
    t = pd.concat([of(t, "NNGP"), ntk(t)])
    probe = t[t.convention == "probe"].assign(convention="released")
    return "alike", [*SITE, *OWN], pair(t[t.convention == "released"], probe, OWN)


def theory(t):
    drawn = pd.concat([of(t, "NNGP"), of(t, "NTK")])
    curve = t[t.state == "theory"]
    return "agree", [*SITE, *OWN[:-1]], pair(drawn, curve, OWN[:-1], OWN[:-1], repeat=False)


def courses(t):
    """One row per curve of several depths: NC1 rises, falls, does neither, or stays level."""
    t = t[t.model.isin(["NNGP", "NTK"]) & t.state.eq("")]
    by = ["arm", *[name for name in SITE if name != "depth"], *OWN]
    t = t.assign(depths=t.groupby(by, dropna=False).depth.transform("nunique"))
    t, told = t[t.depths > 1].sort_values("depth"), []
    for name, curve in t.groupby([*by, "repeat"], dropna=False, sort=False):
        if len(curve) < curve.depths.iloc[0] or not np.isfinite(curve.nc1).all():
            continue
        step, bound = np.diff(curve.nc1), curve.error_bound.rolling(2).sum()[1:]
        up, down = (step > bound).any(), (step < -bound).any()
        course = ["stays level", "rises", "falls", "is not monotone"][up + 2 * down]
        told.append((*name, course, curve.nc1.iloc[0], curve.nc1.iloc[-1]))
    return pd.DataFrame(told, columns=[*by, "repeat", "course", "first", "last"])
