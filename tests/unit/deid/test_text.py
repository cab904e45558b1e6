"""Free text loses what identifies and keeps what a radiologist needs."""

import struct

import pytest

from firstread.deid.rules import rules
from firstread.deid.survey import survey
from firstread.deid.text import Sweep, sweep_for
from tests.support.dicoms import header


def sweep(**values: object) -> Sweep:
    return sweep_for(survey(header(**values), rules(frozenset())).hints)


@pytest.mark.parametrize(
    "text",
    [
        "6 mm nodule",
        "6 mm nodule in segment S6, T12-L1",
        "CT chest w/o contrast 1.25mm",
        "CHEST PA/LAT 2 views",
        "Thorax a.p. im Liegen",
        "3 x 4 x 12 mm",
        "kVp 120, 2.5 mSv",
        "t1_tse_sag_384",
        "ep2d_diff_b0_b1000",
        "0.625 0.5",
        "Q3 2 of 4",
    ],
)
def test_clinical_text_stays_to_the_letter(text: str) -> None:
    assert sweep().clean(text, prose=True) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Chest of Theodora Quimby", "Chest of"),
        ("QUIMBY^THEODORA chest", "chest"),
        ("quimby's chest", "'s chest"),
        ("QUIMBYTHEODORA chest", "chest"),
        ("quimby_chest", "_chest"),
        ("Quimby1 chest", "1 chest"),
        ("MRN-998877 chest", "chest"),
        ("chest 998877", "chest"),
        ("chest ACC4711", "chest"),
        ("chest 4711", "chest"),
        ("born 03.05.1962", "born"),
        ("born 1962-05-03", "born"),
        ("born 1962-5-3", "born"),
        ("born 3. 5. 1962", "born"),
        ("born 5/3/62", "born"),
        ("born 3 May 1962", "born"),
        ("born 3rd of May, 1962", "born"),
        ("born 03MAY62", "born"),
        ("born May 3, 1962", "born"),
        ("born 19620503", "born"),
        ("born 030562", "born"),
        ("seen 20040826185434", "seen"),
        ("call 555-1234-567", "call"),
        ("call +1 (555) 123-4567", "call"),
        ("call 555.123.4567", "call"),
        ("mail t.quimby@example.org now", "mail now"),
        ("prior 1.2.826.0.1.3680043.8.498.1.9", "prior"),
        ("Doctor Ferencz read it", "Doctor read it"),
    ],
)
def test_identifying_text_goes(text: str, kept: str) -> None:
    assert sweep(ReferringPhysicianName="Ferencz^A").clean(text, prose=True) == kept


def test_names_with_accents_are_found_without_them() -> None:
    found = sweep(PatientName="Müller^Zoë")
    for spelling in ("Müller", "Muller", "MÜLLER", "Mu\u0308ller", "Zoe"):
        assert found.clean(f"chest {spelling}", prose=True) == "chest"


@pytest.mark.parametrize("text", ["García", "GARCÍA LÓPEZ", "Müller", "jose maría lopez-garcía"])
def test_names_without_accents_are_found_with_them(text: str) -> None:
    found = sweep(PatientName="Garcia Lopez^Jose Maria", ReferringPhysicianName="Mueller^K")
    assert found.clean(f"chest {text}", prose=True) == "chest"


def test_an_identifier_is_found_without_its_leading_zeros() -> None:
    assert sweep(PatientID="00012345").clean("chest 12345, 0512 mm", prose=True) == "chest , 0512 mm"
    assert sweep(PatientID="00000512").clean("512 x 512", prose=True) == "512 x 512"


def test_both_parts_of_a_double_name_are_found() -> None:
    assert sweep(PatientName="Smith-Jones^Ann").clean("chest Jones", prose=True) == "chest"


def test_a_title_is_no_name() -> None:
    assert sweep(PatientName="Quimby^Theodora^^MR").clean("MR brain", prose=True) == "MR brain"


def test_short_numbers_and_places_that_are_words_are_no_identifiers() -> None:
    found = sweep(PatientID="12", StudyID="6", CountryOfResidence="US", InstitutionalDepartmentName="CHEST")
    assert found.clean("US chest, 12 mm, 6 mm", prose=True) == "US chest, 12 mm, 6 mm"


def test_identifiers_inside_sequences_are_found() -> None:
    dataset = header()
    inner = header(PatientID="ALT-31337", PatientName=None)
    dataset.OtherPatientIDsSequence = [inner]
    dataset.RequestAttributesSequence = [header(RequestedProcedureID="RP8123")]
    found = sweep_for(survey(dataset, rules(frozenset())).hints)
    assert found.clean("chest ALT-31337 RP8123", prose=True) == "chest"


