"""The exercises of the course, a file each: chNN/NAME.py holds the exercise NN.NAME. docs/adding.md says how."""
