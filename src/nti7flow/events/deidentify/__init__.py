"""Taking personal data out of FCS files, and leaving the events as they are."""
