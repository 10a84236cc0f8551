"""What several pages use. A part of one page alone lives in that page's own folder."""
