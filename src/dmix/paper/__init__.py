"""All tables and figures of a tier as one LaTeX document and PDF."""
