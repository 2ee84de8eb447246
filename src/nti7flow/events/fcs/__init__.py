"""FCS files: a reader that checks before it believes, and a writer."""

from nti7flow.events.fcs.datasets import DataSet
from nti7flow.events.fcs.reader import count_data_sets, locate, read_data_sets, read_fcs
from nti7flow.events.fcs.writer import write_events, write_fcs

__all__ = ["DataSet", "count_data_sets", "locate", "read_data_sets", "read_fcs", "write_events", "write_fcs"]
