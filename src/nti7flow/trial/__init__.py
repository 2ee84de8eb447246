"""The trial around the tubes: sheets read and checked, days counted, visits named, the redosing rule applied."""

from nti7flow.trial.clinical_events import EVENT_COLUMNS, EVENT_KINDS, ClinicalEvent, read_events
from nti7flow.trial.days import Timing, is_baseline, is_blind, local_date, study_day, timing
from nti7flow.trial.doses import DOSE_COLUMNS, Dose, read_doses
from nti7flow.trial.hematology import ANALYTES, HEMATOLOGY_COLUMNS, Hematology, read_hematology
from nti7flow.trial.problems import SheetPlace
from nti7flow.trial.reagents import REAGENT_COLUMNS, Reagent, read_reagents
from nti7flow.trial.redosing import AlcValue, Finding, RedosingAdvice, RedosingRule, advise
from nti7flow.trial.samples import SAMPLE_COLUMNS, SampleRow, read_samples
from nti7flow.trial.schedule import NCT04781309, Schedule, Visit, VisitWindow
from nti7flow.trial.specimens import Specimen
from nti7flow.trial.subjects import SUBJECT_COLUMNS, Subject, read_subjects
from nti7flow.trial.trial import Trial, read_trial
from nti7flow.trial.units import CELLS_PER_UL, concentration_unit, to_cells_per_ul

__all__ = [
    "ANALYTES",
    "CELLS_PER_UL",
    "DOSE_COLUMNS",
    "EVENT_COLUMNS",
    "EVENT_KINDS",
    "HEMATOLOGY_COLUMNS",
    "NCT04781309",
    "REAGENT_COLUMNS",
    "SAMPLE_COLUMNS",
    "SUBJECT_COLUMNS",
    "AlcValue",
    "ClinicalEvent",
    "Dose",
    "Finding",
    "Hematology",
    "Reagent",
    "RedosingAdvice",
    "RedosingRule",
    "SampleRow",
    "Schedule",
    "SheetPlace",
    "Specimen",
    "Subject",
    "Timing",
    "Trial",
    "Visit",
    "VisitWindow",
    "advise",
    "concentration_unit",
    "is_baseline",
    "is_blind",
    "local_date",
    "read_doses",
    "read_events",
    "read_hematology",
    "read_reagents",
    "read_samples",
    "read_subjects",
    "read_trial",
    "study_day",
    "timing",
    "to_cells_per_ul",
]
