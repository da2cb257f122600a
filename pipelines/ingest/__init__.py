"""The ingest job: logs of a market, from a node or from files, into the lake."""
