"""A whole bar as real processes, a monkey that breaks it, and an auditor who was not told the rules.

`site` starts everything, `guests` and `staff` are its people, `monkey` breaks things and keeps a log, `audit` compares what flowed
and what was paid with the books. `make chaos MINUTES=n [SEED=n]` tells it as a story.
"""