@pytest.mark.parametrize("value", ["CHEST", "PA", "MONOCHROME2", "YES", "HEAD", "WITHOUT_BODY", "HFS"])
def test_defined_terms_stay_whatever_the_patient_is_called(value: str) -> None:
    assert sweep(PatientName="Head^Chest").is_term(value)


@pytest.mark.parametrize("value", ["QUIMBY", "THEODORA QUIMBY", "MRN-998877", "19620503", "5551234567"])
def test_a_code_string_that_names_the_patient_is_no_term(value: str) -> None:
    assert not sweep().is_term(value)


def test_a_header_that_names_nobody_sweeps_by_pattern_only() -> None:
    nobody = dict.fromkeys(
        ("PatientName", "PatientID", "AccessionNumber", "PatientBirthDate", "StudyDate", "SOPInstanceUID")
    )
    found = sweep_for(survey(header(**nobody), rules(frozenset())).hints)
    assert found == Sweep(None)
    assert found.clean("chest 20040826", prose=True) == "chest"
    assert not found.is_identifier("12345678")
    assert not found.names_in(b"12345678")


WHITE = {"PatientName": "White^June", "PatientBirthDate": "19620503"}


@pytest.mark.parametrize(
    "text",
    [
        "June White",
        "White, June",
        "WHITE^JUNE",
        "WHITE JUNE",
        "june white",
        "J. White",
        "J White",
        "White J",
        "White, J.",
        "Mr. White",
        "JuneWhite",
        "White_June_axial",
        "June White's",
        "White's",
        "White-June",
        "june.white",
        "White/June",
        "WhiteJune1",
        "(White June)",
        "patient White",
    ],
)
def test_a_name_that_is_a_word_goes_where_it_stands_for_somebody(text: str) -> None:
    cleaned = sweep(**WHITE).clean(f"6 mm nodule, {text}", prose=True)
    assert "white" not in cleaned.lower()
    assert cleaned.startswith("6 mm nodule")


@pytest.mark.parametrize(
    "text",
    ["White matter lesion", "black and white", "WHITE BLOOD CELLS", "white matter J1", "T2 white, 3 views"],
)
def test_a_name_that_is_a_word_stays_where_it_is_a_word(text: str) -> None:
    assert sweep(**WHITE).clean(text, prose=True) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Mr. Quimby Summer protocol", "Mr. Summer protocol"),
        ("Dr. Zhavquist BP 120/80", "Dr. BP 120/80"),
        ("daughter Anna Zhavquist called", "daughter called"),
        ("DR CHEST PA", "DR CHEST PA"),
        ("DR ZHAVQUIST CHEST PA", "DR CHEST PA"),
        ("nurse Zhavquist TE 90/TR 4000", "nurse TE 90/TR 4000"),
    ],
)
def test_a_title_announces_a_name_and_nothing_more(text: str, left: str) -> None:
    assert sweep(PatientName="Quimby^Louis").clean(text, prose=True) == left


@pytest.mark.parametrize(
    "text",
    [
        "08/2004",
        "August 2004",
        "Aug. 2004",
        "26. August 2004",
        "12 de marzo de 2004",
        "3. März 2004",
        "26 août 2004",
        "2004年8月26日",
        "26th of August",
        "August 26",
    ],
)
def test_parts_of_dates_go_in_other_spellings_too(text: str) -> None:
    assert sweep().clean(f"since {text}: stable", prose=True).replace(" ", "") in (
        "since:stable",
        "sincestable",
    )


def test_numbers_beside_a_removed_number_stay() -> None:
    found = sweep(PatientTelephoneNumbers="(512) 555-1234", PatientID="123-45-6789")
    assert found.clean("axial 512 x 512 5125551234", prose=True) == "axial 512 x 512"
    assert found.clean("TR 4000 123456789", prose=True) == "TR 4000"
    assert found.clean("code 123 45 6789", prose=False) == "code"


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Wang^XiaoDong=王^小东", "患者王小东 复查", "患者 复查"),
        ("Wang^XiaoDong=王^小东", "小东的胸片", "的胸片"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "患者山田太郎様 胸部CT", "患者 様 胸部CT"),
        ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동은 재검", "은 재검"),
        ("นามสกุล^ชื่อจริง", "ผู้ป่วยชื่อจริงนามสกุล CT", "ผู้ป่วย CT"),
    ],
)
def test_names_in_scripts_without_spaces_are_found_inside_a_sentence(name: str, text: str, left: str) -> None:
    assert sweep(PatientName=name).clean(text, prose=True) == left


def test_a_family_name_of_one_sign_does_not_cost_words_their_sign() -> None:
    assert sweep(PatientName="Gao^X=高^小东").clean("高密度影 6 mm", prose=True) == "高密度影 6 mm"


