"""Every codec side by side: reconstruction, predictability, overlap, at matched rates."""
