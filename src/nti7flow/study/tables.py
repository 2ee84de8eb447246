"""The tables of a run, each column declared once: name, type, unit, meaning, key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nti7flow.counting.fractions import ALC, LYMPHOCYTES, USUAL_NAMES
from nti7flow.errors import printable

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Where a spreadsheet would see a formula, in its wide form too: it may take a semicolon for the end of a cell.
_FORMULA = re.compile(r"(^|;)(\s*[=+\-@＝＋－＠])")
ColumnType = Literal["text", "integer", "number", "json", "bytes", "integers"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``json`` is text that holds a JSON object."""

    name: str
    type: ColumnType
    unit: str
    meaning: str
    key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a ``step``; ``csv`` says whether a CSV is written beside the Parquet file."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    csv: bool = True
    step: str = "gate"


_SAMPLE = Column("sample", "text", "", "Name of the acquired tube.", key=True)
_POPULATION = Column("population", "text", "", "Id of the population in the template or strategy.", key=True)

COUNTS = Table(
    "counts",
    "Events of every population in every tube.",
    (
        _SAMPLE,
        Column("file", "text", "", "FCS file, relative to the folder or sheet it was found by."),
        Column("sha256", "text", "", "SHA-256 of the file."),
        Column("data_set", "integer", "", "Data set within the file, from 0."),
        Column("specimen", "text", "", "Blood draw, from samples.csv."),
        Column("subject", "text", "", "Person, from samples.csv."),
        Column("panel", "text", "", "Panel, from samples.csv."),
        Column("template", "text", "", "Template that was applied, name@version, or the file of the strategy."),
        _POPULATION,
        Column("label", "text", "", "Name of the population for people."),
        Column("path", "text", "", "Populations from all events down to this one."),
        Column("parent", "text", "", "Population the gate was applied to; root is all events."),
        Column("n_events", "integer", "events", "Events in the population; empty where it could not be counted."),
        Column("n_parent", "integer", "events", "Events in the parent."),
        Column("n_total", "integer", "events", "Events in the tube."),
        Column("percent_parent", "number", "%", "n_events of n_parent; empty where undefined."),
        Column("percent_lymphocytes", "number", "%", "n_events of lymphocytes; empty for what is not within them."),
        Column("upper_limit", "number", "events", "Where the population is absent: upper 95 % limit of its events."),
        Column("gating_sd", "number", "events", "Gating uncertainty: standard deviation of n_events if every gate it "
               "rests on lies where its spread says it might, and two people would place it 0.01 display units apart; "
               "of CD8 T cells also what dim ones leave open; empty where gates were not fitted."),
        Column("background", "number", "events", "Events that may be of another population: cells of the tube before, "
               "washed in at the start, and cells that cannot carry the marker yet lie beyond the gate; empty where it "
               "is not estimated."),
        Column("status", "text", "", "How the gate came about: ok, borrowed, fell_back, failed, absent, not_in_panel, "
               "not_interpretable."),
        Column("flags", "text", "", "What to know about the count, by semicolons; population:flag is inherited, "
               "file_CODE, duplicate_of:SAMPLE and stored_total_differs are of the whole sample."),
        Column("severity", "text", "", "Worst of its own gate, of all it rests on and of the sample: empty, info, "
               "review, invalid."),
    ),
)  # fmt: skip

GATE_FITS = Table(
    "gate_fits",
    "How every data-driven gate was placed.",
    (
        _SAMPLE,
        _POPULATION,
        Column("method", "text", "", "Method that placed (or could not place) the gate."),
        Column("version", "integer", "", "Version of the method."),
        Column("scope", "text", "", "Whose events were pooled: sample, batch or study."),
        Column("status", "text", "", "As in counts."),
        Column("n_fitted", "integer", "events", "Events the fit rests on."),
        Column("thresholds", "json", "display units", "Bounds by marker (with their scale values), or an outline."),
        Column("threshold_spread", "number", "display units", "Standard deviation over replicates of the data."),
        Column("diagnostics", "json", "", "Numbers by which the fit can be judged, and the reason where it failed."),
    ),
)

QUALITY = Table(
    "quality",
    "Checks of every tube.",
    (
        _SAMPLE,
        Column("check", "text", "", "What was checked.", key=True),
        Column("value", "number", "", "What was found."),
        Column("limit", "number", "", "What is acceptable."),
        Column("severity", "text", "", "Empty, info, review or invalid."),
        Column("n_excluded", "integer", "events", "Events taken out because of it; nothing is taken out silently."),
    ),
)

STORED_COUNTS = Table(
    "stored_counts",
    "Counts that a FlowJo workspace holds beside ours; written where gates are from one.",
    (
        _SAMPLE,
        Column("population", "text", "", "As in counts; root is all events of the tube.", key=True),
        Column("label", "text", "", "Name of the population for people."),
        Column("path", "text", "", "As in counts."),
        Column("n_events", "integer", "events", "Events in the population, as in counts."),
        Column("stored_events", "integer", "events", "Events that FlowJo counted."),
        Column("difference", "integer", "events", "n_events less stored_events."),
        Column("limit", "number", "events", "Largest difference that needs no explanation: 5 events or 0.2 % of "
               "stored_events, whichever is more; of all events 0."),
        Column("severity", "text", "", "review where the difference is beyond the limit."),
    ),
)  # fmt: skip

