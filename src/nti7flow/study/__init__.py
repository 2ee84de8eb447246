"""study.yaml (or a folder of files) to a run folder, and back."""
