"""Audio on disk to utterance table, speaker-disjoint splits and shards."""
