"""Training a backbone in steps: networks, adapters, batches, the loop and its checkpoints."""
