"""Evaluation: many arms over the same few-shot support sets, with intervals, paired differences and power."""
