"""Channel texts taken apart, in the spellings that vendors and labs use."""

import pytest

from nti7flow.events.markers import is_fluorochrome, parse_marker, scatter_kind, split_measure, strip_prefix

CD3 = {"CD3"}


@pytest.mark.parametrize(
    ("text", "targets", "dye"),
    [
        ("CD3", CD3, ""),
        ("cd3", CD3, ""),
        ("CD 3", CD3, ""),
        ("CD-3", CD3, ""),
        ("CD03", CD3, ""),
        ("CD3e", CD3, ""),
        ("Leu4", CD3, ""),
        ("BV785 - CD3", CD3, "BV785"),
        ("CD3 FITC", CD3, "FITC"),
        ("CD3-FITC", CD3, "FITC"),
        ("CD3:FITC", CD3, "FITC"),
        ("CD3_FITC", CD3, "FITC"),
        ("CD3/FITC", CD3, "FITC"),
        ("CD3 (FITC)", CD3, "FITC"),
        ("CD3FITC", CD3, "FITC"),
        ("CD103-FITC", {"CD103"}, "FITC"),
        ("FITC CD4", {"CD4"}, "FITC"),
        ("PP CD3", CD3, "PP"),
        ("CD3 PerCP-Cy5.5", CD3, "PerCP-Cy5.5"),
        ("PerCP-Cy55 - CD45RA", {"CD45RA"}, "PerCP-Cy55"),
        ("CD4 PE/Cyanine7", {"CD4"}, "PE/Cyanine7"),
        ("CD4 APC/Fire 750", {"CD4"}, "APC/Fire 750"),
        ("CD8 APC-Alexa Fluor 750", {"CD8"}, "APC-Alexa Fluor 750"),
        ("CD8 Alexa Fluor® 700", {"CD8"}, "Alexa Fluor® 700"),
        ("CD4 Brilliant Violet 421", {"CD4"}, "Brilliant Violet 421"),
        ("CD4 Qdot 605", {"CD4"}, "Qdot 605"),
        ("CD45-KrO", {"CD45"}, "KrO"),
        ("CD45 Krome Orange", {"CD45"}, "Krome Orange"),
        ("BB700-P CD3", CD3, "BB700-P"),
        ("L/D Aqua - Viability", {"VIABILITY"}, "L/D Aqua"),
        ("CD16+56", {"CD16", "CD56"}, ""),
        ("CD16/CD56", {"CD16", "CD56"}, ""),
        ("CD16-56", {"CD16", "CD56"}, ""),
        ("CD16-CD56 PE", {"CD16", "CD56"}, "PE"),
        ("CD16, CD56", {"CD16", "CD56"}, ""),
        ("CD4+CD20", {"CD4", "CD20"}, ""),
        ("CD19+TCRgd", {"CD19", "TCRGD"}, ""),
        ("CD4_1", {"CD4", "1"}, ""),  # a copy, not CD1
        ("HLA-DR APC", {"HLADR"}, "APC"),
        ("HLA DR", {"HLADR"}, ""),
        ("HLA_DR V500", {"HLADR"}, "V500"),
        ("CD45RA", {"CD45RA"}, ""),
        ("CD45 RA", {"CD45RA"}, ""),
        ("CD45-RO PE", {"CD45RO"}, "PE"),
        ("CD8a", {"CD8"}, ""),
        ("CD8 B PE", {"CD8"}, "PE"),
        ("CD197 (CCR7)", {"CCR7"}, ""),
        ("CD279 (PD-1)", {"PD1"}, ""),
        ("CD127 (IL-7Ra)", {"CD127"}, ""),
        ("Ki-67", {"KI67"}, ""),
        ("TCR Va7", {"TCRVA7"}, ""),
        ("TCR γδ", {"TCRGD"}, ""),
        ("gdTCR", {"TCRGD"}, ""),
        ("αβTCR", {"TCRAB"}, ""),
        ("CD11b", {"CD11B"}, ""),
        ("CD62L", {"CD62L"}, ""),
        ("FITC", set(), "FITC"),
        ("GFP/FITC", set(), "GFP/FITC"),
        ("Zombie NIR", set(), "Zombie NIR"),
        ("-", set(), ""),
        ("", set(), ""),
    ],
)
def test_targets_and_dye(text, targets, dye):
    parsed = parse_marker(text)
    assert parsed.targets == targets
    assert parsed.fluorochrome == dye


DYES = """
    FITC PE APC PerCP PerCP-Cy5-5 PE-Cy7 APC-Cy7 APC-H7 APC-R700 BV421 BUV395 BB515 RB780 RY586 V450 V500 AF700 A700
    PE-CF594 PE-Dazzle594 PE-Fire_744 APC-AF750 APC-A750 ECD PC5.5 PC7 KO PB Pacific_Blue AmCyan VioBlue PE-Vio770
    Qdot_605 QD655 eFluor_450 SuperBright_600 Spark_Blue_550 cFluor_V450
"""


@pytest.mark.parametrize("dye", DYES.split())
def test_dyes(dye):
    assert is_fluorochrome(dye.replace("_", " "))


@pytest.mark.parametrize("name", ["CD3", "HLA-DR", "CCR7", "TCRgd", "Va7.2", "FL1", "B515", "Time", "IgD", "A", ""])
def test_not_dyes(name):
    assert not is_fluorochrome(name)


@pytest.mark.parametrize(
    ("detector", "base", "measure"),
    [
        ("FITC-A", "FITC", "A"),
        ("FSC-Height", "FSC", "H"),
        ("PerCP-Cy5-5-A", "PerCP-Cy5-5", "A"),
        ("FS INT LIN", "FS", "A"),
        ("SS PEAK LIN", "SS", "H"),
        ("FS TOF LIN", "FS", "W"),
        ("FS Lin", "FS", ""),
        ("FL1 INT LOG", "FL1", "A"),
        ("FL1 Log", "FL1", ""),
        ("FSC LinA", "FSC", "A"),
        ("405nm BV421 (445/60) LogH", "405nm BV421 (445/60)", "H"),
        ("FSC-HLin", "FSC", "H"),
        ("GRN-ALog", "GRN", "A"),
        ("PE.Cy7.A", "PE.Cy7", "A"),
        ("FSC_W", "FSC", "W"),
        ("SSC-B-A", "SSC-B", "A"),
        ("BB660-P-A", "BB660-P", "A"),
        ("CD45RA", "CD45RA", ""),
        ("CD1A", "CD1A", ""),
        ("HDR-T", "HDR-T", ""),
        ("Width", "Width", ""),
        ("A", "A", ""),
    ],
)
def test_measures(detector, base, measure):
    assert split_measure(detector) == (base, measure)


def test_prefixes_of_compensated_channels():
    assert strip_prefix("Comp-FITC-A") == ("FITC-A", True)
    assert strip_prefix("FJComp-PE-Cy7-A") == ("PE-Cy7-A", True)
    assert strip_prefix("comp-APC-A") == ("APC-A", True)
    assert strip_prefix("Compound") == ("Compound", False)


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("FSC", "FSC"),
        ("FS", "FSC"),
        ("Forward Scatter", "FSC"),
        ("SS", "SSC"),
        ("SSC", "SSC"),
        ("SSC-B", ""),
        ("FITC", ""),
    ],
)
def test_scatter_kinds(base, kind):
    assert scatter_kind(base) == kind
