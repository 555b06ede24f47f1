"""Wall time of `python -m pipeline.train` beside a bare script that does the same fits.

    python benchmarks/overhead.py [rounds=3]

Both read the same labelled sentences, fit TF-IDF and logistic regression on the same five folds and
on all, score the test articles, and log one model to a fresh copy of one SQLite store. The bare
script uses scikit-learn's own vectorizer and logs with `mlflow.sklearn.log_model`; it draws no plot,
resamples no interval, writes no report. Rounds alternate; the ratio is of the medians.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BARE = """
import sys
import mlflow, numpy as np, pyarrow.parquet as pq
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

labels = ["accusation", "denial", "policy_action", "economic_claim"]
table = pq.read_table(sys.argv[1]).to_pandas()
y = np.array([[name in given for name in labels] for given in table["labels"]]).astype(int)
train = (table["split"] != "test").to_numpy()
head = LogisticRegression(C=10, class_weight="balanced", solver="liblinear", random_state=7)
model = make_pipeline(
    TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), OneVsRestClassifier(head)
)
x, z, articles = table["text"].to_numpy(), y[train], table["article"][train]
held_out = np.zeros(z.shape)
for inside, outside in GroupKFold(5).split(z, groups=articles):
    held_out[outside] = clone(model).fit(x[train][inside], z[inside]).predict_proba(x[train][outside])
model.fit(x[train], z)
scores = model.predict_proba(x[~train])
grid = np.linspace(0.05, 0.95, 91)
best = [grid[np.argmax([f1_score(z[:, k], held_out[:, k] >= t) for t in grid])] for k in range(4)]
print("macro-F1", f1_score(y[~train], scores >= best, average="macro"),
      "average precision", average_precision_score(y[~train], scores))
mlflow.set_tracking_uri(sys.argv[2])
with mlflow.start_run():
    mlflow.log_metric("macro_f1", f1_score(y[~train], scores >= best, average="macro"))
    mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
"""


def seconds(command: list[str], folder: Path) -> float:
    """Return the wall time of a command."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return time.perf_counter() - began


def main() -> None:
    """Alternate both, and print medians and ratio."""
    rounds = int(next((a.split("=")[1] for a in sys.argv[1:] if a.startswith("rounds=")), 3))
    labelled = ROOT / "data" / "interim" / "labelled.parquet"
    times: dict[str, list[float]] = {"pipeline.train": [], "bare script": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare.py").write_text(BARE)
        store = folder / "empty.db"
        start = f"import mlflow; mlflow.MlflowClient('sqlite:///{store}').search_experiments()"
        seconds([sys.executable, "-c", start], folder)
        for n in range(rounds):
            for what in times:
                database = folder / f"{what.split('.')[-1].replace(' ', '')}{n}.db"
                shutil.copy(store, database)
                uri = f"sqlite:///{database}"
                train = ["-m", "pipeline.train", "model=tfidf_logreg", f"tracking.uri={uri}"]
                train += [f"output={folder}/model", f"report={folder}/report"]
                bare = ["bare.py", str(labelled), uri]
                command = [sys.executable, *(train if what == "pipeline.train" else bare)]
                times[what].append(seconds(command, folder))
                print(f"round {n + 1}  {what:<16}{times[what][-1]:7.2f} s", flush=True)
    ours, bare_time = (statistics.median(times[what]) for what in times)
    print(
        f"medians: pipeline.train {ours:.2f} s, bare script {bare_time:.2f} s, ratio {ours / bare_time:.2f}"
    )


if __name__ == "__main__":
    main()
