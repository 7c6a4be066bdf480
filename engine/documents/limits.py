"""How much is read: every limit on the size of documents and archives, in one place. Sizes in bytes."""

MIB = 2**20

LARGEST_FILE = 200 * MIB
"""Of a file on disk or in an archive; a PDF of 5,000 pages of text has 10 to 50."""

LARGEST_TEXT = 50 * MIB
"""Of HTML, Markdown, plain text, or the XML inside a DOCX: parsed, it takes ten times as much memory."""

MOST_FILES = 10_000
"""Files read in one go, whether from folders or from archives."""

LARGEST_LISTING = 8 * MIB
"""Of an archive's list of members: 10,000 long names fit, and a listing made to fill the memory does not."""

LARGEST_UNPACKED = 1024 * MIB
"""Of all members of one archive together."""

HIGHEST_RATIO = 100
"""Unpacked to packed. Text packs to a tenth, XML to a thirtieth; zip bombs to a thousandth."""

RATIO_COUNTS_FROM = MIB
"""Smaller members may be packed as tightly as they like."""


def mib(size: int) -> str:
    """A size as people read it: "1.5 MiB"."""
    return f"{size / MIB:,.1f} MiB".replace(".0 ", " ")
