"""``python -m tests.exam --out DIR --seed N --patients K``: write an exam."""

import argparse
import sys
from pathlib import Path

from tests.exam.generate import generate
from tests.exam.key import KEY_FILE


def main(arguments: list[str] | None = None) -> int:
    """Write the exam and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m tests.exam", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write input/ and key.json to")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patients", type=int, default=12)
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    key = generate(chosen.out, chosen.seed, chosen.patients)
    questions = sum(len(file.questions) for file in key.files)
    sys.stdout.write(f"{len(key.files)} files, {questions} questions: {chosen.out / KEY_FILE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
