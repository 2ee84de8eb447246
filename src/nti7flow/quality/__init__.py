"""Which events of a tube can be trusted: time, margins, doublets, dead cells."""
