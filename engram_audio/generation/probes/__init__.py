"""Questions to trained generators: what their gain is made of. Nothing is trained here."""
