"""Gating-ML 2.0: read through FlowKit, written by ourselves."""
