"""More training tiles than there are: turned, recoloured, mixed, or made by a diffusion model."""
