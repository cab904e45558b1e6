"""``python -m tests.exam.engine --in DIR --out DIR --vault FOLDER``: let FirstRead's library sit the exam."""

import argparse
import io
import sys
from collections import Counter
from pathlib import Path

from firstread.deid import IdentityVault, Profile, rules
from firstread.deid.process import default_detector, process
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from firstread.dicom import read
from firstread.errors import QuarantineError


def sit(inputs: Path, outputs: Path, vault_folder: Path) -> Counter[str]:
    """De-identify every file below a folder; return how many came out, and why others did not.

    Parameters
    ----------
    inputs, outputs
        Folders; names are kept.
    vault_folder
        Where the vault's file and key are. It is opened anew, as a fresh process would.
    """
    vault_folder.mkdir(parents=True, exist_ok=True)
    store = SqliteVaultStore(vault_folder / "vault.sqlite")
    counts: Counter[str] = Counter()
    try:
        vault = IdentityVault(store, master_key_from_file(vault_folder / "vault.key"))
        for path in sorted(path for path in inputs.rglob("*") if path.is_file()):
            target = io.BytesIO()
            try:
                _one(path, vault, target)
            except QuarantineError as error:
                counts[error.reason.value] += 1
                continue
            counts["deidentified"] += 1
            written = outputs / path.relative_to(inputs)
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(target.getvalue())
    finally:
        store.close()
    return counts


def _one(path: Path, vault: IdentityVault, target: io.BytesIO) -> None:
    with path.open("rb") as source, read(source) as file:
        chosen = rules(Profile.LONGITUDINAL.options)
        process(file, target, vault=vault, rules=chosen, detector=default_detector())


def main(arguments: list[str] | None = None) -> int:
    """Let the library sit an exam."""
    parser = argparse.ArgumentParser(prog="python -m tests.exam.engine", description=__doc__)
    parser.add_argument("--in", type=Path, required=True, dest="inputs")
    parser.add_argument("--out", type=Path, required=True, dest="outputs")
    parser.add_argument("--vault", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    counts = sit(chosen.inputs, chosen.outputs, chosen.vault)
    sys.stdout.write(", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
