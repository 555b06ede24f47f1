"""From raw articles to clean sentences that still know where they stood."""
