"""Templates become strategies of plain gates; strategies say which events belong where."""