@pytest.mark.parametrize(
    "spelt", ["Müßiggänger", "Müssiggänger", "MUESSIGGAENGER", "Mussigganger", "Mu\u0308ssigga\u0308nger"]
)
def test_sharp_s_is_found_beside_letters_with_accents(spelt: str) -> None:
    assert sweep(PatientName="Müßiggänger^Jo").clean(f"{spelt} chest", prose=True) == "chest"


@pytest.mark.parametrize(
    "text",
    ["Qui\u200bmby chest", "Qui\u00admby chest", "Ｑｕｉｍｂｙ chest", "\ufeffＭＲＮ－９９８８７７ chest"],
)
def test_letters_that_only_look_different_do_not_hide_a_name(text: str) -> None:
    assert sweep().clean(text, prose=True) == "chest"


def test_full_width_and_invisible_letters_stay_where_nothing_identifies() -> None:
    assert sweep().clean("ＣＴ\u200b 胸部", prose=True) == "ＣＴ\u200b 胸部"


@pytest.mark.parametrize("spelt", ["AB-CD-77", "abcd77", "AB CD 77", "ab_cd/77", "ABCD-77"])
def test_an_identifier_of_letters_and_digits_is_found_in_any_grouping(spelt: str) -> None:
    assert sweep(PatientID="AB-CD-77").clean(f"{spelt} chest", prose=True) == "chest"


@pytest.mark.parametrize(
    "text",
    "93 year old;93-year-old;95yo;95 y.o.;92 y/o;093Y;093Y;aged 97;age: 94;91 Jahre;101 years;95 ans;94-jährige".split(
        ";"
    ),
)
def test_ages_above_89_go(text: str) -> None:
    assert sweep().clean(f"CT {text}, chest", prose=True) in ("CT , chest", "CT chest")


@pytest.mark.parametrize(
    "text",
    [
        "89 year old",
        "age 64",
        "90Y microspheres",
        "stage 94",
        "95 % stenosis",
        "120 ml",
        "99mTc",
        "image 94",
        "1.95 y",
        "90 sec",
    ],
)
def test_what_is_no_age_above_89_stays(text: str) -> None:
    assert sweep().clean(text, prose=True) == text


@pytest.mark.parametrize("text", ["IP 10.43.12.131", "ip:10.43.12.131", "host 10.1.2.3", "192.168.1.5"])
def test_network_addresses_go(text: str) -> None:
    assert "." not in sweep().clean(text, prose=False)


def test_versions_stay() -> None:
    assert sweep().clean("syngo 10.43.12.131, V5.4.1.1", prose=True) == "syngo 10.43.12.131, V5.4.1.1"


def test_a_telephone_number_goes_whole_where_the_header_holds_a_part_of_it() -> None:
    found = sweep(ReferringPhysicianName="+49 30 901820)")
    assert found.clean("+49 30 901820 chest", prose=False) == "chest"


@pytest.mark.parametrize("text", ["JSMITH", "jsmith", "SMITHJ", "S M I T H", "s.m.i.t.h", "smith.john"])
def test_names_glued_to_an_initial_or_spaced_out_go(text: str) -> None:
    assert sweep(PatientName="Smith^John").clean(f"AX THIN {text}", prose=True) == "AX THIN"


def test_particles_of_a_name_may_be_glued() -> None:
    assert sweep(PatientName="van der Berg^Anna").clean("Vanderberg thorax", prose=True) == "thorax"


def test_what_a_hospital_is_called_by_goes_alone_as_well() -> None:
    found = sweep(InstitutionName="St. Elsewhere Heart Hospital")
    assert found.clean("heart, seen in Elsewhere", prose=True) == "heart, seen in"


def test_a_header_in_another_character_set_than_it_says_names_somebody_too() -> None:
    found = sweep_for(frozenset({("name", "Müller^Jörg".encode().decode("latin-1"))}))
    assert found.clean("CT Müller, Mueller", prose=True) == "CT"


def test_names_in_binary_data_are_seen_in_wide_letters() -> None:
    found = sweep(PatientName="Quimby^Louis")
    assert found.names_in("Quimby".encode("utf-16-le")) and found.names_in("Quimby".encode("utf-16-be"))
    assert not found.names_in(bytes(range(256)))


@pytest.mark.parametrize(("vr", "code"), [("UL", "L"), ("SL", "l"), ("UV", "Q"), ("SV", "q"), ("FD", "d")])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_number_that_is_the_patients_is_seen(vr: str, code: str, order: str) -> None:
    found = sweep(PatientID="MRN-0998877")
    little = order == "<"
    assert found.counts_in(struct.pack(f"{order}2{code}", 1, 998877), vr, little=little)
    assert not found.counts_in(struct.pack(f"{order}2{code}", 1, 998878), vr, little=little)
    assert not found.counts_in(b"\0" * 3, vr, little=little)
