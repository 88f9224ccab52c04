"""What several stages do alike: sound, transcripts, cues. Standard library and contract only."""
