"""What a run has to say, as numbers and words; rendering is separate."""
