"""Learning from human preferences with a language model small enough for one processor core."""
