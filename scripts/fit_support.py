"""Fits the weights of src/answer/support.rs and prints them as Rust.

usage: fit_support.py SIGNALS.jsonl      (made by `cargo bench --bench signals`; needs numpy and scikit-learn)

Questions of eight articles are fitted on, those of the other eight only tested. A row of kind `elsewhere`
(a question whose article is not in the library, with the nearest passage of another one) counts as not
answerable, like an adversarial one. The verdict of the language model is not among these rows: its weight is
set apart, see the comment in support.rs."""
import json
import random
import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

rows = [json.loads(line) for line in open(sys.argv[1])]
titles = sorted({row["title"] for row in rows})
random.Random(7).shuffle(titles)
fit_titles = set(titles[:8])
names = [name for name in sorted(rows[0]["signals"]) if name != "verdict"]
x = np.array([[row["signals"][name] for name in names] for row in rows])
kind = np.array([row["kind"] for row in rows])
y = (kind == "answerable").astype(int)
fit = np.array([row["title"] in fit_titles for row in rows])

# Weighted so that the three kinds count alike.
weight = np.array([len(rows) / (3 * (kind == k).sum()) for k in kind])
scale = x[fit].std(axis=0) + 1e-9
model = LogisticRegression(C=0.3, max_iter=2000)
model.fit((x / scale)[fit], y[fit], sample_weight=weight[fit])
weights = model.coef_[0] / scale
score = x @ weights + model.intercept_[0]
for part, chosen in (("fit", fit), ("test", ~fit)):
    for other in ("adversarial", "elsewhere"):
        pick = chosen & ((kind == "answerable") | (kind == other))
        print(f"// {part}: AUC answerable against {other}: {roc_auc_score(y[pick], score[pick]):.3f} (n = {pick.sum()})")
for name in names:
    print(f"    {name}: {weights[names.index(name)]:.3f},")
print(f"    bias: {model.intercept_[0]:.3f},")
p = 1 / (1 + np.exp(-score))
for threshold in np.arange(0.1, 0.8, 0.05):
    passed = {k: (p[~fit & (kind == k)] >= threshold).mean() for k in ("answerable", "adversarial", "elsewhere")}
    print(f"// {threshold:.2f}: " + ", ".join(f"{k} {v:.2f}" for k, v in passed.items()))
print("// means:", {n: round(float(x[fit][:, i].mean()), 3) for i, n in enumerate(names)})