LOCKED = Table(
    "locked",
    "Counts by the locked gates of an earlier run beside those by gates placed anew; written with --lock.",
    (
        _SAMPLE,
        Column("specimen", "text", "", "As in counts."),
        Column("subject", "text", "", "As in counts."),
        _POPULATION,
        Column("label", "text", "", "Name of the population for people."),
        Column("n_events", "integer", "events", "Events by the locked gates, as in counts."),
        Column("fitted_events", "integer", "events", "Events by gates placed on the data of this study."),
        Column("difference", "integer", "events", "n_events less fitted_events."),
        Column("percent_parent", "number", "%", "By the locked gates, as in counts."),
        Column("fitted_percent_parent", "number", "%", "The same by gates placed anew."),
        Column("bridged", "text", "", "no: a gate it rests on could not be moved to this batch, as it or the locked "
               "run has no control specimen."),
        Column("severity", "text", "", "As in counts."),
        Column("fitted_severity", "text", "", "The same by gates placed anew."),
    ),
)  # fmt: skip

MEMBERSHIPS = Table(
    "memberships",
    "Which events are in which population: one bit per event, first event in the highest bit.",
    (
        _SAMPLE,
        _POPULATION,
        Column("n_events", "integer", "events", "Events in the tube, the number of bits that count."),
        Column("bits", "bytes", "", "Packed bits; empty where the population has no gate."),
    ),
    csv=False,
)

HISTOGRAMS = Table(
    "histograms",
    "Sparse two-dimensional histogram behind every picture of a gate.",
    (
        _SAMPLE,
        Column("plot", "integer", "", "Number of the plot within the sample, from 0.", key=True),
        Column("parent", "text", "", "Population shown; root is all events."),
        Column(
            "populations",
            "text",
            "",
            "Populations whose gates are drawn on it, separated by semicolons; one within "
            "an id has a backslash before it.",
        ),
        Column("axes", "json", "display units", "Channel, transform, range and bins of x and y."),
        Column("cells", "integers", "", "Flat index x * bins_y + y of every bin that holds events."),
        Column("counts", "integers", "events", "Events in those bins."),
    ),
    csv=False,
)

_SPECIMEN = Column("specimen", "text", "", "Blood draw; the name of the tube where no sheet names one.", key=True)
_SUBJECT = Column("subject", "text", "", "Person, from samples.csv.")
_OF_SPECIMEN = Column("population", "text", "", "As in counts; alc is the lymphocyte count of haematology.", key=True)

CONCENTRATIONS = Table(
    "concentrations",
    "Cells per microlitre of every population in every specimen, each with its interval.",
    (
        _SPECIMEN,
        _SUBJECT,
        Column("samples", "text", "", "Tubes that it rests on, by semicolons."),
        Column("collected_at", "text", "", "When the blood was drawn, as in samples.csv."),
        _OF_SPECIMEN,
        Column("label", "text", "", "Name of the population for people."),
        Column("cells_per_ul", "number", "cells/µL", "Concentration in the specimen; empty where there is none, and "
               "never 0 for not known."),
        Column("lower", "number", "cells/µL", "Lower limit of the interval."),
        Column("upper", "number", "cells/µL", "Upper limit of the interval."),
        Column("level", "number", "", "Level of the interval: 0.95 is 95 %."),
        Column("reported", "text", "cells/µL", "As it is to be shown: <LLOQ below the limit of quantification."),
        Column("method", "text", "", "beads, volumetric, dual_platform, anchored (to another tube of the specimen) or "
               "hematology; empty where there is no concentration."),
        Column("n_events", "integer", "events", "Events of the population in those tubes."),
        Column("n_beads", "integer", "events", "Bead events in them; empty for other methods."),
        Column("percent_lymphocytes", "number", "%", "Share of the lymphocyte gate."),
        Column("percent_lymphocytes_corrected", "number", "%", "Share of the T, B and NK cells in that gate: corrected "
               "for its purity, which concentrations never are; empty where a lineage is not counted."),
        Column("lob", "number", "cells/µL", "Limit of blank: 95 % of tubes without the population show no more."),
        Column("lod", "number", "cells/µL", "Limit of detection: seen above the limit of blank in 95 % of tubes."),
        Column("lloq", "number", "cells/µL", "Lower limit of quantification: known to the CV that is asked for; empty "
               "where no count of these tubes is."),
        Column("below_lloq", "text", "", "yes or no."),
        Column("cv_percent", "number", "%", "Coefficient of variation of all components together."),
        Column("dominant_component", "text", "", "Component with the largest share of the variance, see budget."),
        Column("doublets", "text", "", "corrected: cells in doublets are counted by an estimated factor (see inputs); "
               "left_out: they are not counted; none: the method needs no correction."),
        Column("heterogeneity", "number", "", "Probability of tubes as different as these; empty for a single tube."),
        Column("inputs", "json", "", "What the number was made of."),
        Column("status", "text", "", "As in counts, the worst of its tubes."),
        Column("flags", "text", "", "What to know about it, by semicolons: those of its counts, and its own."),
        Column("severity", "text", "", "Worst of its counts and its own flags: empty, info, review, invalid."),
    ),
    step="count",
)  # fmt: skip

