"""The course: chapters run as notebooks, and the claims that tie their sentences to numbers."""
