"""Characters that forge lines in logs and exports, or make a text read otherwise than it is: refused in names, escaped in logs.

For a character class of a regular expression, in Python's notation and in JSON Schema's.
"""

from typing import Final

UNSAFE: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
"""Control characters, line separators and Unicode's bidirectional overrides; tab, line feed and carriage return are apart."""
UNSAFE_IN_A_LINE: Final = UNSAFE + r"\t\n\r"
"""The same with tab, line feed and carriage return: for a text of one line."""
