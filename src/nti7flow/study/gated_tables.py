"""What a run stored of its tubes, beside what the sheets say of them now: by tube, and by specimen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from nti7flow.counting.gated import CheckRow, CountRow, GatedSample
from nti7flow.errors import ConfigError, did_you_mean
from nti7flow.study.store import Run
from nti7flow.trial import SampleRow, Trial
from nti7flow.trial.specimens import order_in_time, said_most


def gated_samples(run: Run, trial: Trial | None) -> tuple[GatedSample, ...]:
    """Return the tubes of a run with their lines of the sample sheet.

    Raises
    ------
    ConfigError
        The sheet lacks tubes of the run, or says that they are other files: all are listed.
    """
    counts: dict[str, list[dict[str, Any]]] = {}
    for row in run.arrow("counts").to_pylist():
        counts.setdefault(row["sample"], []).append(row)
    checks: dict[str, list[CheckRow]] = {}
    for row in run.arrow("quality").to_pylist():
        checks.setdefault(row.pop("sample"), []).append(CheckRow(**row))
    rows = {} if trial is None else {row.sample: row for row in trial.samples}
    if trial is not None:
        _check_sheet(counts, rows, str(trial.places["samples"].path))
    reported = run.step().get("reported", {})
    return tuple(
        GatedSample(
            sample,
            rows.get(sample),
            {row["population"]: CountRow.from_row(row) for row in of_sample},
            tuple(checks.get(sample, ())),
            frozenset(names) if (names := reported.get(of_sample[0]["template"])) else None,
            of_sample[0]["template"],
        )
        for sample, of_sample in sorted(counts.items())
    )


def _check_sheet(counts: Mapping[str, list[dict[str, Any]]], rows: Mapping[str, SampleRow], sheet: str) -> None:
    """See that the sheet is still about the tubes that were gated."""
    problems = []
    specimens = {row.specimen for row in rows.values()}
    for sample, (first, *_) in counts.items():
        row = rows.get(sample)
        if row is None:
            problems.append(f"sample '{sample}' of the run is not in it; add its line.{did_you_mean(sample, rows)}")
        elif (row.file, row.data_set) != (first["file"], first["data_set"]):
            problems.append(
                f"sample '{sample}' is data set {row.data_set} of {row.file}, and {first['data_set']} of "
                f"{first['file']} was gated under that name; correct the sheet, or gate again."
            )
        elif row.panel and first["panel"] and row.panel != first["panel"]:
            problems.append(
                f"sample '{sample}' is of the panel '{row.panel}', and was gated as one of '{first['panel']}'; correct "
                "the sheet, or gate again."
            )
        elif row.specimen is None and sample in specimens:
            problems.append(
                f"sample '{sample}' names no specimen, so that it is one of its own name, and other tubes are of a "
                f"specimen '{sample}'; name its specimen."
            )
    if problems:
        raise ConfigError("\n  ".join([f"{sheet}: {len(problems)} problem(s)", *problems]))


def by_specimen(tubes: Sequence[GatedSample], trial: Trial) -> list[tuple[str, list[GatedSample]]]:
    """Fully stained tubes by specimen: by subject and time, what nobody is named for last.

    Controls that were made of a patient's blood are not counted with that patient's tubes.
    """
    together: dict[str, list[GatedSample]] = {}
    for tube in tubes:
        if tube.is_stained:
            together.setdefault(tube.specimen, []).append(tube)
    for name, group in together.items():
        patient = [tube for tube in group if tube.row is None or tube.row.role == "patient"]
        together[name] = patient or group

    def place(item: tuple[str, list[GatedSample]]) -> tuple[Any, ...]:
        subject, at, _ = whose_and_when(item[1])
        return subject is None, subject or "", order_in_time(at, trial.zone), item[0]

    return sorted(together.items(), key=place)


def whose_and_when(tubes: Sequence[GatedSample]) -> tuple[str | None, date | datetime | None, str | None]:
    """Whose blood a specimen is, when it was drawn, and on which side of a dose, as far as its tubes say."""
    rows = [tube.row for tube in tubes if tube.row is not None]
    subject = next((row.subject for row in rows if row.subject), None)
    return subject, said_most(row.collected_at for row in rows), next((r.timepoint for r in rows if r.timepoint), None)


def lost_tubes(run: Run, trial: Trial, tubes: Sequence[GatedSample]) -> bool:
    """Whether a specimen has another patient tube of the same panel that could not be gated."""
    panels = {(tube.specimen, tube.row.panel) for tube in tubes if tube.row is not None}
    return any(
        (row.specimen, row.panel) in panels
        for row in trial.samples
        if row.sample in run.refused and row.role == "patient" and row.specimen
    )
