"""``python -m model_service evaluate BUNDLE --data DIR --report DIR``; `firstread model evaluate` runs it."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from firstread.errors import FirstReadError
from model_service.errors import BundleError
from model_service.evaluation.page import render
from model_service.evaluation.reasons import EvaluationError
from model_service.evaluation.report import Report
from model_service.evaluation.run import Options, evaluate
from model_service.inference import load_model
from model_service.registry import BUNDLES


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m model_service evaluate", description="Run a bundle on a folder of cases, and report."
    )
    made.add_argument("bundle", metavar="BUNDLE", help="folder of a bundle, or the name of a shipped one")
    made.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of cases")
    made.add_argument("--report", type=Path, required=True, metavar="DIR", help="folder to write to")
    made.add_argument("--labels", type=Path, metavar="CSV", help="what is known of the cases")
    made.add_argument(
        "--positive", default="", metavar="NAME[,NAME]", help="labels or class folders that are positive"
    )
    made.add_argument("--save", action="store_true", help="write label maps too")
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 0, or 1 after one line that says why not."""
    chosen = parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("model_service").setLevel(
        logging.WARNING
    )  # the service logs as JSON on standard output
    positive = tuple(name.strip() for name in chosen.positive.split(",") if name.strip())
    options = Options(chosen.data, chosen.report, chosen.labels, positive, chosen.save)
    try:
        made = run(_folder(chosen.bundle), options)
    except (FirstReadError, BundleError) as error:
        print(f"evaluate: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    except OSError as error:
        print(f"evaluate: a file or folder cannot be used: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    print(_summary(made, options.report))  # noqa: T201
    return 0


def run(bundle: Path, options: Options) -> Report:
    """Load a bundle, evaluate it, and write the report.

    Raises
    ------
    EvaluationError, BundleError
        If the bundle is refused, or there is nothing to evaluate.
    """
    if options.report.resolve().is_relative_to(options.data.resolve()):
        raise EvaluationError(
            "the report cannot lie in the data folder: it would be read as cases the next time"
        )
    started = time.perf_counter()
    model = load_model(bundle)
    loaded = time.perf_counter() - started
    made, shown = evaluate(model, options, loaded, _progress if sys.stderr.isatty() else None)
    (options.report / "report.json").write_text(made.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (options.report / "report.html").write_text(render(made, shown), encoding="utf-8")
    return made


def _folder(named: str) -> Path:
    for folder in (Path(named), BUNDLES / named):
        if (folder / "firstread.yaml").is_file():
            return folder
    raise EvaluationError("there is no bundle at this path or of this name: it has no firstread.yaml")


def _progress(done: int, of: int) -> None:
    end = "\n" if done >= of else ""
    print(f"\r{done} of {of} cases", end=end, file=sys.stderr, flush=True)  # noqa: T201


def _summary(made: Report, folder: Path) -> str:
    """Return what is worth a look at once; no file of the data is named."""
    lines = [
        f"{made.data.cases} cases analysed ({made.seconds.cases_per_second:.1f} per second), "
        f"{made.data.labelled} labelled, {len(made.data.refused)} refused"
    ]
    for figures in made.figures:
        for name, estimate in list(figures.metrics.items())[:3]:
            if estimate.value is not None:
                interval = "" if estimate.low is None else f" ({estimate.low:.3f} to {estimate.high:.3f})"
                lines.append(f"{figures.label}: {name} {estimate.value:.3f}{interval}")
    return "\n".join([*lines, f"report: {folder / 'report.html'}"])