BUDGET = Table(
    "budget",
    "What makes each concentration uncertain, component by component.",
    (
        _SPECIMEN,
        _OF_SPECIMEN,
        Column("component", "text", "", "cells and beads (counting), bead_lot, pipetting, volume, hematology, gating, "
               "bead_gating, doublets, anchor.", key=True),
        Column("cv_percent", "number", "%", "Its coefficient of variation."),
        Column("share_percent", "number", "%", "Its share of the variance on the log scale."),
    ),
    step="count",
)  # fmt: skip

ACCEPTANCE = Table(
    "acceptance",
    "Acceptance checks of every specimen and tube; those that passed too.",
    (
        _SPECIMEN,
        Column("sample", "text", "", "Tube that was checked; empty for a check of the whole specimen.", key=True),
        Column("check", "text", "", "What was checked.", key=True),
        Column("population", "text", "", "Population that it is about, where it is about one.", key=True),
        Column("value", "number", "", "What was found."),
        Column("limit", "number", "", "What is acceptable."),
        Column("severity", "text", "", "Empty where it passed; info, review or invalid."),
        Column("look_at", "text", "", "What to look at."),
    ),
    step="count",
)

#: Populations of the report table, in its order: those of a TBNK tube and the lymphocyte count of haematology.
REPORTED = (ALC, LYMPHOCYTES, *USUAL_NAMES)
#: Quotient in the report table.
RATIO = "cd4_cd8_ratio"


def _reported_columns() -> tuple[Column, ...]:
    columns = []
    for name in (*REPORTED, RATIO):
        unit = "" if name == RATIO else "cells/µL"
        columns += [
            Column(
                name, "number", unit, "Quotient of CD4 and CD8 T cells." if name == RATIO else "As in concentrations."
            ),
            Column(f"{name}_lower", "number", unit, "Lower limit of the interval."),
            Column(f"{name}_upper", "number", unit, "Upper limit of the interval."),
            *(() if name == RATIO else (Column(f"{name}_reported", "text", unit, "As it is to be shown."),)),
            Column(f"{name}_flags", "text", "", "What to know about it, by semicolons."),
        ]
    return tuple(columns)


REPORT_TABLE = Table(
    "report_table",
    "One row a specimen, for people and spreadsheets; out of concentrations.",
    (
        _SPECIMEN,
        _SUBJECT,
        Column("collected_at", "text", "", "When the blood was drawn, as in samples.csv."),
        Column("method", "text", "", "Method of the counts by flow cytometry."),
        *_reported_columns(),
        Column("severity", "text", "", "Worst of the row: empty, info, review, invalid."),
    ),
    step="count",
)

TABLES = {
    table.name: table
    for table in (
        COUNTS,
        GATE_FITS,
        QUALITY,
        STORED_COUNTS,
        LOCKED,
        MEMBERSHIPS,
        HISTOGRAMS,
        CONCENTRATIONS,
        BUDGET,
        ACCEPTANCE,
        REPORT_TABLE,
    )
}
#: Tables of which a copy for people lies at the top of the run folder.
AT_TOP = (COUNTS, CONCENTRATIONS, REPORT_TABLE)


def join_ids(ids: Sequence[str]) -> str:
    """Ids of populations in one cell, as `split_ids` takes them apart; other programs allow semicolons in a name."""
    return ";".join(name.replace("\\", r"\\").replace(";", r"\;") for name in ids)


def split_ids(cell: str) -> list[str]:
    """Ids out of a cell made by `join_ids`."""
    return [re.sub(r"\\(.)", r"\1", piece) for piece in re.findall(r"(?:[^;\\]|\\.)+", cell)]


def arrow_schema(table: Table) -> pa.Schema:
    """Arrow schema of a table."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "json": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "bytes": pa.binary(),
        "integers": pa.list_(pa.int32()),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in table.columns])


def arrow_table(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table with exactly the declared columns."""
    import pyarrow as pa

    return pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(table))


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Arrow table as a pandas frame in which an unknown count is missing, not 0 and not a float."""
    import pandas as pd
    import pyarrow as pa

    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame


def csv_text(table: pa.Table) -> str:
    """Arrow table as CSV for people: shortest exact numbers, empty for missing, safe against formula injection."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in table.to_pylist():
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: object) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return repr(value)
    # A spreadsheet runs what starts like a formula; a leading apostrophe makes it text again.
    return _FORMULA.sub(r"\1'\2", printable(value)) if isinstance(value, str) else str(value)
