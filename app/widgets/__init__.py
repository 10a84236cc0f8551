"""Parts of pages that stand on more than one of them, or that would hide a page's story."""
