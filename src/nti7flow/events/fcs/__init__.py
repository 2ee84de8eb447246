"""FCS files: a reader that checks before it believes, and a minimal writer."""

from nti7flow.events.fcs.reader import read_fcs
from nti7flow.events.fcs.writer import write_fcs

__all__ = ["read_fcs", "write_fcs"]
