"""Events to fractions (and later to cells per microlitre)."""
