"""How decoded speech sounds: words, speaker, quality, silence, and distances of distributions."""
