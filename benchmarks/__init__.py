"""Speed of nti7flow beside its peers, measured in one run: ``make bench``."""
