"""What a run found: metrics per world, effects with their intervals, validity (DESIGN §12). Tables in, numbers out."""
