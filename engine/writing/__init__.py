"""Questions as people ask them: the corpus they are learned from."""
