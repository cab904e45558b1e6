"""HL7 v2 messages for tests; the names in them are invented."""

MRN = "QUIMBY-4711"
NAME = "Quimby^Theodora^Maximiliane"


def message(
    kind: str, *segments: str, sent: str = "20040826185434", control: str = "C1", more: str = ""
) -> bytes:
    """Return a message in UTF-8; `more` are the header's fields behind MSH-12."""
    header = f"MSH|^~\\&|RIS|SAINT NOWHERE|FIRSTREAD|X|{sent}||{kind}|{control}|P|2.5.1{more}"
    return "\r".join([header, *segments, ""]).encode()


def patient(identifiers: str = f"{MRN}^^^HOSP^MR") -> str:
    """Return a PID segment."""
    return f"PID|1||{identifiers}||{NAME}||19620503|F"


def order(
    control: str = "NW",
    accession: str = "ACC4711",
    priority: str = "S",
    status: str = "SC",
    number: str = "77",
) -> tuple[str, str]:
    """Return the segments ORC and OBR of an order."""
    orc = f"ORC|{control}|PLC{number}^RIS|FIL{number}^RIS||{status}||^^^^^{priority}"
    return orc, f"OBR|1|PLC{number}^RIS|FIL{number}^RIS|71020^Chest^C4|{'|' * 13}{accession}|RP1|SPS1||||CT"


def merge(control: str = "M1", old: str = "OLD-31337^^^HOSP^MR", **values: str) -> bytes:
    """Return an ADT^A40 that merges a patient into another one."""
    pid = patient(values.pop("into", f"{MRN}^^^HOSP^MR"))
    return message("ADT^A40^ADT_A39", "EVN|A40|20040826", pid, f"MRG|{old}", control=control, **values)


def report(status: str = "F", accession: str = "ACC4711", **values: str) -> bytes:
    """Return an ORU^R01."""
    obr = f"OBR|1|PLC77^RIS|FIL77^RIS|71020^Chest^C4|{'|' * 13}{accession}|RP1|SPS1||||RAD|{status}"
    text = f"OBX|1|TX|||{NAME} has no effusion|||||{status}"
    return message("ORU^R01^ORU_R01", patient(), obr, text, **values)
