"""What apps/report.py and bench/figures.py share: reading runs, numbers, pictures."""
