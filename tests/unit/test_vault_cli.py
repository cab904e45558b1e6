"""`firstread vault`, as a user types it."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from firstread.cli import app
from firstread.deid.vault import IdentityVault, Modules, PatientPseudonym
from firstread.deid.vault.keys import master_key_from_file
from firstread.deid.vault.sqlite import SqliteVaultStore
from tests.unit.deid.vault.test_modules import arrived

SECRETS = ("MRN-1", "MRN-2", "Haus A", "1.2.3.4", "Müller")


class World:
    """A link file that de-identification has filled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.link, self.key = folder / "link", folder / "key"
        with SqliteVaultStore(self.link) as store:
            vault = IdentityVault(store, master_key_from_file(self.key))
            self.one, self.other = (vault.patient("Haus A", f"MRN-{n}", "1.2.3") for n in (1, 2))
            self.study = vault.uids(["1.2.3"])["1.2.3"]
            self.uid = vault.uids(["1.2.3.4"])["1.2.3.4"]
            vault.keep(Modules.of(arrived()), self.one, self.study)

    def vault(self, command: str, *arguments: object, key: Path | None = None) -> Result:
        """Run ``firstread vault COMMAND`` on the link file."""
        place = ["--link", str(self.link), "--key", str(key or self.key), "--actor", "kim"]
        return CliRunner().invoke(app, ["vault", command, *map(str, arguments), *place])

    def patient(self, patient_id: str, study: str, key: Path | None = None) -> PatientPseudonym:
        """Ask as de-identification would."""
        with SqliteVaultStore(self.link) as store:
            return IdentityVault(store, (key or self.key).read_bytes()).patient("Haus A", patient_id, study)

    def audit(self) -> list[dict[str, object]]:
        """Return the audit trail."""
        path = self.folder / "link.audit.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_show_gives_back_every_original(world: World) -> None:
    done = world.vault("show", "--purpose", "return")
    assert done.exit_code == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(found, key=str) == sorted(
        [
            {"surrogate": world.study, "kind": "uid", "uid": "1.2.3"},
            {"surrogate": world.uid, "kind": "uid", "uid": "1.2.3.4"},
            *(
                {
                    "surrogate": pseudonym.code,
                    "kind": "patient",
                    "issuer": "Haus A",
                    "patient_id": f"MRN-{number}",
                    "shift_days": pseudonym.shift_days,
                }
                for number, pseudonym in ((1, world.one), (2, world.other))
            ),
        ],
        key=str,
    )
    (event,) = world.audit()
    assert (event["actor"], event["what"], event["purpose"]) == ("kim", "list", "return")


def test_lookup_gives_one_original_and_its_modules(world: World) -> None:
    assert json.loads(world.vault("lookup", world.uid).stdout)["uid"] == "1.2.3.4"
    found = json.loads(world.vault("lookup", world.one.code, "--modules").stdout)
    assert found["patient_id"] == "MRN-1"
    (version,) = found["modules"]
    assert version["module"]["00100030"]["Value"] == ["19500102"]
    assert [event["subject"] for event in world.audit()] == [world.uid, world.one.code, world.one.code]


def test_merge_and_unmerge_move_new_studies(world: World) -> None:
    assert world.vault("merge", world.one.code, world.other.code).exit_code == 0
    assert world.patient("MRN-1", "9") == world.other
    assert world.patient("MRN-1", "1.2.3") == world.one
    again = world.vault("merge", world.other.code, world.one.code)
    assert again.exit_code == 1 and "circle" in again.stderr
    assert world.vault("unmerge", world.one.code).exit_code == 0
    assert world.patient("MRN-1", "10") == world.one
    assert [event["subject"] for event in world.audit()] == [world.one.code, world.other.code, world.one.code]


def test_rotate_changes_the_key_and_nothing_else(world: World) -> None:
    new = world.folder / "new"
    done = world.vault("rotate", "--new-key", new)
    assert done.exit_code == 0 and stat.S_IMODE(new.stat().st_mode) == 0o600
    assert world.patient("MRN-1", "1.2.3", key=new) == world.one
    assert world.vault("lookup", world.uid, key=new).exit_code == 0
    old = world.vault("lookup", world.uid)
    assert old.exit_code == 1 and "not the one" in old.stderr.replace("\n", " ") and not old.stdout
    again = world.vault("rotate", "--new-key", new)  # as after a crash behind the last step
    assert again.exit_code == 0 and again.stdout.startswith("0 rows")


def test_an_export_becomes_another_link_file(world: World, tmp_path: Path) -> None:
    transfer, export = tmp_path / "transfer", tmp_path / "export"
    assert world.vault("export", export, "--transfer-key", transfer).exit_code == 0
    place = ["--link", str(tmp_path / "second"), "--key", str(tmp_path / "second.key")]
    command = ["vault", "import", str(export), "--transfer-key", str(transfer), *place]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["conflicting"] == {}
    found = CliRunner().invoke(app, ["vault", "lookup", world.uid, *place])
    assert json.loads(found.stdout)["uid"] == "1.2.3.4"
    # Into a vault that has given the same patient something else.
    theirs = World(tmp_path_of(tmp_path, "third"))
    done = theirs.vault("import", export, "--transfer-key", transfer)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["conflicting"] == {"patient": 2, "uid": 2}
    assert theirs.patient("MRN-1", "1.2.3") == theirs.one


def tmp_path_of(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["lookup", "DOE^JANE"], 1, "not a pseudonym"),
        (["lookup", "P0123456789ABCDEF"], 1, "has not given out"),
        (["merge", "P0123456789ABCDEF", "P0123456789ABCDEF"], 1, "has not given out"),
        (["rotate"], 2, "--new-key"),
        (["import", "missing", "--transfer-key", "missing"], 2, "SOURCE"),
        (["show", "--purpose", "curiosity"], 2, "curiosity"),
        (["show", "--table", "t"], 2, "--kms-key"),
    ],
)
def test_what_is_wrong_is_told_in_few_words(world: World, arguments: list[str], code: int, told: str) -> None:
    done = world.vault(*arguments)
    assert done.exit_code == code
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert not done.stdout and not any(secret in done.stderr for secret in SECRETS)


@pytest.mark.parametrize("command", ["show", "rotate"])
def test_a_mistyped_name_makes_no_file(command: str, tmp_path: Path) -> None:
    for options in (
        [],
        ["--link", str(tmp_path / "no")],
        ["--link", __file__, "--key", str(tmp_path / "no")],
    ):
        assert CliRunner().invoke(app, ["vault", command, *options]).exit_code in (1, 2)
    assert list(tmp_path.iterdir()) == []


def test_the_audit_names_no_patient(world: World) -> None:
    for command in (["show"], ["lookup", world.one.code], ["merge", world.one.code, world.other.code]):
        assert world.vault(*command).exit_code == 0
    text = (world.folder / "link.audit.jsonl").read_text("utf-8")
    assert text and not any(secret in text for secret in SECRETS)
